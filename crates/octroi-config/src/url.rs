//! The few forms of URL that a configuration names.

use std::fmt;
use std::str::FromStr;

use octroi_policy::{CanonicalPath, Host};
use octroi_types::Redacted;

/// Scheme and host, like `https://pay.example.com`: what buyers see of the gate or a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    /// Whether the scheme is `https`.
    pub secure: bool,
    /// Host, and port unless it is the scheme's own.
    pub host: Host<'static>,
}

impl BaseUrl {
    /// The port that is connected to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.host.port().unwrap_or(self.default_port())
    }

    const fn default_port(&self) -> u16 {
        if self.secure { 443 } else { 80 }
    }

    /// Splits a URL behind its host.
    fn split(text: &str) -> Result<(Self, &str), String> {
        let (secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err("it begins with http:// or https://".to_owned()),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = Host::parse(authority)
            .map_err(|error| error.to_string())?
            .into_owned();
        let mut url = Self { secure, host };
        if url.host.port() == Some(url.default_port()) {
            url.host = Host::parse(url.host.name())
                .map_err(|error| error.to_string())?
                .into_owned();
        }
        Ok((url, path))
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::split(text)? {
            (url, "" | "/") => Ok(url),
            _ => Err("nothing may follow the host".to_owned()),
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.secure { "https" } else { "http" },
            self.host
        )
    }
}

/// Where requests are forwarded to, like `http://127.0.0.1:3000/api`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginUrl {
    /// Scheme and host.
    pub base: BaseUrl,
    /// What is put before every path, canonical and without a trailing slash; empty for none.
    pub path_prefix: String,
}

impl FromStr for OriginUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (base, path) = BaseUrl::split(text)?;
        let path = if path.is_empty() { "/" } else { path };
        let path = CanonicalPath::parse(path).map_err(|error| error.to_string())?;
        let path_prefix = path.as_str().trim_end_matches('/').to_owned();
        Ok(Self { base, path_prefix })
    }
}

impl fmt::Display for OriginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.base, self.path_prefix)
    }
}

/// An endpoint whose path or query may carry a key, as those of RPC providers do. Shows its host
/// only.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    base: BaseUrl,
    text: Redacted<String>,
    /// Whether anything follows the host.
    has_path: bool,
}

impl EndpointUrl {
    /// Scheme and host.
    #[must_use]
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// The whole URL.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }
}

impl FromStr for EndpointUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (base, path) = BaseUrl::split(text)?;
        if path
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '#' | '\\'))
        {
            return Err("it contains a blank, a control character, # or \\".to_owned());
        }
        Ok(Self {
            base,
            text: Redacted::new(text.to_owned()),
            has_path: !matches!(path, "" | "/"),
        })
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.base, if self.has_path { "/…" } else { "" })
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_one_spelling() {
        let base = |text: &str| text.parse::<BaseUrl>().map(|url| url.to_string());
        assert_eq!(
            base("HTTPS://Pay.Example.com:443/").as_deref(),
            Ok("https://pay.example.com")
        );
        assert_eq!(
            base("http://[::1]:8402").as_deref(),
            Ok("http://[::1]:8402")
        );
        assert_eq!(
            base("https://a.example/x").unwrap_err(),
            "nothing may follow the host"
        );
        assert_eq!(
            base("ftp://a.example").unwrap_err(),
            "it begins with http:// or https://"
        );
        assert_eq!(
            base("https://u:p@a.example").unwrap_err(),
            "the host contains user information"
        );
        let origin = |text: &str| text.parse::<OriginUrl>().map(|url| url.to_string());
        assert_eq!(origin("http://a:3000").as_deref(), Ok("http://a:3000"));
        assert_eq!(
            origin("http://a//api/./v1/").as_deref(),
            Ok("http://a/api/v1")
        );
        assert!(origin("http://a/x?y").is_err() && origin("http://a?y").is_err());
    }

    #[test]
    fn endpoints_hide_their_path() {
        let url: EndpointUrl = "https://rpc.example/v2/s3cret?k=s3cret".parse().unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://rpc.example/… https://rpc.example/…"
        );
        assert_eq!(url.expose(), "https://rpc.example/v2/s3cret?k=s3cret");
    }
}
