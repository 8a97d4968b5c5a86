//! Route tables: from method and path to what must be paid.
//!
//! # Which route applies
//!
//! Within one reading of a path the most specific pattern that covers the method applies. Patterns
//! are compared segment by segment from the left: text before one-segment wildcard before rest. On
//! equal patterns a listed method comes before `HEAD` by way of `GET`, and that before "any method".
//!
//! An origin may read a path in several ways (encoded slashes, backslashes, double encoding,
//! `;params`, letter case; this crate's `reading` module lists them). Every reading is decided on
//! its own and the strictest verdict holds: denied, then method not allowed, then the highest
//! price, then free or passed. Among equals the plain reading is named. So a cheap or free spelling
//! of a dear path does not exist: beside a free `/public` and a priced `/**`, `/PUBLIC` is priced.
//! On a table that denies what it does not list, no reading may be unlisted. A trailing slash never
//! matters.
//!
//! Pricing some methods of a path closes its other methods (405) unless another route covers them:
//! many origins answer methods that nobody thought of.
//!
//! Not seen through: Unicode normal forms other than letter case, trailing dots or spaces that a
//! Windows file system drops, and suffixes that an application routes by itself (`/report.json` for
//! `/report`). Where an origin does such things, price `/**` or deny what is not listed.

use std::borrow::Cow;

use octroi_types::Price;

use crate::escape::folded;
use crate::method::{Coverage, Methods};
use crate::path::CanonicalPath;
use crate::pattern::{Pattern, Segment};
use crate::reading::each_reading;

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Payment of this price.
    Priced(Price),
    /// Nothing.
    Free,
    /// To go away.
    Denied,
}

/// One row of a route table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route<T> {
    /// The paths.
    pub pattern: Pattern,
    /// The methods.
    pub methods: Methods,
    /// What it asks for.
    pub access: Access,
    /// What the caller wants back on a match.
    pub value: T,
}

impl<T> Route<T> {
    /// The price, if it asks for one.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        match self.access {
            Access::Priced(price) => Some(price),
            Access::Free | Access::Denied => None,
        }
    }
}

/// What happens to paths that no route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlisted {
    /// They pass unpaid.
    Pass,
    /// They are refused.
    Deny,
}

/// Two routes that claim the same requests; the indices of the rows given to
/// [`RouteTable::build`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("routes {first} and {second} match the same requests")]
pub struct DuplicateRoute {
    /// The earlier row.
    pub first: usize,
    /// The later row.
    pub second: usize,
}

