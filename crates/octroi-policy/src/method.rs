//! Request methods that a route covers.

use std::fmt;

/// A text that is not a method name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a method name")]
pub struct MethodError(String);

/// The methods of a route. Names are compared without regard to case, because some origins do;
/// `HEAD` is covered wherever `GET` is, because it tells about the same content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Methods(Vec<String>);

/// How well a route's methods cover a request's, best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Coverage {
    /// The route takes any method.
    Any,
    /// `HEAD`, by way of `GET`.
    ByGet,
    /// Listed.
    Listed,
}

impl Methods {
    /// Every method, also unknown ones.
    pub const ANY: Self = Self(Vec::new());

    /// These methods only; none listed means any.
    ///
    /// # Errors
    /// [`MethodError`] for a text that is not a token of letters.
    pub fn listed<'t>(names: impl IntoIterator<Item = &'t str>) -> Result<Self, MethodError> {
        let upper = |name: &str| {
            let valid =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
            if valid {
                Ok(name.to_ascii_uppercase())
            } else {
                Err(MethodError(name.to_owned()))
            }
        };
        let mut names = names
            .into_iter()
            .map(upper)
            .collect::<Result<Vec<_>, _>>()?;
        names.sort_unstable();
        names.dedup();
        Ok(Self(names))
    }

    /// The listed names in alphabetical order; empty means any.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether a request with this method is covered.
    #[must_use]
    pub fn covers(&self, method: &str) -> bool {
        self.coverage(method).is_some()
    }

    pub(crate) fn coverage(&self, method: &str) -> Option<Coverage> {
        let listed = |wanted: &str| self.0.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        if self.0.is_empty() {
            Some(Coverage::Any)
        } else if listed(method) {
            Some(Coverage::Listed)
        } else if method.eq_ignore_ascii_case("HEAD") && listed("GET") {
            Some(Coverage::ByGet)
        } else {
            None
        }
    }

    /// Whether two routes on one pattern would claim the same request.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self.0.is_empty(), other.0.is_empty()) {
            (true, true) => true,
            (false, false) => self.0.iter().any(|name| other.0.contains(name)),
            // A listed method comes before "any".
            _ => false,
        }
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("any method")
        } else {
            f.write_str(&self.0.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_covers_head_and_case_does_not_matter() {
        let get = Methods::listed(["get"]).unwrap();
        assert!(get.covers("GET") && get.covers("gEt") && get.covers("HEAD"));
        assert!(!get.covers("POST") && !get.covers(""));
        assert!(Methods::ANY.covers("BREW"));
        assert_eq!(get.to_string(), "GET");
    }

    #[test]
    fn names_are_tokens() {
        for name in ["", "GET POST", "GET,POST", "É"] {
            assert!(Methods::listed([name]).is_err(), "{name}");
        }
    }
}
