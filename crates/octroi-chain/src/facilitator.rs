//! Speaking to somebody else's facilitator (x402 specification, version 2, section 7).

use std::fmt;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use octroi_egress::{Client, FetchRequest, FetchResponse, Phase};
use octroi_types::Redacted;
use octroi_x402::facilitator::{FacilitatorRequest, SupportedResponse};
use octroi_x402::{DecodeError, SettleResponse, VerifyResponse};

/// Why a facilitator gave no answer that counts.
#[derive(Debug, thiserror::Error)]
pub enum FacilitatorError {
    /// The request did not reach it, or it says that it did not look at it.
    #[error("the facilitator cannot be reached")]
    Unreachable(#[source] octroi_egress::EgressError),
    /// The request may have reached it, and what it did is not known.
    #[error("the facilitator did not answer")]
    Silent(#[source] octroi_egress::EgressError),
    /// It answered with another status than 200.
    #[error("the facilitator answered with status {0}")]
    Status(u16),
    /// Its answer is not one of the protocol.
    #[error("the facilitator's answer is malformed")]
    Malformed(#[source] DecodeError),
    /// The bearer token cannot be sent in a header.
    #[error("the facilitator's bearer token is not a header value")]
    Bearer,
}

impl FacilitatorError {
    /// Whether nothing of the request left the gate: there was no connection to send it on. One that
    /// a facilitator says it did not look at has left, and it could settle it all the same.
    pub(crate) fn is_before_sending(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.phase() != Phase::Send,
            Self::Bearer => true,
            Self::Silent(_) | Self::Status(_) | Self::Malformed(_) => false,
        }
    }
}

/// How a facilitator is reached.
#[derive(Debug, Clone)]
pub struct FacilitatorOptions {
    /// Its URL, below which `/verify`, `/settle` and `/supported` are.
    pub url: String,
    /// A token that it demands.
    pub bearer: Option<Redacted<String>>,
    /// How long a settlement may take. What takes longer is of unknown outcome.
    pub timeout: Duration,
}

impl FacilitatorOptions {
    /// The defaults for a facilitator without access control.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            bearer: None,
            timeout: Duration::from_secs(60),
        }
    }
}

/// A facilitator.
pub struct Facilitator {
    options: FacilitatorOptions,
    client: Client,
}

impl fmt::Debug for Facilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Facilitator")
    }
}

impl Facilitator {
    /// Prepares the way; nothing is connected yet.
    #[must_use]
    pub const fn new(options: FacilitatorOptions, client: Client) -> Self {
        Self { options, client }
    }

    /// What it can settle.
    ///
    /// # Errors
    /// [`FacilitatorError`].
    pub async fn supported(&self) -> Result<SupportedResponse, FacilitatorError> {
        let response = self.send(Method::GET, "supported", None).await?;
        read(&response, SupportedResponse::from_body)
    }

    /// Whether a payment would settle.
    ///
    /// # Errors
    /// [`FacilitatorError`].
    pub async fn verify(
        &self,
        request: &FacilitatorRequest,
    ) -> Result<VerifyResponse, FacilitatorError> {
        let response = self.send(Method::POST, "verify", Some(request)).await?;
        read(&response, VerifyResponse::from_body)
    }

    /// Has a payment settled. Whatever the error, the outcome is unknown, unless the error is
    /// [`FacilitatorError::Unreachable`] (money rule 16).
    ///
    /// # Errors
    /// [`FacilitatorError`].
    pub async fn settle(
        &self,
        request: &FacilitatorRequest,
    ) -> Result<SettleResponse, FacilitatorError> {
        let response = self.send(Method::POST, "settle", Some(request)).await?;
        let answer = SettleResponse::from_body(&response.body);
        match answer {
            // Some facilitators refuse with a status of their own; none may succeed with one.
            Ok(answer) if response.status == StatusCode::OK || refuses(&response, &answer) => {
                Ok(answer)
            }
            _ => read(&response, SettleResponse::from_body),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&FacilitatorRequest>,
    ) -> Result<FetchResponse, FacilitatorError> {
        let url = format!("{}/{path}", self.options.url.trim_end_matches('/'));
        let mut request = FetchRequest::new(method, url);
        request.timeout = self.options.timeout;
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(header::ACCEPT, json.clone());
        if let Some(body) = body {
            request.headers.insert(header::CONTENT_TYPE, json);
            request.body = body.to_body().into();
        }
        if let Some(bearer) = &self.options.bearer {
            let mut value = HeaderValue::try_from(format!("Bearer {}", bearer.expose()))
                .map_err(|_| FacilitatorError::Bearer)?;
            value.set_sensitive(true);
            request.headers.insert(header::AUTHORIZATION, value);
        }
        self.client.fetch(request).await.map_err(|error| {
            if error.may_have_been_sent() {
                FacilitatorError::Silent(error)
            } else {
                FacilitatorError::Unreachable(error)
            }
        })
    }
}

fn refuses(response: &FetchResponse, answer: &SettleResponse) -> bool {
    response.status.is_client_error() && !answer.success && answer.error_reason.is_some()
}

fn read<T>(
    response: &FetchResponse,
    from_body: impl Fn(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, FacilitatorError> {
    if response.status != StatusCode::OK {
        return Err(FacilitatorError::Status(response.status.as_u16()));
    }
    from_body(&response.body).map_err(FacilitatorError::Malformed)
}