/// The decision on one request.
#[derive(Debug)]
pub enum Verdict<'t, T> {
    /// This route applies and its price ([`Route::price`]) must be paid.
    Priced(&'t Route<T>),
    /// This route applies and costs nothing.
    Free(&'t Route<T>),
    /// No route applies and the table lets such requests pass.
    Passed,
    /// This priced route covers the path, none covers the method.
    MethodNotAllowed(&'t Route<T>),
    /// A route denies the request, or none applies and the table refuses that.
    Denied(Option<&'t Route<T>>),
}

impl<'t, T> Verdict<'t, T> {
    /// The route that decided, if one did.
    #[must_use]
    pub fn route(&self) -> Option<&'t Route<T>> {
        match *self {
            Self::Priced(route) | Self::Free(route) | Self::MethodNotAllowed(route) => Some(route),
            Self::Denied(route) => route,
            Self::Passed => None,
        }
    }

    /// Orders verdicts by how much they ask for.
    fn strictness(&self) -> (u8, u64) {
        match self {
            Self::Passed | Self::Free(_) => (0, 0),
            Self::Priced(route) => (1, route.price().map_or(0, Price::nano_usd)),
            Self::MethodNotAllowed(_) => (2, 0),
            Self::Denied(_) => (3, 0),
        }
    }
}

/// Whether letter case tells names apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Exact,
    Ignored,
}

/// The routes of one host: built once, asked for every request.
#[derive(Debug, Clone)]
pub struct RouteTable<T> {
    routes: Vec<Route<T>>,
    unlisted: Unlisted,
    /// A tree by segments; the root is the first node.
    nodes: Vec<Node>,
}

/// Everything that continues one pattern prefix. Numbers index `nodes` and `routes`.
#[derive(Debug, Clone, Default)]
struct Node {
    /// Children by folded text, sorted.
    literals: Vec<(Box<str>, usize)>,
    one: Option<usize>,
    /// Routes whose pattern ends here.
    here: Vec<usize>,
    /// Routes whose pattern covers everything from here on.
    rest: Vec<usize>,
}

impl<T> RouteTable<T> {
    /// Builds the table.
    ///
    /// # Errors
    /// Every pair of rows that no request could tell apart.
    pub fn build(routes: Vec<Route<T>>, unlisted: Unlisted) -> Result<Self, Vec<DuplicateRoute>> {
        let mut nodes = vec![Node::default()];
        let mut duplicates = Vec::new();
        for (second, route) in routes.iter().enumerate() {
            let ends = place(&mut nodes, &route.pattern);
            let claims_same = |&&first: &&usize| routes[first].methods.overlaps(&route.methods);
            if let Some(&first) = ends.iter().find(claims_same) {
                duplicates.push(DuplicateRoute { first, second });
            }
            ends.push(second);
        }
        if duplicates.is_empty() {
            Ok(Self {
                routes,
                unlisted,
                nodes,
            })
        } else {
            Err(duplicates)
        }
    }

    /// The rows in the order given.
    #[must_use]
    pub fn routes(&self) -> &[Route<T>] {
        &self.routes
    }

    /// The same table with other values.
    #[must_use]
    pub fn map<U>(self, mut value: impl FnMut(T) -> U) -> RouteTable<U> {
        let routes = self.routes.into_iter();
        RouteTable {
            routes: routes
                .map(
                    |Route {
                         pattern,
                         methods,
                         access,
                         value: old,
                     }| Route {
                        pattern,
                        methods,
                        access,
                        value: value(old),
                    },
                )
                .collect(),
            unlisted: self.unlisted,
            nodes: self.nodes,
        }
    }

    /// Decides on a request: the strictest verdict over all readings of the path.
    #[must_use]
    pub fn decide<'t>(&'t self, method: &str, path: &CanonicalPath<'_>) -> Verdict<'t, T> {
        let mut strictest = None;
        let mut hold = |verdict: Verdict<'t, T>| {
            let stricter = |held: &Verdict<'_, T>| verdict.strictness() > held.strictness();
            if strictest.as_ref().is_none_or(stricter) {
                strictest = Some(verdict);
            }
        };
        each_reading(path, |names| {
            let verdict = self.decide_reading(method, names, Case::Ignored);
            // A route that matches to the letter is also what an exact origin would choose.
            if verdict
                .route()
                .is_some_and(|route| !route.pattern.agrees_exactly(names))
            {
                hold(self.decide_reading(method, names, Case::Exact));
            }
            hold(verdict);
        });
        strictest.unwrap_or(Verdict::Denied(None))
    }

    fn decide_reading(&self, method: &str, names: &[&str], case: Case) -> Verdict<'_, T> {
        let mut chosen = None;
        let mut other_methods = None;
        self.visit(0, names, &mut |ends| {
            let fits =
                |route: &&Route<T>| case == Case::Ignored || route.pattern.agrees_exactly(names);
            let routes = || ends.iter().map(|&at| &self.routes[at]).filter(fits);
            let coverage = |route: &Route<T>| route.methods.coverage(method);
            let covering = routes().filter_map(|route| Some((coverage(route)?, route)));
            chosen = covering
                .max_by_key(|&(coverage, _): &(Coverage, _)| coverage)
                .map(|(_, r)| r);
            other_methods =
                other_methods.or_else(|| routes().find(|route| route.price().is_some()));
            chosen.is_some()
        });
        match (chosen, other_methods) {
            (Some(route), _) => match route.access {
                Access::Priced(_) => Verdict::Priced(route),
                Access::Free => Verdict::Free(route),
                Access::Denied => Verdict::Denied(Some(route)),
            },
            (None, Some(route)) => Verdict::MethodNotAllowed(route),
            (None, None) => match self.unlisted {
                Unlisted::Pass => Verdict::Passed,
                Unlisted::Deny => Verdict::Denied(None),
            },
        }
    }

    /// Calls `stop` with the routes of every matching pattern, the most specific first, until it
    /// says so. Visits each node at most once; the depth is at most that of the longest pattern.
    fn visit(&self, at: usize, names: &[&str], stop: &mut impl FnMut(&[usize]) -> bool) -> bool {
        let node = &self.nodes[at];
        let below = match names.split_first() {
            None => !node.here.is_empty() && stop(&node.here),
            Some((name, names)) => {
                let mut children = literal_child(node, name).into_iter().chain(node.one);
                children.any(|child| self.visit(child, names, stop))
            }
        };
        below || (!node.rest.is_empty() && stop(&node.rest))
    }
}

/// Finds or makes the node of a pattern and returns the list of routes that end there.
fn place<'n>(nodes: &'n mut Vec<Node>, pattern: &Pattern) -> &'n mut Vec<usize> {
    let mut at = 0;
    for segment in pattern.segments() {
        let fresh = nodes.len();
        let child = match segment {
            Segment::Rest => return &mut nodes[at].rest,
            Segment::One => *nodes[at].one.get_or_insert(fresh),
            Segment::Literal(text) => {
                let key: Box<str> = folded(text).collect::<String>().into();
                let literals = &mut nodes[at].literals;
                match literals.binary_search_by(|(text, _)| text.cmp(&key)) {
                    Ok(found) => literals[found].1,
                    Err(gap) => {
                        literals.insert(gap, (key, fresh));
                        fresh
                    }
                }
            }
        };
        if child == fresh {
            nodes.push(Node::default());
        }
        at = child;
    }
    &mut nodes[at].here
}

/// The child for a name. Allocates only where folding changes the name.
fn literal_child(node: &Node, name: &str) -> Option<usize> {
    let key = if !name.is_ascii() {
        Cow::Owned(folded(name).collect())
    } else if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    let found = node
        .literals
        .binary_search_by(|(text, _)| (**text).cmp(&key));
    found.ok().map(|at| node.literals[at].1)
}

#[cfg(test)]
mod tests;
