//! What a server answers, and what that means for the payment.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use octroi_egress::{EgressBody, EgressError};
use octroi_types::UnixMicros;
use octroi_x402::{BODY_BYTES_MAX, DecodeError, Reason, SettleResponse, client::Required, header};
use serde::Deserialize;

use super::error::PayError;
use super::sink::Sink;
use crate::output::one_line;

/// The longest wait that a server can ask for, and the one when it asks for none.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// How much of a server's explanation is shown.
const REASON_CHARS_MAX: usize = 300;

/// An answer. Of one that may speak about the payment the start of the body has been read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    start: Bytes,
    rest: Option<EgressBody>,
}

/// What an answer to a payment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Here is the content.
    Served,
    /// The settlement is not known yet.
    Pending,
    /// Come again with the same payment.
    Busy,
    /// The payment is not taken.
    Refused(String),
    /// An error that is not about the payment.
    Failed,
}

/// The error objects of the gate and of version 1.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorField,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorField {
    Text(String),
    Detail {
        code: String,
        #[serde(default)]
        message: String,
    },
}

impl Answer {
    /// Takes an answer, and reads the start of its body if it may speak about the payment.
    pub(crate) async fn read(response: Response<EgressBody>) -> Result<Self, EgressError> {
        let (parts, mut body) = response.into_parts();
        let mut answer = Self {
            status: parts.status,
            headers: parts.headers,
            start: Bytes::new(),
            rest: None,
        };
        let mut ended = false;
        if matches!(parts.status.as_u16(), 402 | 409 | 503) {
            let mut start = BytesMut::new();
            while !ended && start.len() <= BODY_BYTES_MAX {
                match body.frame().await.transpose()? {
                    Some(frame) => {
                        start.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                    }
                    None => ended = true,
                }
            }
            answer.start = start.freeze();
        }
        answer.rest = (!ended).then_some(body);
        Ok(answer)
    }

    /// The terms of a 402.
    pub(crate) fn terms(&self) -> Result<Required, DecodeError> {
        let terms = self.headers.get(header::PAYMENT_REQUIRED);
        // Bytes that are no text are in no base64 alphabet either.
        let terms = terms.map(|value| value.to_str().unwrap_or("\u{fffd}"));
        Required::read(terms, &self.start)
    }

    /// What the server says became of the payment.
    pub(crate) fn receipt(&self) -> Option<SettleResponse> {
        [header::PAYMENT_RESPONSE, header::X_PAYMENT_RESPONSE]
            .iter()
            .filter_map(|name| self.headers.get(*name)?.to_str().ok())
            .find_map(|text| SettleResponse::from_header(text).ok())
    }

    /// The refund credit that the gate names.
    pub(crate) fn refund_credit(&self) -> Option<String> {
        let value = self.headers.get(header::X_REFUND_CREDIT)?;
        Some(one_line(value.to_str().ok()?, REASON_CHARS_MAX))
    }

    /// What the answer to a payment says.
    pub(crate) fn verdict(&self) -> Verdict {
        if !self.status.is_client_error() && !self.status.is_server_error() {
            return Verdict::Served;
        }
        let (code, message) = self.reason();
        let pending = Reason::from_code(&code).is_some_and(Reason::is_pending);
        match self.status {
            _ if pending => Verdict::Pending,
            StatusCode::SERVICE_UNAVAILABLE if self.headers.contains_key(RETRY_AFTER) => {
                Verdict::Busy
            }
            StatusCode::PAYMENT_REQUIRED => Verdict::Refused(explained(&code, &message)),
            StatusCode::CONFLICT if code.starts_with("payment_") => {
                Verdict::Refused(explained(&code, &message))
            }
            _ => Verdict::Failed,
        }
    }

    /// What the server says about a refusal, for people.
    pub(crate) fn explanation(&self) -> String {
        let (code, message) = self.reason();
        explained(&code, &message)
    }

    /// The server's code and sentence about a refusal: from the receipt, the terms or the body.
    fn reason(&self) -> (String, String) {
        if let Some(receipt) = self.receipt().filter(|receipt| !receipt.success)
            && let Some(code) = receipt.error_reason
        {
            return (code, receipt.error_message.unwrap_or_default());
        }
        if let Ok(required) = self.terms()
            && let Some(error) = required.error()
        {
            return (error.to_owned(), String::new());
        }
        match serde_json::from_slice::<ErrorBody>(&self.start) {
            Ok(body) => match body.error {
                ErrorField::Text(text) => (text, String::new()),
                ErrorField::Detail { code, message } => (code, message),
            },
            Err(_) => Default::default(),
        }
    }

