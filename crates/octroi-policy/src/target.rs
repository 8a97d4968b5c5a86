//! The path and query of a request.

use crate::path::{CanonicalPath, PathError};

/// Why a request target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The path has no single meaning.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The query contains a control character, a space or `#`.
    #[error("the query contains a control character, a space or #")]
    Query,
}

/// A request target in origin form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target<'a> {
    /// What is matched and forwarded.
    pub path: CanonicalPath<'a>,
    /// What followed the first `?`, forwarded untouched and never matched. `Some("")` for a bare `?`.
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads a request target like `/a/b?c=d`.
    ///
    /// # Errors
    /// [`TargetError`]; answer 400.
    pub fn parse(raw: &'a str) -> Result<Self, TargetError> {
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (raw, None),
        };
        let refused = |byte| byte <= b' ' || byte == 0x7f || byte == b'#';
        if query.is_some_and(|query| query.bytes().any(refused)) {
            return Err(TargetError::Query);
        }
        Ok(Self {
            path: CanonicalPath::parse(path)?,
            query,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_opaque() {
        let target = Target::parse("/a//b?x=%2F..;?&&y=%zz").unwrap();
        assert_eq!(target.path.as_str(), "/a/b");
        assert_eq!(target.query, Some("x=%2F..;?&&y=%zz"));
        assert_eq!(Target::parse("/a").unwrap().query, None);
        assert_eq!(Target::parse("/a?").unwrap().query, Some(""));
        for raw in ["/a?b c", "/a?b#c", "/a?\r\n", "/a?\u{7f}"] {
            assert_eq!(Target::parse(raw), Err(TargetError::Query), "{raw:?}");
        }
        assert_eq!(
            Target::parse("?a"),
            Err(TargetError::Path(PathError::NotAbsolute))
        );
    }
}
