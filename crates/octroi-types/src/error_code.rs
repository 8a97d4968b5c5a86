//! The stable machine-readable codes that clients see in `error.code`.

use std::fmt;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// Why the gate refused or failed a request. Codes never change their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code, for the documentation test.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as clients read it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

error_codes! {
    /// The request is malformed in a way that no other code names.
    BadRequest = "bad_request", 400;
    /// The path cannot be decoded to one meaning.
    MalformedPath = "malformed_path", 400;
    /// `Host` is missing, or disagrees with `:authority`.
    MalformedHost = "malformed_host", 400;
    /// Two payment evidences in one request; nothing was charged.
    AmbiguousPayment = "ambiguous_payment", 400;
    /// The body does not match its `Content-Digest`.
    DigestMismatch = "digest_mismatch", 400;
    /// A priced request with a large body must carry `Content-Digest`.
    DigestRequired = "digest_required", 400;
    /// A credential is missing or of the wrong kind.
    Unauthorized = "unauthorized", 401;
    /// The route needs a payment, or the payment was refused; fresh terms are in the answer.
    PaymentRequired = "payment_required", 402;
    /// The route table denies this path.
    Forbidden = "forbidden", 403;
    /// The wallet that pays is not served here.
    AddressDenied = "address_denied", 403;
    /// Nothing lives here.
    NotFound = "not_found", 404;
    /// The paywall does not allow this method; nothing was charged.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The client stopped sending its request half-way.
    RequestTimeout = "request_timeout", 408;
    /// The payment was used before, and buys nothing more.
    PaymentAlreadyUsed = "payment_already_used", 409;
    /// The payment is buying an answer right now.
    PaymentInUse = "payment_in_use", 409;
    /// The payment, or the identifier that came with it, was first used for another request.
    PaymentBoundElsewhere = "payment_bound_elsewhere", 409;
    /// The body is larger than the route allows.
    BodyTooLarge = "body_too_large", 413;
    /// The target is longer than the gate allows.
    UriTooLong = "uri_too_long", 414;
    /// Protocol upgrades cannot be sold; the route is priced.
    UpgradeRefused = "upgrade_refused", 426;
    /// Too many requests.
    RateLimited = "rate_limited", 429;
    /// The headers are larger than the gate allows.
    HeadersTooLarge = "headers_too_large", 431;
    /// The gate failed; nothing is known to be lost.
    Internal = "internal", 500;
    /// The origin could not be reached or broke off.
    OriginUnreachable = "origin_unreachable", 502;
    /// The settlement's outcome is not known yet; retry the same payment, do not sign a new one.
    SettlementPending = "settlement_pending", 503;
    /// The store cannot take writes right now.
    StoreUnavailable = "store_unavailable", 503;
    /// The chain or facilitator cannot be asked right now.
    SettlementUnavailable = "settlement_unavailable", 503;
    /// The gate is shutting down.
    Draining = "draining", 503;
    /// The origin took too long.
    OriginTimeout = "origin_timeout", 504;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
