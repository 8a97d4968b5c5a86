//! What a request asks for and whether it must be paid.
//!
//! Layer 1, pure: texts come in, decisions come out. The rule that everything here serves is that
//! a priced resource has no unpriced spelling: one canonical path is matched and forwarded, and
//! every way in which an origin might read that path is matched too (see [`RouteTable::decide`]).
//!
//! Every parser takes untrusted text, never panics and allocates at most in proportion to its
//! input.

mod escape;
mod host;
mod method;
mod path;
mod pattern;
mod reading;
mod route;
mod target;

pub use host::{HOST_BYTES_MAX, Host, HostError};
pub use method::{MethodError, Methods};
pub use path::{CanonicalPath, DECODES_MAX, PATH_BYTES_MAX, PathError};
pub use pattern::{PATTERN_SEGMENTS_MAX, Pattern, PatternError};
pub use route::{Access, DuplicateRoute, Route, RouteTable, Unlisted, Verdict};
pub use target::{Target, TargetError};
