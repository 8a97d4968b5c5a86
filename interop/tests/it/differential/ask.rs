//! Requests that differ in anything but the payment.

use anyhow::Result;
use http_body_util::Full;
use hyper::Request;
use hyper::header::ALLOW;
use octroi_interop::{BUYERS, PRICE};

use super::{Side, describe};

/// A request.
pub(super) struct Ask {
    pub(super) method: &'static str,
    /// Whether it is for what is sold, and not for a path that is not there.
    pub(super) known: bool,
    pub(super) pays: bool,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: &'static str,
}

impl Ask {
    pub(super) const fn of(method: &'static str) -> Self {
        Self {
            method,
            known: true,
            pays: false,
            headers: &[],
            body: "",
        }
    }

    pub(super) const fn paying(method: &'static str) -> Self {
        Self {
            pays: true,
            ..Self::of(method)
        }
    }

    pub(super) const fn with_body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    pub(super) const fn at_nothing(self) -> Self {
        Self {
            known: false,
            ..self
        }
    }
}

impl Side<'_> {
    /// Sends a request, looks that exactly what the answer says was charged, and describes the answer: as
    /// [`describe`] does, then the methods that it allows, then whether it has a body.
    pub(super) async fn asked(&self, ask: &Ask) -> Result<String> {
        let url = match ask.known {
            true => self.url.clone(),
            false => format!("{}-not", self.url),
        };
        let mut request = Request::builder().method(ask.method).uri(url);
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        if ask.pays {
            let payment = self.terms.sign(&self.market.chain, BUYERS[0]).await?;
            request = request.header("payment-signature", payment.header());
        }
        let earned = self.market.earned().await?;
        let request = request.body(Full::from(ask.body))?;
        let reply = self.market.http.send(request).await?;
        let charged = self.market.earned().await? - earned;
        let mut told = describe(&reply)?;
        let expected = if told.ends_with("paid") { PRICE } else { 0 };
        anyhow::ensure!(charged == expected, "{charged} charged: {told}");
        for name in [ALLOW.as_str(), "access-control-allow-methods"] {
            if let Some(value) = reply.header(name) {
                told.push_str(&format!(", {name}: {value}"));
            }
        }
        if reply.body.is_empty() {
            told.push_str(", empty");
        }
        Ok(told)
    }
}
