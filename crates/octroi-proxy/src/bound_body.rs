//! Reading a body so that a payment can be bound to it (money rule 8).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use octroi_egress::{BoxError, RequestBody};
use octroi_types::ErrorCode;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::body::{DigestMismatch, VerifiedBody};
use crate::catalogue::BodyBinding;
use crate::client_body::{ClientBody, Stalled};
use crate::respond::Problem;

const CONTENT_DIGEST: &str = "content-digest";

/// A body ready to be forwarded, and what it is bound by.
pub(crate) struct BoundBody {
    /// The body.
    pub(crate) body: RequestBody,
    /// Its SHA-256; `None` where the route binds the head only.
    pub(crate) digest: Option<[u8; 32]>,
    /// Tells if the body turns out not to be what it was announced as.
    pub(crate) mismatch: Option<oneshot::Receiver<DigestMismatch>>,
    /// The whole body, if it is small; needed to call an origin a second time.
    pub(crate) copy: Option<Bytes>,
}

const DIGEST_REQUIRED: Problem = Problem {
    code: ErrorCode::DigestRequired,
    message: "A body this large must come with Content-Digest: sha-256=:…: (RFC 9530), so that \
              the payment can be bound to it.",
};
const DIGEST_MALFORMED: Problem = Problem {
    code: ErrorCode::BadRequest,
    message: "Content-Digest must hold one sha-256=:…: member with 32 bytes in base64 (RFC 9530).",
};
pub(crate) const DIGEST_MISMATCH: Problem = Problem {
    code: ErrorCode::DigestMismatch,
    message: "The body does not match its Content-Digest.",
};
pub(crate) const BODY_BROKE_OFF: Problem = Problem {
    code: ErrorCode::BadRequest,
    message: "The request body broke off.",
};
pub(crate) const BODY_STALLED: Problem = Problem {
    code: ErrorCode::RequestTimeout,
    message: "The rest of the request body did not come in time.",
};
pub(crate) const BODY_TOO_LARGE: Problem = Problem {
    code: ErrorCode::BodyTooLarge,
    message: "The request body is larger than this gate takes.",
};

/// How much of a body is read, and how large and how slow it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Bodies up to this are read and bound by their hash, in bytes.
    pub(crate) buffer_bytes: usize,
    /// Larger ones are refused, in bytes.
    pub(crate) bytes_max: u64,
    /// How long the next part may take.
    pub(crate) pause_max: Duration,
}

/// A body of unknown length may still turn out too large on its way, and any may stall.
pub(crate) fn limited(incoming: Incoming, limits: BodyLimits) -> Result<RequestBody, Problem> {
    let body = ClientBody::new(incoming, limits.pause_max);
    if body.size_hint().lower() > limits.bytes_max {
        return Err(BODY_TOO_LARGE);
    }
    if body.size_hint().exact().is_some() {
        return Ok(RequestBody::stream(body));
    }
    let bytes_max = usize::try_from(limits.bytes_max).unwrap_or(usize::MAX);
    Ok(RequestBody::stream(Limited::new(body, bytes_max)))
}

