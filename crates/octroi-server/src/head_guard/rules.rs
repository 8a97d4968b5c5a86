//! What a request head may look like.

use http::Uri;
use octroi_types::ErrorCode;

use crate::options::HEADER_COUNT_MAX;
use crate::refusal::Refusal;

pub(super) const BARE_LINE_FEED: Refusal = malformed("a line must end in CR LF");
pub(super) const MALFORMED_REQUEST_LINE: Refusal =
    malformed("the request line must be a method, a target and a version");

/// A head that is in order.
pub(super) struct Head {
    pub(super) body: Body,
    /// Whether it has the field `Upgrade`.
    pub(super) asks_upgrade: bool,
}

/// How the end of the body is found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Sized(u64),
    Chunked,
}

/// What was seen of the fields that say how long the body is.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    is_chunked: bool,
}

const fn malformed(message: &'static str) -> Refusal {
    Refusal::new(ErrorCode::BadRequest, message)
}

/// Checks a whole head, of lines that end in CR LF.
pub(super) fn check(mut head: &[u8]) -> Result<Head, Refusal> {
    while let Some(behind_empty_line) = head.strip_prefix(b"\r\n") {
        head = behind_empty_line;
    }
    let mut lines = head.split(|byte| *byte == b'\n').map(without_return);
    let is_newest = check_request_line(lines.next().unwrap_or_default())?;
    let (mut framing, mut asks_upgrade, mut fields) = (Framing::default(), false, 0);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = split_field(line)?;
        fields += 1;
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => asks_upgrade = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => framing.see_length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                framing.see_coding(value, is_newest)?;
            }
            _ => {}
        }
    }
    if fields > HEADER_COUNT_MAX {
        return Err(Refusal::HEADERS_TOO_LARGE);
    }
    let body = framing.body()?;
    Ok(Head { body, asks_upgrade })
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether the version is HTTP/1.1.
fn check_request_line(line: &[u8]) -> Result<bool, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(MALFORMED_REQUEST_LINE);
    };
    let is_newest = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err(MALFORMED_REQUEST_LINE),
    };
    if method.is_empty() || !method.iter().copied().all(is_token) {
        return Err(MALFORMED_REQUEST_LINE);
    }
    if target.is_empty() || !(target.iter().copied().all(is_plain) || is_uri(target)) {
        return Err(Refusal::new(
            ErrorCode::MalformedPath,
            "the request target has characters that must be percent-encoded",
        ));
    }
    Ok(is_newest)
}

/// Whether it reads as a URI without a fragment, which targets do not have (RFC 9112, 3.2); `Uri` would drop it
/// without a look.
fn is_uri(target: &[u8]) -> bool {
    !target.contains(&b'#') && Uri::try_from(target).is_ok()
}

/// Name and value of a field.
fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    const MALFORMED: Refusal = malformed("a header field must be a name, a colon and a value");
    const FOLDED: Refusal = malformed("a header field must not go on in the next line");
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(FOLDED);
    }
    let colon = memchr::memchr(b':', line).ok_or(MALFORMED)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(MALFORMED);
    }
    if value
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\t')
    {
        return Err(malformed("a header field has control characters"));
    }
    Ok((name, value.trim_ascii()))
}

impl Framing {
    /// Digits, once: some take the first of two lengths and some the last.
    fn see_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        const MALFORMED: Refusal = malformed("Content-Length must be one number");
        let digits = str::from_utf8(value).map_err(|_| MALFORMED)?;
        if self.length.is_some() || !value.iter().all(u8::is_ascii_digit) {
            return Err(MALFORMED);
        }
        self.length = Some(digits.parse().map_err(|_| MALFORMED)?);
        Ok(())
    }

    /// `chunked` is undone here; any other coding would be lost on the way to the origin, and a list
    /// of codings is what smuggling is made of.
    fn see_coding(&mut self, value: &[u8], is_newest: bool) -> Result<(), Refusal> {
        if self.is_chunked || !is_newest || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(malformed(
                "the only transfer coding that is understood is chunked",
            ));
        }
        self.is_chunked = true;
        Ok(())
    }

    fn body(self) -> Result<Body, Refusal> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(malformed(
                "Content-Length and Transfer-Encoding exclude each other",
            )),
            (length, false) => Ok(Body::Sized(length.unwrap_or_default())),
            (None, true) => Ok(Body::Chunked),
        }
    }
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What needs no closer look in a target.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%?=&+:,@!$'()*;".contains(&byte)
}
