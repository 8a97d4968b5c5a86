use proptest::prelude::*;

use super::*;
use crate::options::HEADER_COUNT_MAX;

/// What hyper would read, and the refusal, if these pieces came one after the other.
fn through(pieces: &[&[u8]]) -> (Vec<u8>, Option<Refusal>) {
    let activity = Arc::new(Activity::new(false));
    let mut guard = HeadGuard::new(&Limits::default(), Arc::clone(&activity));
    let mut out = Vec::new();
    let give = |guard: &mut HeadGuard, out: &mut Vec<u8>| loop {
        // Small, so that what is held back goes on in parts.
        let mut space = [0; 7];
        let mut buf = ReadBuf::new(&mut space);
        if !guard.give(&mut buf).unwrap_or_default() {
            return;
        }
        out.extend_from_slice(buf.filled());
    };
    for piece in pieces {
        give(&mut guard, &mut out);
        if !guard.wants_more() {
            break;
        }
        let approved = guard.see(piece);
        out.extend_from_slice(&piece[..approved]);
    }
    give(&mut guard, &mut out);
    let refusal = (1..9).find_map(|number| activity.refusal(number));
    (out, refusal)
}

fn refusal(head: &str) -> Option<ErrorCode> {
    let (out, refusal) = through(&[head.as_bytes()]);
    if refusal.is_some() {
        assert_eq!(out, STAND_IN, "{head:?}");
    }
    refusal.map(|refusal| refusal.code)
}

#[test]
fn what_is_in_order_goes_on_as_it_came() {
    for stream in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\nGET / HTTP/1.0\r\n\r\n",
        "GET /%C3%A9?a=b{c} HTTP/1.1\r\nHost: a\r\nX:\tv \r\nempty:\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\na\nbGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n\n\r\n0A \r\n0123456789\r\n0\r\nt: v\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(
            through(&[stream.as_bytes()]),
            (stream.into(), None),
            "{stream:?}"
        );
    }
}

#[test]
fn what_has_two_readings_is_refused_with_a_reason() {
    for head in [
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\n\r\n",
        "GET / HTTP/1.1\r\nx: a\rb: c\r\n\r\n",
        "GET / HTTP/1.1\r\nx: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nx : a\r\n\r\n",
        "GET / HTTP/1.1\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nx\r\n\r\n",
        "GET / HTTP/1.1\r\nx: \x01\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "G@T / HTTP/1.1\r\n\r\n",
        "\tGET / HTTP/1.1\r\n\r\n",
        "\r\n GET / HTTP/1.1\r\n\r\n",
        "GET /\r\n\r\n",
        "\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length:\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(refusal(head), Some(ErrorCode::BadRequest), "{head:?}");
    }
    for target in ["/<a>", "/a#b", "/#\x19"] {
        let head = format!("GET {target} HTTP/1.1\r\n\r\n");
        assert_eq!(refusal(&head), Some(ErrorCode::MalformedPath), "{target:?}");
    }
    let fields = "x: y\r\n".repeat(HEADER_COUNT_MAX + 1);
    let many = format!("GET / HTTP/1.1\r\n{fields}\r\n");
    assert_eq!(refusal(&many), Some(ErrorCode::HeadersTooLarge));
}

#[test]
fn a_head_that_does_not_end_is_not_collected() {
    let long = "x".repeat(100_000);
    assert_eq!(
        refusal(&format!("GET /{long}")),
        Some(ErrorCode::UriTooLong)
    );
    let head = format!("GET / HTTP/1.1\r\nx: {long}");
    assert_eq!(refusal(&head), Some(ErrorCode::HeadersTooLarge));
}

#[test]
fn requests_before_a_refused_one_are_served_and_those_behind_it_are_not() {
    let good = "POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nab";
    let stream = format!("{good}GET / HTTP/1.1\n\n{good}");
    let (out, refusal) = through(&[stream.as_bytes()]);
    assert_eq!(out, [good.as_bytes(), STAND_IN].concat());
    assert!(refusal.is_some());
    let activity = Arc::new(Activity::new(false));
    let mut guard = HeadGuard::new(&Limits::default(), Arc::clone(&activity));
    guard.see(stream.as_bytes());
    assert!(activity.refusal(1).is_none() && activity.refusal(2).is_some());
}