/// Reads up to `buffer_bytes` of a body. A body that ends within them is bound by its hash; a larger
/// one by its announced digest, which is then checked while it streams.
pub(crate) async fn bind(
    headers: &HeaderMap,
    incoming: Incoming,
    binding: BodyBinding,
    limits: BodyLimits,
) -> Result<BoundBody, Problem> {
    let announced = announced_digest(headers)?;
    if binding == BodyBinding::Head {
        let body = limited(incoming, limits)?;
        return Ok(BoundBody {
            body,
            digest: None,
            mismatch: None,
            copy: None,
        });
    }
    let mut incoming = ClientBody::new(incoming, limits.pause_max);
    let declared = incoming.size_hint().lower();
    if declared > limits.bytes_max {
        return Err(BODY_TOO_LARGE);
    }
    let fits = u64::try_from(limits.buffer_bytes).is_ok_and(|buffer| declared <= buffer);
    if !fits {
        return streamed(Bytes::new(), incoming, announced, limits.bytes_max);
    }
    let mut read = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| broke_off(&error))?;
        // Trailers of a bound body are dropped: they are outside the digest.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        read.extend_from_slice(&data);
        if u64::try_from(read.len()).is_ok_and(|read| read > limits.bytes_max) {
            return Err(BODY_TOO_LARGE);
        }
        if read.len() > limits.buffer_bytes {
            return streamed(read.freeze(), incoming, announced, limits.bytes_max);
        }
    }
    let bytes = read.freeze();
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    if announced.is_some_and(|announced| announced != digest) {
        return Err(DIGEST_MISMATCH);
    }
    let body = RequestBody::from(bytes.clone());
    Ok(BoundBody {
        body,
        digest: Some(digest),
        mismatch: None,
        copy: Some(bytes),
    })
}

fn streamed(
    prefix: Bytes,
    rest: ClientBody,
    announced: Option<[u8; 32]>,
    bytes_max: u64,
) -> Result<BoundBody, Problem> {
    let digest = announced.ok_or(DIGEST_REQUIRED)?;
    let (body, mismatch) = VerifiedBody::new(prefix, rest, digest);
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    Ok(BoundBody {
        body: RequestBody::stream(Limited::new(body, bytes_max)),
        digest: Some(digest),
        mismatch: Some(mismatch),
        copy: None,
    })
}

fn broke_off(error: &BoxError) -> Problem {
    if error.is::<Stalled>() {
        BODY_STALLED
    } else {
        BODY_BROKE_OFF
    }
}

/// The `sha-256` member of `Content-Digest` (RFC 9530 §2). Other algorithms are left to the origin.
pub(crate) fn announced_digest(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
    let mut found = None;
    for value in headers.get_all(CONTENT_DIGEST) {
        let value = value.to_str().map_err(|_| DIGEST_MALFORMED)?;
        for member in value.split(',').map(str::trim) {
            let Some(encoded) = member.strip_prefix("sha-256=") else {
                continue;
            };
            let encoded = encoded
                .strip_prefix(':')
                .and_then(|rest| rest.strip_suffix(':'))
                .ok_or(DIGEST_MALFORMED)?;
            let bytes = STANDARD.decode(encoded).map_err(|_| DIGEST_MALFORMED)?;
            let digest = <[u8; 32]>::try_from(bytes).map_err(|_| DIGEST_MALFORMED)?;
            if found.replace(digest).is_some_and(|other| other != digest) {
                return Err(DIGEST_MALFORMED);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn digest_of(values: &[&'static str]) -> Result<Option<[u8; 32]>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_DIGEST, HeaderValue::from_static(value));
        }
        announced_digest(&headers)
    }

    #[test]
    fn digests_are_read_as_rfc_9530_writes_them() {
        // SHA-256 of `{"hello": "world"}` with a newline, as RFC 9530 shows it.
        let text = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        let digest = digest_of(&[text]).unwrap().unwrap();
        assert_eq!(
            digest,
            <[u8; 32]>::from(Sha256::digest(b"{\"hello\": \"world\"}\n"))
        );
        assert_eq!(digest_of(&["sha-512=:AAAA:"]), Ok(None));
        assert_eq!(digest_of(&[]), Ok(None));
        assert_eq!(digest_of(&[text, text]), Ok(Some(digest)));
    }

    #[test]
    fn malformed_digests_are_refused() {
        for text in ["sha-256=abc", "sha-256=:AAAA:", "sha-256=:*:", "sha-256="] {
            assert_eq!(digest_of(&[text]), Err(DIGEST_MALFORMED), "{text}");
        }
        let other = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
        let one = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        assert_eq!(digest_of(&[one, other]), Err(DIGEST_MALFORMED));
    }
}
