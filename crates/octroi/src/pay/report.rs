//! What happened, as one JSON object (`--json`) and as the source of what people are told.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_types::{Address, Amount, B256, Mode, UnixSeconds};
use octroi_x402::client::{Choice, Required, SignedPayment};
use octroi_x402::{Authorization, SettleResponse, Terms};
use serde::Serialize;

use super::error::PayError;
use crate::output::one_line;
use crate::tokens::{self, Token};

/// How much of a server's description is shown.
const DESCRIPTION_CHARS_MAX: usize = 500;

/// How a purchase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Nothing was paid, and no content came.
    #[default]
    NotPaid,
    /// The server asked for no payment.
    Free,
    /// The terms were shown, as asked for.
    DryRun,
    /// A payment was sent, and it is not certain what became of it.
    Unknown,
    /// Paid and answered.
    Paid,
}

/// The whole story. Fields are only ever added.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    /// Of the last answer.
    pub(crate) status: Option<u16>,
    pub(crate) terms: Option<TermsView>,
    pub(crate) payment: Option<PaymentView>,
    pub(crate) receipt: Option<SettleResponse>,
    pub(crate) refund_credit: Option<String>,
    /// The content: text, or base64 of what is no UTF-8.
    pub(crate) body: Option<String>,
    /// `utf-8` or `base64`.
    pub(crate) body_encoding: Option<&'static str>,
    /// Where the content went instead.
    pub(crate) output: Option<String>,
    pub(crate) error: Option<ErrorView>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ErrorView {
    code: &'static str,
    message: String,
    causes: Vec<String>,
}

/// The terms that were chosen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TermsView {
    x402_version: u8,
    /// CAIP-2.
    network: String,
    pub(crate) network_name: String,
    /// `None` for a network that is not known here.
    pub(crate) mode: Option<Mode>,
    pub(crate) asset: Address,
    pub(crate) symbol: Option<&'static str>,
    /// In the token's smallest unit.
    pub(crate) amount: Amount,
    /// In whole tokens.
    amount_decimal: String,
    pub(crate) pay_to: Address,
    pub(crate) max_timeout_seconds: u32,
    pub(crate) resource: String,
    pub(crate) description: Option<String>,
    #[serde(skip)]
    pub(crate) dollars: String,
}

/// The payment, without what makes it worth money.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentView {
    network: String,
    asset: Address,
    amount: Amount,
    pub(crate) payer: Address,
    pay_to: Address,
    pub(crate) valid_after: String,
    pub(crate) valid_before: String,
    pub(crate) nonce: B256,
    /// Whether it was sent, or may have been.
    pub(crate) sent: bool,
}

impl TermsView {
    pub(crate) fn new(required: &Required, choice: &Choice<'_>, token: Token) -> Self {
        let terms = choice.terms();
        let (resource, description) = resource(required, terms);
        Self {
            x402_version: required.version().number(),
            network: terms.chain().to_string(),
            network_name: tokens::chain_name(terms.chain()),
            mode: tokens::mode(terms.chain()),
            asset: terms.asset(),
            symbol: token.symbol,
            amount: terms.amount,
            amount_decimal: terms.amount.to_decimal(token.decimals),
            pay_to: terms.pay_to,
            max_timeout_seconds: terms.max_timeout_seconds,
            resource: resource.to_owned(),
            description: description
                .filter(|text| !text.is_empty())
                .map(|text| one_line(text, DESCRIPTION_CHARS_MAX)),
            dollars: tokens::dollars(terms.amount, token.decimals),
        }
    }
}

/// What the chosen terms say that they are for.
fn resource<'r>(required: &'r Required, terms: &Terms) -> (&'r str, Option<&'r str>) {
    match required {
        Required::V2(required) => {
            let resource = &required.resource;
            (&resource.url, resource.description.as_deref())
        }
        Required::V1(required) => required
            .accepts
            .iter()
            .find(|offer| Terms::from_v1(offer).as_ref() == Ok(terms))
            .map_or(("", None), |offer| {
                (&offer.resource, Some(&offer.description))
            }),
    }
}

impl PaymentView {
    pub(crate) fn new(terms: &Terms, signed: &SignedPayment) -> Self {
        let Authorization {
            from,
            to,
            valid_after,
            valid_before,
            nonce,
            ..
        } = signed.authorization;
        Self {
            network: terms.chain().to_string(),
            asset: terms.asset(),
            amount: terms.amount,
            payer: from,
            pay_to: to,
            valid_after: valid_after.to_string(),
            valid_before: valid_before.to_string(),
            nonce,
            sent: false,
        }
    }
}

/// Until when a payment may be settled.
pub(crate) fn valid_before(signed: &SignedPayment) -> UnixSeconds {
    UnixSeconds(
        signed
            .authorization
            .valid_before
            .to_u64()
            .unwrap_or(u64::MAX),
    )
}

impl Report {
    /// Adds the content.
    pub(crate) fn set_body(&mut self, body: Vec<u8>) {
        let (text, encoding) = match String::from_utf8(body) {
            Ok(text) => (text, "utf-8"),
            Err(error) => (STANDARD.encode(error.as_bytes()), "base64"),
        };
        self.body = Some(text);
        self.body_encoding = Some(encoding);
    }

    /// The payment has left, or may have: from now on somebody may settle it.
    pub(crate) fn set_sent(&mut self) {
        self.outcome = Outcome::Unknown;
        if let Some(payment) = &mut self.payment {
            payment.sent = true;
        }
    }

    pub(crate) fn set_error(&mut self, error: &PayError) {
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        self.error = Some(ErrorView {
            code: error.code(),
            message: error.to_string(),
            causes,
        });
    }

    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, self)?;
        writeln!(out)?;
        out.flush()
    }
}
