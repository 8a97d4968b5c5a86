//! Static files: validators, conditional requests and single ranges, as a web server gives them.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
    RANGE,
};
use hyper::{HeaderMap, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::{Body, text_response, whole};

#[derive(Debug, Default)]
pub(super) struct Files(HashMap<String, File>);

#[derive(Debug)]
struct File {
    content_type: String,
    etag: String,
    content: Bytes,
}

impl Files {
    pub(super) fn publish(&mut self, name: &str, content_type: &str, content: Bytes) {
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&content)[..8]));
        let file = File {
            content_type: content_type.to_owned(),
            etag,
            content,
        };
        self.0.insert(name.to_owned(), file);
    }

    pub(super) fn response(&self, name: &str, request: &HeaderMap) -> Response<Body> {
        let Some(file) = self.0.get(name) else {
            return text_response(StatusCode::NOT_FOUND, "no such file");
        };
        let mut response = file.answer(request);
        let headers = response.headers_mut();
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        // As static servers are told for speed: every cache on the way may keep it.
        let shared = HeaderValue::from_static("public, max-age=600");
        headers.insert(CACHE_CONTROL, shared);
        for (name, value) in [(CONTENT_TYPE, &file.content_type), (ETAG, &file.etag)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl File {
    fn answer(&self, request: &HeaderMap) -> Response<Body> {
        if request
            .get(IF_NONE_MATCH)
            .is_some_and(|tag| tag == self.etag.as_str())
        {
            let mut response = Response::new(whole(Bytes::new()));
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let length = self.content.len();
        let range = request.get(RANGE).and_then(|range| range.to_str().ok());
        let Some(range) = range.and_then(|text| parse_range(text, length)) else {
            return Response::new(whole(self.content.clone()));
        };
        let span = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        let mut response = Response::new(whole(self.content.slice(range)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        if let Ok(span) = HeaderValue::from_str(&span) {
            response.headers_mut().insert(CONTENT_RANGE, span);
        }
        response
    }
}

/// The bytes that `bytes=first-last` or `bytes=first-` asks for. Anything else is answered in full, as a
/// server may.
fn parse_range(text: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let end = match last {
        "" => length,
        last => last.parse::<usize>().ok()?.checked_add(1)?.min(length),
    };
    (first < end).then_some(first..end)
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn ranges_stay_inside_the_file() {
        assert_eq!(parse_range("bytes=0-9", 100), Some(0..10));
        assert_eq!(parse_range("bytes=90-", 100), Some(90..100));
        assert_eq!(parse_range("bytes=90-999", 100), Some(90..100));
        for unanswerable in [
            "bytes=100-",
            "bytes=9-8",
            "bytes=-5",
            "items=0-9",
            "bytes=0-9,20-29",
        ] {
            assert_eq!(parse_range(unanswerable, 100), None, "{unanswerable}");
        }
    }
}
