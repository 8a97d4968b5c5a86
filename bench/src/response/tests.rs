//! Responses of every framing, cut into pieces anywhere.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A response as bytes, and what is to be read from it.
#[derive(Clone, Debug)]
struct Sample {
    bytes: Vec<u8>,
    expected: Response,
}

/// Reads a whole connection in pieces that end at `cuts`.
fn read_all(bytes: &[u8], mut cuts: Vec<usize>) -> Result<Vec<Response>, Malformed> {
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let mut reader = ResponseReader::default();
    let mut responses = Vec::new();
    for piece in cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]) {
        let mut rest = piece;
        while !rest.is_empty() {
            match reader.read(rest)? {
                Some((response, used)) => {
                    assert!((1..=rest.len()).contains(&used));
                    responses.push(response);
                    rest = &rest[used..];
                }
                None => break,
            }
        }
    }
    responses.extend(reader.close()?);
    Ok(responses)
}

fn one(bytes: &[u8]) -> Result<Vec<Response>, Malformed> {
    read_all(bytes, Vec::new())
}

/// Body bytes that look like framing as often as not.
fn body_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"\r\n0a;:xHTTP/1. ".to_vec()), 0..80)
}

fn head(status: u16, framing: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Some Words\r\nX-Noise: a: b\r\n{framing}\r\nVary:\r\n\r\n")
        .into_bytes()
}

fn kept(status: u16, body_bytes: usize) -> Response {
    Response {
        status,
        body_bytes: body_bytes as u64,
        keep_alive: true,
    }
}

fn sized() -> impl Strategy<Value = Sample> {
    (200_u16..600, body_bytes(), any::<bool>()).prop_map(|(status, body, upper)| {
        // These two never have a body.
        let status = if matches!(status, 204 | 304) {
            200
        } else {
            status
        };
        let name = if upper {
            "Content-Length"
        } else {
            "content-length"
        };
        let mut bytes = head(status, &format!("{name}: {}", body.len()));
        bytes.extend_from_slice(&body);
        Sample {
            bytes,
            expected: kept(status, body.len()),
        }
    })
}

fn chunked() -> impl Strategy<Value = Sample> {
    let chunk = (
        body_bytes(),
        prop::sample::select(vec!["", ";name=value", " ; q=\"0\""]),
    );
    (
        prop::collection::vec(chunk, 0..4),
        prop::sample::select(vec!["", "Expires: never\r\n"]),
    )
        .prop_map(|(chunks, trailer)| {
            let mut bytes = head(200, "Transfer-Encoding: Chunked");
            let mut length = 0;
            for (body, extension) in chunks.iter().filter(|(body, _)| !body.is_empty()) {
                bytes.extend(format!("{:X}{extension}\r\n", body.len()).into_bytes());
                bytes.extend_from_slice(body);
                bytes.extend_from_slice(b"\r\n");
                length += body.len();
            }
            bytes.extend(format!("0\r\n{trailer}\r\n").into_bytes());
            Sample {
                bytes,
                expected: kept(200, length),
            }
        })
}

fn bodiless() -> impl Strategy<Value = Sample> {
    // A 304 may tell the length of what it does not send.
    prop::sample::select(vec![
        (204, "X: y"),
        (304, "Content-Length: 99"),
        (402, "Content-Length: 0"),
    ])
    .prop_map(|(status, framing)| Sample {
        bytes: head(status, framing),
        expected: kept(status, 0),
    })
}

fn after_interim() -> impl Strategy<Value = Sample> {
    sized().prop_map(|sample| Sample {
        bytes: [
            b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n",
            &sample.bytes[..],
        ]
        .concat(),
        expected: sample.expected,
    })
}

fn sample() -> impl Strategy<Value = Sample> {
    prop_oneof![sized(), chunked(), bodiless(), after_interim()]
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        samples in prop::collection::vec(sample(), 1..5),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let bytes = samples.iter().flat_map(|sample| sample.bytes.clone()).collect::<Vec<_>>();
        let expected: Vec<_> = samples.iter().map(|sample| sample.expected).collect();
        let cuts = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        prop_assert_eq!(read_all(&bytes, cuts), Ok(expected.clone()));
        // Byte by byte as well.
        prop_assert_eq!(read_all(&bytes, (0..bytes.len()).collect()), Ok(expected));
    }

    #[test]
    fn a_response_cut_off_is_noticed(sample in sample(), cut in any::<Index>()) {
        let cut = cut.index(sample.bytes.len());
        // Nothing at all, or an interim response alone, was no response yet.
        let outcome = one(&sample.bytes[..cut]);
        prop_assert!(matches!(&outcome, Err(Malformed)) || outcome == Ok(Vec::new()));
    }
}

#[test]
fn without_framing_the_end_of_the_connection_is_the_end() {
    let closing = Response {
        status: 200,
        body_bytes: 5,
        keep_alive: false,
    };
    assert_eq!(
        one(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello"),
        Ok(vec![closing])
    );
}

#[test]
fn the_server_may_ask_to_close() {
    let response =
        one(b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert!(!response[0].keep_alive);
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for framing in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: +1",
        "Content-Length: ",
        "Transfer-Encoding: gzip, chunked",
        "no colon",
    ] {
        assert_eq!(one(&head(200, framing)), Err(Malformed), "{framing}");
    }
    for chunk in [
        "\r\n",
        "x\r\n",
        "1\r\naa\r\n",
        "ffffffffffffffff\r\n",
        "-1\r\n",
    ] {
        let bytes = [head(200, "Transfer-Encoding: chunked"), chunk.into()].concat();
        assert_eq!(one(&bytes), Err(Malformed), "{chunk:?}");
    }
    for start in ["HTTP/1.0 200 OK", "HTTP/2 200", "HTTP/1.1 2x0 OK", "hello"] {
        assert_eq!(
            one(format!("{start}\r\n\r\n").as_bytes()),
            Err(Malformed),
            "{start}"
        );
    }
}

#[test]
fn a_head_without_end_is_given_up() {
    let endless = [
        b"HTTP/1.1 200 OK\r\nX: ".to_vec(),
        vec![b'x'; HEAD_BYTES_MAX],
    ]
    .concat();
    assert_eq!(one(&endless), Err(Malformed));
}