#[test]
fn chunks_that_are_none_break_the_body() {
    let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    for body in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "10000000000000000\r\n",
        "1\n",
        "1;a\nb\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "0\r\na: b\n\r\n",
        "0\r\n\n",
    ] {
        let activity = Arc::new(Activity::new(false));
        let mut guard = HeadGuard::new(&Limits::default(), activity);
        // What came in order before goes on first.
        let came = guard.see(format!("{head}{body}").as_bytes());
        assert_eq!(came, head.len(), "{body:?}");
        let mut space = [0; 100];
        let mut buf = ReadBuf::new(&mut space);
        assert!(guard.give(&mut buf).is_err(), "{body:?}");
    }
}

#[test]
fn behind_an_upgrade_the_answer_decides_how_to_go_on() {
    let ask = "GET / HTTP/1.1\r\nupgrade: x\r\n\r\n";
    for upgraded in [true, false] {
        let activity = Arc::new(Activity::new(false));
        let mut guard = HeadGuard::new(&Limits::default(), Arc::clone(&activity));
        // The answer to an earlier request decides nothing.
        guard.see(b"GET / HTTP/1.1\r\n\r\n");
        let bytes = format!("{ask}\x01\n");
        assert_eq!(guard.see(bytes.as_bytes()), ask.len());
        activity.answered(1, false);
        let mut space = [0; 100];
        let mut buf = ReadBuf::new(&mut space);
        assert!(!guard.give(&mut buf).unwrap() && !guard.wants_more());
        activity.answered(2, upgraded);
        assert!(guard.give(&mut buf).unwrap());
        assert_eq!(buf.filled() == b"\x01\n", upgraded);
        assert_eq!(activity.refusal(3).is_none(), upgraded);
        assert_eq!(guard.wants_more(), upgraded);
    }
}

#[test]
fn a_late_head_is_answered() {
    let activity = Arc::new(Activity::new(false));
    let mut guard = HeadGuard::new(&Limits::default(), Arc::clone(&activity));
    assert_eq!(guard.see(b"GET / HT"), 0);
    assert!(activity.give_up_on_head() && !activity.give_up_on_head());
    let mut space = [0; 100];
    let mut buf = ReadBuf::new(&mut space);
    assert!(guard.give(&mut buf).unwrap());
    assert_eq!(buf.filled(), STAND_IN);
    let refusal = activity.refusal(1).unwrap();
    assert_eq!(refusal.code, ErrorCode::RequestTimeout);
}

fn any_request() -> impl Strategy<Value = String> {
    let body = "[a-f0-9\r\n]{0,40}";
    let chunks = prop::collection::vec("[a-f0-9\r\n]{1,9}", 0..4);
    let fields = prop::collection::vec("[a-z]{1,6}: [ -~\t]{0,12}\r\n", 0..4);
    prop_oneof![
        (fields.clone(), body).prop_map(|(fields, body)| {
            let (fields, length) = (fields.concat(), body.len());
            format!("PUT /a HTTP/1.1\r\n{fields}content-length: {length}\r\n\r\n{body}")
        }),
        (fields, chunks).prop_map(|(fields, chunks)| {
            let chunk = |chunk: &String| format!("{:x}\r\n{chunk}\r\n", chunk.len());
            let chunks: String = chunks.iter().map(chunk).collect();
            let fields = fields.concat();
            format!(
                "PUT /a HTTP/1.1\r\n{fields}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
            )
        }),
    ]
}

proptest! {
    #[test]
    fn it_does_not_matter_how_a_stream_is_cut(
        requests in prop::collection::vec(any_request(), 1..4),
        tail in prop_oneof![Just(""), Just("GET /\n\n"), Just("GET / HTTP/1.1\r\nx: y\r\n z\r\n\r\n")],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let good = requests.concat();
        let stream = format!("{good}{tail}");
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([stream.len()]) {
            if cut > start {
                pieces.push(&stream.as_bytes()[start..cut]);
                start = cut;
            }
        }
        let (out, refusal) = through(&pieces);
        prop_assert_eq!(refusal.is_some(), !tail.is_empty());
        let expected = if tail.is_empty() { good.into_bytes() } else { [good.as_bytes(), STAND_IN].concat() };
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_grow(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (out, _) = through(&[&bytes]);
        prop_assert!(out.len() <= bytes.len() + STAND_IN.len());
    }
}
