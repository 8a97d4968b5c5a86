//! Where a redirect leads (RFC 9110 §15.4) and what of the request may follow it.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE,
    HeaderMap, LOCATION, PROXY_AUTHORIZATION,
};
use http::{Method, StatusCode, Uri};

use crate::target::Target;

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RedirectError {
    #[error("too many redirects")]
    TooMany,
    #[error("redirect leads nowhere")]
    Location,
    #[error("redirect leads from https to http")]
    Downgrade,
}

/// How the next request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// The same method and body (307, 308, and 301 or 302 after `GET` and `HEAD`).
    Same,
    /// `GET` without body (303, and 301 or 302 after anything else, as every browser does).
    Get,
}

/// Whether a status asks to go elsewhere, and how.
pub(crate) fn follow(status: StatusCode, method: &Method) -> Option<Follow> {
    let is_plain = *method == Method::GET || *method == Method::HEAD;
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
            Some(if is_plain { Follow::Same } else { Follow::Get })
        }
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => Some(Follow::Same),
        _ => None,
    }
}

/// The absolute URL of the next hop.
pub(crate) fn next_hop(base: &Uri, headers: &HeaderMap) -> Result<Uri, RedirectError> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or(RedirectError::Location)?;
    let next = resolve(base, location).ok_or(RedirectError::Location)?;
    if base.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
        return Err(RedirectError::Downgrade);
    }
    Ok(next)
}

/// Takes from the headers what must not go to another origin, or not without the body.
pub(crate) fn prune(headers: &mut HeaderMap, from: &Target, to: &Target, follow: Follow) {
    if from != to {
        headers.remove(AUTHORIZATION);
        headers.remove(COOKIE);
        headers.remove(PROXY_AUTHORIZATION);
    }
    if follow == Follow::Get {
        for name in [
            CONTENT_TYPE,
            CONTENT_ENCODING,
            CONTENT_LANGUAGE,
            CONTENT_LOCATION,
        ] {
            headers.remove(name);
        }
    }
}

/// Reference resolution (RFC 3986 §5.2) as far as `http` URLs need it; dot segments stay, which is the
/// next origin's business.
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    // A relative path must not have a colon in its first segment (RFC 3986 §4.2).
    if location.split(['/', '?']).next()?.contains(':') {
        return location.parse().ok();
    }
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    }
    let path = match location.chars().next() {
        None => base.path_and_query()?.to_string(),
        Some('/') => location.to_owned(),
        Some('?') => format!("{}{location}", base.path()),
        Some(_) => {
            let folder = base
                .path()
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            format!("{folder}/{location}")
        }
    };
    format!("{scheme}://{authority}{path}").parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn hop(base: &str, location: &str) -> Result<String, RedirectError> {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).unwrap())]);
        next_hop(&base.parse().unwrap(), &headers).map(|uri| uri.to_string())
    }

    #[test]
    fn locations_resolve_against_the_base() {
        let base = "https://a.example:8443/one/two?q=1";
        for (location, expected) in [
            ("https://b.example/x", "https://b.example/x"),
            ("//b.example/x", "https://b.example/x"),
            ("/x?y=2#frag", "https://a.example:8443/x?y=2"),
            ("?y=2", "https://a.example:8443/one/two?y=2"),
            ("three", "https://a.example:8443/one/three"),
            (
                "three?to=http://c.example",
                "https://a.example:8443/one/three?to=http://c.example",
            ),
            ("", "https://a.example:8443/one/two?q=1"),
        ] {
            assert_eq!(hop(base, location).as_deref(), Ok(expected), "{location}");
        }
        assert_eq!(
            hop("http://a.example", "b").as_deref(),
            Ok("http://a.example/b")
        );
    }

    #[test]
    fn https_never_leads_to_http() {
        let base = "https://a.example/";
        assert_eq!(
            hop(base, "http://a.example/"),
            Err(RedirectError::Downgrade)
        );
        assert_eq!(hop(base, "ftp://a.example/"), Err(RedirectError::Downgrade));
        assert!(hop("http://a.example/", "https://a.example/").is_ok());
        assert_eq!(
            next_hop(&Uri::from_static("http://a.example/"), &HeaderMap::new()),
            Err(RedirectError::Location)
        );
    }

    #[test]
    fn methods_follow_the_status() {
        let (get, post) = (Method::GET, Method::POST);
        for (status, method, expected) in [
            (301, &get, Some(Follow::Same)),
            (301, &post, Some(Follow::Get)),
            (302, &post, Some(Follow::Get)),
            (303, &post, Some(Follow::Get)),
            (307, &post, Some(Follow::Same)),
            (308, &post, Some(Follow::Same)),
            (300, &get, None),
            (304, &get, None),
            (200, &get, None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(follow(status, method), expected, "{status} {method}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let headers = || {
            let secret = HeaderValue::from_static("secret");
            HeaderMap::from_iter([
                (AUTHORIZATION, secret.clone()),
                (COOKIE, secret),
                (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            ])
        };
        let a = Target::parse("https://a.example").unwrap();
        let other_port = Target::parse("https://a.example:444").unwrap();

        let mut same = headers();
        prune(&mut same, &a, &a, Follow::Same);
        assert_eq!(same, headers());

        let mut other = headers();
        prune(&mut other, &a, &other_port, Follow::Same);
        assert!(!other.contains_key(AUTHORIZATION) && !other.contains_key(COOKIE));
        assert!(other.contains_key(CONTENT_TYPE));

        let mut as_get = headers();
        prune(&mut as_get, &a, &a, Follow::Get);
        assert!(!as_get.contains_key(CONTENT_TYPE));
    }
}
