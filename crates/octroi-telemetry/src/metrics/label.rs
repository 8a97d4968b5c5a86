//! The labels of metrics. A label's values are an enum, so no request can add a series.

use std::fmt::Write;

use octroi_claim::{PaymentState, WorkState};

/// A label and all the values it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelSpec {
    /// The label's name.
    pub name: &'static str,
    /// Its values.
    pub values: &'static [&'static str],
}

/// A value of one label.
pub(crate) trait Label: Copy {
    const SPEC: LabelSpec;

    /// The position of this value in the label's list.
    fn index(self) -> usize;
}

/// The values of all labels of one series.
pub(crate) trait Labels: Copy {
    /// How many combinations there are.
    const COUNT: usize;
    const SPECS: &'static [LabelSpec];

    /// The combination's number, below [`Labels::COUNT`].
    fn index(self) -> usize;

    /// Appends the label list of the combination with this number.
    fn write(index: usize, out: &mut String) {
        let mut below = Self::COUNT;
        let mut rest = index;
        for spec in Self::SPECS {
            below /= spec.values.len();
            let value = spec.values[rest / below];
            rest %= below;
            let comma = if out.is_empty() { "" } else { "," };
            let _ = write!(out, "{comma}{}=\"{value}\"", spec.name);
        }
    }
}

impl Labels for () {
    const COUNT: usize = 1;
    const SPECS: &'static [LabelSpec] = &[];

    fn index(self) -> usize {
        0
    }
}

impl<A: Label> Labels for (A,) {
    const COUNT: usize = A::SPEC.values.len();
    const SPECS: &'static [LabelSpec] = &[A::SPEC];

    fn index(self) -> usize {
        self.0.index()
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    const COUNT: usize = A::SPEC.values.len() * B::SPEC.values.len();
    const SPECS: &'static [LabelSpec] = &[A::SPEC, B::SPEC];

    fn index(self) -> usize {
        self.0.index() * B::SPEC.values.len() + self.1.index()
    }
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident $label:literal {
        $($(#[$vdoc:meta])* $variant:ident = $value:literal,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl Label for $name {
            const SPEC: LabelSpec = LabelSpec { name: $label, values: &[$($value,)*] };

            fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

labels! {
    /// Which part of the gate a request was for.
    Surface "surface" {
        /// A paywall's own address (`/api/x402/pay/…`, `/api/mpp/pay/…`).
        Pay = "pay",
        /// A site behind the transparent proxy.
        Site = "site",
        /// The facilitator for other servers.
        Facilitator = "facilitator",
        /// Health and metrics.
        Operations = "operations",
    }

    /// How a request ended.
    Outcome "outcome" {
        /// Served, nothing was due.
        Free = "free",
        /// Served and paid.
        Paid = "paid",
        /// Asked for a payment.
        PaymentRequired = "payment_required",
        /// Refused for another reason (4xx of ours).
        Refused = "refused",
        /// The origin failed.
        OriginFailed = "origin_failed",
        /// The settlement is not known yet.
        SettlementPending = "settlement_pending",
        /// The gate failed.
        GateFailed = "gate_failed",
    }

    /// Why a 402 was answered.
    Unpaid "reason" {
        /// No payment came with the request.
        NoPayment = "no_payment",
        /// A payment came and was refused.
        PaymentRefused = "payment_refused",
    }

    /// What became of a payment that came with a request.
    PaymentResult "result" {
        /// It passed every check and was claimed.
        Accepted = "accepted",
        /// It was refused.
        Refused = "refused",
    }

    /// Why a payment was refused; `none` where it was accepted.
    PaymentReason "reason" {
        /// It was accepted.
        None = "none",
        /// It does not parse.
        Malformed = "malformed",
        /// Its terms are not ours: price, asset, payee or resource.
        Terms = "terms",
        /// It is not valid yet, or not for long enough.
        Window = "window",
        /// The signature is not the payer's.
        Signature = "signature",
        /// The payer cannot sign, or is not of an allowed kind.
        Payer = "payer",
        /// The payer is screened out.
        Denied = "denied",
        /// The payer's balance does not cover it.
        Funds = "funds",
        /// Its nonce was spent on the chain before.
        NonceUsed = "nonce_used",
        /// It already bought an answer.
        AlreadyUsed = "already_used",
        /// It is buying an answer right now.
        InUse = "in_use",
        /// It was first used for another request.
        BoundElsewhere = "bound_elsewhere",
        /// The chain or the store could not be asked.
        Unavailable = "unavailable",
    }

    /// How a settlement ended.
    SettlementResult "result" {
        /// The chain shows it.
        Settled = "settled",
        /// It can never happen.
        Failed = "failed",
        /// It is not known yet.
        Unknown = "unknown",
    }

    /// Why an origin did not answer.
    OriginFailure "reason" {
        /// Its address is not allowed.
        Address = "address",
        /// No connection.
        Connect = "connect",
        /// It took too long.
        Timeout = "timeout",
        /// It broke off.
        Broken = "broken",
    }

    /// Which listener a connection came to.
    Listener "listener" {
        /// Buyers, sites and, unless split off, everything else.
        Gate = "gate",
        /// Management and operations.
        Management = "management",
        /// Plain HTTP that only answers certificate challenges and redirects.
        Redirect = "redirect",
    }

    /// Why a connection was closed before its first request.
    Refusal "reason" {
        /// The gate has as many connections as it may have.
        Total = "total_limit",
        /// The client's address has as many connections as it may have.
        Address = "address_limit",
        /// No TLS handshake, or on plain HTTP no first byte, came in time.
        Handshake = "handshake",
    }

    /// Why a connection was ended by the gate.
    Expiry "reason" {
        /// A request head took too long.
        Head = "head",
        /// Nothing was asked for a while.
        Idle = "idle",
        /// The client stopped reading its answer.
        Stalled = "stalled",
    }

    /// Which way bytes went.
    Direction "direction" {
        /// From clients.
        Received = "received",
        /// To clients.
        Sent = "sent",
    }

    /// How the order for a certificate ended.
    OrderResult "result" {
        /// The certificate is in use.
        Issued = "issued",
        /// It will be tried again.
        Failed = "failed",
    }
}

impl Label for PaymentState {
    const SPEC: LabelSpec = LabelSpec {
        name: "to",
        values: &[
            "claimed",
            "broadcast",
            "settled",
            "failed",
            "unknown",
            "covered",
            "released",
        ],
    };

    fn index(self) -> usize {
        match self {
            Self::Claimed => 0,
            Self::Broadcast => 1,
            Self::Settled => 2,
            Self::Failed => 3,
            Self::Unknown => 4,
            Self::Covered => 5,
            Self::Released => 6,
        }
    }
}

impl Label for WorkState {
    const SPEC: LabelSpec = LabelSpec {
        name: "to",
        values: &[
            "not_started",
            "executing",
            "answered",
            "delivered",
            "broken",
        ],
    };

    fn index(self) -> usize {
        match self {
            Self::NotStarted => 0,
            Self::Executing => 1,
            Self::Answered => 2,
            Self::Delivered => 3,
            Self::Broken => 4,
        }
    }
}
