//! Whether the terms are for what was asked for.
//!
//! A server that names another resource may be selling something else than what the buyer thinks
//! (or passing on somebody else's terms). Origin and path have to agree; the query may differ.

use http::Uri;
use http::header::HeaderValue;
use octroi_egress::{Scheme, Target};
use octroi_policy::{CanonicalPath, Host};

/// Whether a resource's URL names what was requested.
pub(crate) fn is_what_was_asked(asked: &Uri, host: Option<&HeaderValue>, offered: &str) -> bool {
    let Some((asked_origin, asked_path)) = split(asked) else {
        return false;
    };
    // A path alone is relative to the server that was asked.
    if offered.starts_with('/') && !offered.starts_with("//") {
        let path = offered.split(['?', '#']).next().unwrap_or(offered);
        return same_path(&asked_path, path);
    }
    let Some((offered_origin, offered_path)) = offered.parse().ok().as_ref().and_then(split) else {
        return false;
    };
    let asked_origin = match host {
        Some(host) => with_host(&asked_origin, host),
        None => Some(asked_origin),
    };
    asked_origin.is_some_and(|asked| same_origin(&asked, &offered_origin))
        && same_path(&asked_path, &offered_path)
}

fn split(uri: &Uri) -> Option<(Target, String)> {
    Some((Target::from_uri(uri).ok()?, uri.path().to_owned()))
}

/// The origin as a `Host` header of the user's own names it.
fn with_host(target: &Target, host: &HeaderValue) -> Option<Target> {
    let scheme = target.scheme().as_str();
    Target::parse(&format!("{scheme}://{}", host.to_str().ok()?)).ok()
}

/// The names of this machine mean the same.
fn same_origin(asked: &Target, offered: &Target) -> bool {
    let is_loopback = |target: &Target| {
        Host::parse(&target.host().to_string()).is_ok_and(|host| host.is_loopback())
    };
    let same_host = asked.host() == offered.host() || (is_loopback(asked) && is_loopback(offered));
    let same_scheme = matches!(
        (asked.scheme(), offered.scheme()),
        (Scheme::Http, Scheme::Http) | (Scheme::Https, Scheme::Https)
    );
    same_host && same_scheme && asked.port() == offered.port()
}

/// Paths are compared in the form in which a gate matches them; one that has no such form, letter
/// by letter.
fn same_path(asked: &str, offered: &str) -> bool {
    match (CanonicalPath::parse(asked), CanonicalPath::parse(offered)) {
        (Ok(asked), Ok(offered)) => asked == offered,
        _ => asked == offered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(asked: &str, offered: &str) -> bool {
        is_what_was_asked(&asked.parse().unwrap(), None, offered)
    }

    #[test]
    fn origin_and_path_have_to_agree() {
        let asked = "http://127.0.0.1:8402/api/x?q=1";
        for offered in [
            "http://127.0.0.1:8402/api/x",
            "http://127.0.0.1:8402/api/x?other=1",
            "http://localhost:8402/api/x",
            "http://127.0.0.1:8402/api//%78",
            "/api/x",
            "/api/x?q=2",
        ] {
            assert!(same(asked, offered), "{offered}");
        }
        for offered in [
            "",
            "https://127.0.0.1:8402/api/x",
            "http://127.0.0.1:8403/api/x",
            "http://127.0.0.1/api/x",
            "http://example.com:8402/api/x",
            "http://127.0.0.1:8402/api/X",
            "http://127.0.0.1:8402/api/x/",
            "http://user@127.0.0.1:8402/api/x",
            "//127.0.0.1:8402/api/x",
            "/api/y",
            "api/x",
            "weather",
        ] {
            assert!(!same(asked, offered), "{offered}");
        }
        assert!(same("https://Example.com/a", "https://example.com:443/a"));
        assert!(same("http://example.com", "http://example.com/"));
    }

    #[test]
    fn a_host_header_is_what_was_asked_for() {
        let asked: Uri = "http://127.0.0.1:8402/a".parse().unwrap();
        let host = HeaderValue::from_static("news.example.com:8402");
        let same = |offered| is_what_was_asked(&asked, Some(&host), offered);
        assert!(same("http://news.example.com:8402/a"));
        assert!(!same("http://127.0.0.1:8402/a"));
    }
}
