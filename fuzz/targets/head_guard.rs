//! HTTP/1 as bytes: however they come, the same goes on, and the parser behind finds every head whole
//! and where the guard saw it end.
#![no_main]

use httparse::{EMPTY_HEADER, Error, Header, Request, Status, parse_chunk_size};
use libfuzzer_sys::fuzz_target;
use octroi_server::fuzzing::guarded;

/// Read in place of a head that is refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";
const HEADERS_MAX: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    let whole = guarded([bytes]);
    let by_bytes = guarded(bytes.chunks(1));
    let by_sevens = guarded(bytes.chunks(7));
    // A chunk that is malformed ends the connection: what came with it does not go on.
    for given in [&by_bytes, &by_sevens] {
        assert!(given.starts_with(&whole), "{given:?}");
    }
    for given in [&whole, &by_bytes, &by_sevens] {
        let own = given.strip_suffix(STAND_IN).unwrap_or(given);
        assert!(bytes.starts_with(own) || bytes.starts_with(given));
        read(given);
    }
});

/// Reads requests until the bytes end, by the book.
fn read(mut rest: &[u8]) {
    while !rest.is_empty() {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut request = Request::new(&mut headers);
        match request.parse(rest) {
            Ok(Status::Complete(length)) => rest = &rest[length..],
            Ok(Status::Partial) => panic!("half a head: {rest:?}"),
            Err(Error::TooManyHeaders) => return,
            Err(error) => panic!("{error}: {rest:?}"),
        }
        let lengths: Vec<_> = named(request.headers, "content-length").collect();
        let codings: Vec<_> = named(request.headers, "transfer-encoding").collect();
        match (&lengths[..], &codings[..]) {
            ([], []) => {}
            ([length], []) => {
                let length = str::from_utf8(length)
                    .expect("digits")
                    .parse::<u64>()
                    .expect("a number");
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                rest = rest.get(length..).unwrap_or_default();
            }
            ([], [coding]) => {
                assert!(request.version == Some(1) && coding.eq_ignore_ascii_case(b"chunked"));
                rest = behind_chunks(rest);
            }
            _ => panic!("two framings: {lengths:?} {codings:?}"),
        }
    }
}

fn named<'h>(headers: &'h [Header<'h>], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value.trim_ascii())
}

/// What follows the last chunk and its trailers; nothing if they are not whole.
fn behind_chunks(mut rest: &[u8]) -> &[u8] {
    loop {
        let (head, size) = match parse_chunk_size(rest) {
            Ok(Status::Complete(chunk)) => chunk,
            // What is no size ends the connection, whoever notices it.
            Ok(Status::Partial) | Err(_) => return b"",
        };
        rest = &rest[head..];
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(behind) = rest.get(size..) else {
            return b"";
        };
        match behind {
            [b'\r', b'\n', behind @ ..] => rest = behind,
            [] | [b'\r'] => return b"",
            _ => panic!("a chunk without an end: {behind:?}"),
        }
    }
    loop {
        let Some(feed) = rest.iter().position(|byte| *byte == b'\n') else {
            return b"";
        };
        let (line, behind) = (&rest[..=feed], &rest[feed + 1..]);
        rest = behind;
        if line == b"\r\n" {
            return rest;
        }
    }
}