    /// How long the server wants to be left alone.
    pub(crate) fn retry_after(&self) -> Duration {
        self.headers
            .get(RETRY_AFTER)
            .and_then(|value| parse_retry_after(value.to_str().ok()?, UnixMicros::now()))
            .unwrap_or(RETRY_AFTER_DEFAULT)
            .min(RETRY_AFTER_MAX)
    }

    /// Status line and headers as text, with the blank line behind them.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("HTTP {}\r\n", self.status);
        for (name, value) in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }

    /// Writes the content, part by part as it arrives.
    pub(crate) async fn deliver(self, sink: &mut Sink) -> Result<(), PayError> {
        sink.begin()?;
        if !self.start.is_empty() {
            sink.write(&self.start)?;
        }
        let Some(mut rest) = self.rest else {
            return Ok(());
        };
        while let Some(frame) = rest.frame().await {
            let frame = frame.map_err(PayError::BrokeOff)?;
            if let Some(data) = frame.data_ref() {
                sink.write(data)?;
            }
        }
        Ok(())
    }
}

/// A code with what it means.
fn explained(code: &str, message: &str) -> String {
    let message = match Reason::from_code(code) {
        Some(reason) if message.is_empty() => reason.message(),
        _ => message,
    };
    let text = match (code, message) {
        ("", "") => "the server does not say why".to_owned(),
        (text, "") | ("", text) => text.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    one_line(&text, REASON_CHARS_MAX)
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
fn parse_retry_after(text: &str, now: UnixMicros) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    Some(UnixMicros(date.timestamp().as_microsecond()).since(now))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;
    use octroi_types::{B256, ChainId};
    use octroi_x402::Version;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (http::HeaderName::from_static(name), value)
        });
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            start: Bytes::copy_from_slice(body.as_bytes()),
            rest: None,
        }
    }

    fn receipt(reason: Reason) -> String {
        let hash = Some(B256([1; 32]));
        SettleResponse::failed(Version::V2, ChainId(1), reason, hash, None).to_header()
    }

    #[test]
    fn a_pending_settlement_is_pending_under_any_status() {
        let pending = receipt(Reason::SettlementPending);
        for status in [402, 500, 502, 503] {
            for header in ["payment-response", "x-payment-response"] {
                let answer = answer(status, &[(header, &pending)], "");
                assert_eq!(answer.verdict(), Verdict::Pending, "{status} {header}");
            }
        }
        let body = r#"{"error":{"code":"settlement_pending","message":"wait"}}"#;
        assert_eq!(answer(503, &[], body).verdict(), Verdict::Pending);
        let v1 = r#"{"x402Version":1,"error":"settlement_pending","accepts":[]}"#;
        assert_eq!(answer(402, &[], v1).verdict(), Verdict::Pending);
    }

    #[test]
    fn refusals_say_why() {
        let refused = receipt(Reason::InsufficientBalance);
        let verdict = answer(402, &[("payment-response", &refused)], "").verdict();
        let Verdict::Refused(reason) = verdict else {
            panic!("{verdict:?}")
        };
        assert!(reason.starts_with("invalid_exact_evm_insufficient_balance: The payer"));

        let used = r#"{"error":{"code":"payment_already_used","message":"sign a new one"}}"#;
        assert_eq!(
            answer(409, &[], used).verdict(),
            Verdict::Refused("payment_already_used: sign a new one".to_owned())
        );
        assert_eq!(
            answer(402, &[], "<html>").verdict(),
            Verdict::Refused("the server does not say why".to_owned())
        );
    }

    #[test]
    fn errors_of_the_origin_are_not_about_the_payment() {
        assert_eq!(
            answer(409, &[], r#"{"error":"conflict"}"#).verdict(),
            Verdict::Failed
        );
        assert_eq!(answer(503, &[], "").verdict(), Verdict::Failed);
        assert_eq!(
            answer(503, &[("retry-after", "0")], "").verdict(),
            Verdict::Busy
        );
        assert_eq!(answer(404, &[], "").verdict(), Verdict::Failed);
        assert_eq!(answer(204, &[], "").verdict(), Verdict::Served);
        assert_eq!(answer(302, &[], "").verdict(), Verdict::Served);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UnixMicros(1_763_769_600_000_000); // 2025-11-22 00:00:00 UTC, a Saturday
        assert_eq!(parse_retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(
            parse_retry_after("Sat, 22 Nov 2025 00:00:30 GMT", now),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            parse_retry_after("Fri, 21 Nov 2025 00:00:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(parse_retry_after("soon", now), None);
        let waits = |value| answer(503, &[("retry-after", value)], "").retry_after();
        assert_eq!(waits("86400"), RETRY_AFTER_MAX);
        assert_eq!(waits("soon"), RETRY_AFTER_DEFAULT);
    }
}
