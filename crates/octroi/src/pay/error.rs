//! Why a purchase did not go through, and what that means for the money.

use std::io;

use http::StatusCode;
use octroi_egress::EgressError;
use octroi_types::UnixSeconds;
use octroi_x402::DecodeError;

use crate::failure::Failure;

/// Why nothing was bought.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayError {
    /// The arguments do not fit together or name something that is not there.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to do about it.
        help: &'static str,
        /// Why.
        #[source]
        source: Option<anyhow::Error>,
    },
    /// The price is above the limit.
    #[error("the price {price} is above the limit {limit}")]
    OverLimit {
        /// In dollars.
        price: String,
        /// In dollars.
        limit: String,
    },
    /// Nothing that is offered is allowed.
    #[error("none of the offered ways to pay is allowed: {}", offers.join("; "))]
    NothingAllowed {
        /// Each with the reason why not.
        offers: Vec<String>,
    },
    /// The terms are for something else than what was asked for.
    #[error("the payment would be for {offered}, and {asked} was asked for")]
    ResourceMismatch {
        /// What the terms name.
        offered: String,
        /// What was requested.
        asked: String,
    },
    /// A 402 without terms that are understood here.
    #[error("the server asks for a payment in a way that is not understood here")]
    Terms(#[source] DecodeError),
    /// The server does not take the payment.
    #[error("the payment was refused: {reason}")]
    Refused {
        /// In the server's words.
        reason: String,
    },
    /// The server does not know yet what became of the payment.
    #[error("the settlement of the payment is not known yet")]
    Pending {
        /// Until when it may still be settled.
        valid_before: UnixSeconds,
    },
    /// No answer to the request without a payment.
    #[error("the request failed")]
    Exchange(#[source] EgressError),
    /// No answer to the request with the payment.
    #[error("the request failed after the payment may have been sent")]
    ExchangePaid {
        /// Why.
        #[source]
        source: EgressError,
        /// Until when it may still be settled.
        valid_before: UnixSeconds,
    },
    /// The answer ended early.
    #[error("the answer broke off")]
    BrokeOff(#[source] EgressError),
    /// The server answered with an error.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The content could not be written.
    #[error("the content could not be written")]
    Output(#[source] io::Error),
    /// The content does not fit into a JSON object.
    #[error("the content is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
}

impl PayError {
    pub(crate) fn usage(what: impl Into<String>, help: &'static str) -> Self {
        Self::Usage {
            what: what.into(),
            help,
            source: None,
        }
    }

    /// The exit code, as `--help` lists them.
    pub(crate) const fn exit(&self) -> u8 {
        match self {
            Self::Output(_) | Self::TooLarge { .. } => 1,
            Self::Usage { .. } => 2,
            Self::OverLimit { .. }
            | Self::NothingAllowed { .. }
            | Self::ResourceMismatch { .. } => 3,
            Self::Refused { .. } => 4,
            Self::Pending { .. } => 5,
            Self::Exchange(_) | Self::ExchangePaid { .. } | Self::BrokeOff(_) => 6,
            Self::Terms(_) | Self::Status(_) => 22,
        }
    }

    /// The code in `--json`.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Usage { .. } => "usage",
            Self::OverLimit { .. } => "over_limit",
            Self::NothingAllowed { .. } => "nothing_allowed",
            Self::ResourceMismatch { .. } => "resource_mismatch",
            Self::Terms(_) => "terms_not_understood",
            Self::Refused { .. } => "payment_refused",
            Self::Pending { .. } => "settlement_pending",
            Self::Exchange(_) | Self::ExchangePaid { .. } => "network_error",
            Self::BrokeOff(_) => "answer_broke_off",
            Self::Status(_) => "http_error",
            Self::Output(_) => "output",
            Self::TooLarge { .. } => "content_too_large",
        }
    }

    fn help(&self) -> Option<String> {
        let until = |valid_before: &UnixSeconds| {
            let seconds = i64::try_from(valid_before.0).unwrap_or(i64::MAX);
            jiff::Timestamp::from_second(seconds)
                .map_or_else(|_| valid_before.to_string(), |time| time.to_string())
        };
        match self {
            Self::Usage { help, .. } => (!help.is_empty()).then(|| (*help).to_owned()),
            Self::OverLimit { .. } => Some("allow more with --max".to_owned()),
            Self::ResourceMismatch { .. } => Some(
                "ask for the address that the server names, or pay all the same with \
                 --allow-resource-mismatch"
                    .to_owned(),
            ),
            Self::Terms(_) => Some("x402 with the scheme `exact` is understood".to_owned()),
            Self::Pending { valid_before } | Self::ExchangePaid { valid_before, .. } => {
                Some(format!(
                    "the money may be taken until {}; a new payment before that may pay twice",
                    until(valid_before)
                ))
            }
            Self::TooLarge { .. } => Some("write it to a file with --output".to_owned()),
            Self::NothingAllowed { .. }
            | Self::Refused { .. }
            | Self::Exchange(_)
            | Self::BrokeOff(_)
            | Self::Status(_)
            | Self::Output(_) => None,
        }
    }
}

impl From<PayError> for Failure {
    fn from(error: PayError) -> Self {
        let (exit, help) = (error.exit(), error.help());
        let failure = Self::from(anyhow::Error::new(error)).exit(exit);
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}
