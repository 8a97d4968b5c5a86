//! Reading a body so that a payment can be bound to it (money rule 8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use octroi_egress::RequestBody;
use octroi_types::ErrorCode;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::body::{DigestMismatch, VerifiedBody};
use crate::catalogue::BodyBinding;

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

/// Why a body cannot be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyRefused {
    pub(crate) code: ErrorCode,
    pub(crate) message: &'static str,
}

const DIGEST_REQUIRED: BodyRefused = BodyRefused {
    code: ErrorCode::DigestRequired,
    message: "A body this large must come with Content-Digest: sha-256=:…: (RFC 9530), so that \
              the payment can be bound to it.",
};
const DIGEST_MALFORMED: BodyRefused = BodyRefused {
    code: ErrorCode::BadRequest,
    message: "Content-Digest must hold one sha-256=:…: member with 32 bytes in base64 (RFC 9530).",
};
const DIGEST_MISMATCH: BodyRefused = BodyRefused {
    code: ErrorCode::DigestMismatch,
    message: "The body does not match its Content-Digest. Nothing was charged.",
};
const BODY_BROKE_OFF: BodyRefused = BodyRefused {
    code: ErrorCode::BadRequest,
    message: "The request body broke off. Nothing was charged.",
};

/// How much of a body is read, and how large it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Bodies up to this are read and bound by their hash, in bytes.
    pub(crate) buffer_bytes: usize,
    /// Larger ones are refused, in bytes.
    pub(crate) bytes_max: u64,
}

const BODY_TOO_LARGE: BodyRefused = BodyRefused {
    code: ErrorCode::BodyTooLarge,
    message: "The request body is larger than this gate takes. Nothing was charged.",
};

/// A body of unknown length may still turn out too large on its way.
pub(crate) fn limited(incoming: Incoming, bytes_max: u64) -> Result<RequestBody, BodyRefused> {
    if incoming.size_hint().lower() > bytes_max {
        return Err(BODY_TOO_LARGE);
    }
    if incoming.size_hint().exact().is_some() {
        return Ok(RequestBody::from(incoming));
    }
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    Ok(RequestBody::stream(Limited::new(incoming, bytes_max)))
}

/// Reads up to `buffer_bytes` of a body. A body that ends within them is bound by its hash; a larger
/// one by its announced digest, which is then checked while it streams.
pub(crate) async fn bind(
    headers: &HeaderMap,
    mut incoming: Incoming,
    binding: BodyBinding,
    limits: BodyLimits,
) -> Result<BoundBody, BodyRefused> {
    let announced = announced_digest(headers)?;
    if binding == BodyBinding::Head {
        let body = limited(incoming, limits.bytes_max)?;
        return Ok(BoundBody {
            body,
            digest: None,
            mismatch: None,
            copy: None,
        });
    }
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
        let frame = frame.map_err(|_| BODY_BROKE_OFF)?;
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
    rest: Incoming,
    announced: Option<[u8; 32]>,
    bytes_max: u64,
) -> Result<BoundBody, BodyRefused> {
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

/// The answer to a body that was not what its digest announced.
pub(crate) const fn mismatch_refusal() -> BodyRefused {
    DIGEST_MISMATCH
}

/// The `sha-256` member of `Content-Digest` (RFC 9530 §2). Other algorithms are left to the origin.
fn announced_digest(headers: &HeaderMap) -> Result<Option<[u8; 32]>, BodyRefused> {
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

    fn digest_of(values: &[&'static str]) -> Result<Option<[u8; 32]>, BodyRefused> {
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
