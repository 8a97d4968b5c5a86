//! Keeping paid content out of shared caches.

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, EXPIRES, HeaderName, HeaderValue, PRAGMA, VARY};

/// Headers that speak to a CDN over the head of `Cache-Control`.
const CDN_ONLY: [HeaderName; 3] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("surrogate-key"),
];

/// Marks an answer that somebody paid for: the buyer may keep it as long as the origin says, nobody
/// else may.
pub(crate) fn mark_paid(headers: &mut HeaderMap) {
    for name in CDN_ONLY {
        headers.remove(name);
    }
    for name in [AGE, EXPIRES, PRAGMA] {
        headers.remove(name);
    }
    let private = private_directives(headers);
    headers.insert(CACHE_CONTROL, private);
    headers.append(
        VARY,
        HeaderValue::from_static("PAYMENT-SIGNATURE, X-PAYMENT"),
    );
}

/// The origin's directives without those that open an answer to shared caches, and `private`.
fn private_directives(headers: &HeaderMap) -> HeaderValue {
    let mut directives = String::from("private");
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or_default().split(',').map(str::trim) {
            let name = directive.split('=').next().unwrap_or_default().trim();
            let shared = ["public", "private", "s-maxage", "proxy-revalidate", ""]
                .iter()
                .any(|other| name.eq_ignore_ascii_case(other));
            if !shared {
                directives.push_str(", ");
                directives.push_str(directive);
            }
        }
    }
    HeaderValue::try_from(directives).unwrap_or(HeaderValue::from_static("private, no-store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shared_remains() {
        let mut headers = HeaderMap::new();
        headers.append(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=60"),
        );
        headers.append(
            CACHE_CONTROL,
            HeaderValue::from_static("S-MaxAge=600, must-revalidate"),
        );
        headers.insert("cdn-cache-control", HeaderValue::from_static("max-age=600"));
        headers.insert(EXPIRES, HeaderValue::from_static("0"));
        mark_paid(&mut headers);
        assert_eq!(
            headers[CACHE_CONTROL],
            "private, max-age=60, must-revalidate"
        );
        assert_eq!(headers.get_all(CACHE_CONTROL).iter().count(), 1);
        assert!(!headers.contains_key("cdn-cache-control") && !headers.contains_key(EXPIRES));
    }

    #[test]
    fn no_store_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        mark_paid(&mut headers);
        assert_eq!(headers[CACHE_CONTROL], "private, no-store");
    }
}
