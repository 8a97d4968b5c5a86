//! Verifying payments without a network, beside the one step of it that cannot be made cheaper.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use octroi_types::{Amount, B256, ChainId, UnixSeconds};
use octroi_x402::{
    Authorization, ExactPayload, Offer, OfferDetails, Payment, SignatureBytes, Terms, Token,
    VersionTag, WINDOW_SECONDS_MAX, WindowRules, address_of, payment_identity, sign_authorization,
    v2,
};
use rustix::time::{ClockId, clock_gettime};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, SECP256K1, SecretKey};

use crate::payments::Buyers;

/// Enough that neither branch predictor nor cache learns them, few enough to be signed at once.
const PAYMENTS: usize = 512;
const NOW: UnixSeconds = UnixSeconds(1_763_769_600);
const RULES: WindowRules = WindowRules {
    settlement_margin_seconds: 30,
    max_window_seconds: WINDOW_SECONDS_MAX,
};

/// Payments of version 2, as header values and as what libsecp256k1 takes.
#[derive(Debug)]
pub struct Verification {
    offer: Offer,
    headers: Vec<String>,
    signatures: Vec<(Message, RecoverableSignature)>,
}

impl Verification {
    /// Signs payments.
    ///
    /// # Errors
    /// When the sample is not sound.
    pub fn prepare() -> Result<Self> {
        let terms = Terms {
            token: Arc::new(Token::new(
                ChainId(84_532),
                octroi_interop::BASE_SEPOLIA_USDC.parse()?,
                "USDC",
                "2",
            )),
            pay_to: octroi_interop::PAYEE.address,
            amount: Amount::new(1_000)?,
            max_timeout_seconds: 300,
        };
        let buyers = Buyers::new(PAYMENTS)?;
        let signed: Vec<_> = buyers
            .keys()
            .map(|key| sign(key, &terms))
            .collect::<Result<_>>()?;
        let (headers, signatures) = signed.into_iter().unzip();
        let offer = Offer::new(vec![terms], OfferDetails::default())?;
        Ok(Self {
            offer,
            headers,
            signatures,
        })
    }

    /// Payments a second and core, from the header's text to a checked authorization and the
    /// payment's name: base64, strict JSON, matching with the terms, digest, window, value, recovery.
    ///
    /// # Errors
    /// When a payment is refused, which would make the number worthless.
    pub fn ours(&self, time: Duration) -> Result<f64> {
        per_core_second(time, || {
            for header in &self.headers {
                let payment = Payment::from_header(octroi_x402::Version::V2, black_box(header))
                    .context("a payment of our own")?;
                let (terms, checked) = self
                    .offer
                    .verify(&payment, NOW, &RULES)
                    .map_err(|reason| anyhow::anyhow!("refused: {reason:?}"))?;
                ensure!(checked.is_recovered(), "not recovered");
                black_box(checked.identity(&terms.token));
            }
            Ok(self.headers.len())
        })
    }

    /// Public keys recovered a second and core, from parsed signatures: nothing else.
    ///
    /// # Errors
    /// When a signature is not one.
    pub fn bare(&self, time: Duration) -> Result<f64> {
        per_core_second(time, || {
            for (message, signature) in &self.signatures {
                black_box(SECP256K1.recover_ecdsa(*black_box(message), signature)?);
            }
            Ok(self.signatures.len())
        })
    }
}

/// A payment's header, and its digest and signature.
fn sign(key: &SecretKey, terms: &Terms) -> Result<(String, (Message, RecoverableSignature))> {
    let from = address_of(key);
    let authorization = Authorization {
        from,
        to: terms.pay_to,
        value: terms.amount.units().into(),
        valid_after: 0.into(),
        valid_before: NOW.plus(300).0.into(),
        nonce: payment_identity(terms.chain(), terms.asset(), from, B256::ZERO),
    };
    let signature = sign_authorization(key, &terms.token, &authorization);
    let [rs @ .., v] = &signature;
    let recovery = if *v == 27 {
        RecoveryId::Zero
    } else {
        RecoveryId::One
    };
    let recoverable = RecoverableSignature::from_compact(rs, recovery)?;
    let message = Message::from_digest(terms.token.digest(&authorization).0);
    let payment = Payment::V2(v2::PaymentPayload {
        x402_version: VersionTag,
        resource: Some(v2::ResourceInfo {
            url: "https://shop.example/reports/2026".to_owned(),
            ..v2::ResourceInfo::default()
        }),
        accepted: terms.to_v2(),
        payload: ExactPayload::Eip3009 {
            authorization,
            signature: SignatureBytes::from(signature.to_vec()),
        },
        extensions: None,
    });
    Ok((payment.to_header(), (message, recoverable)))
}

/// Repeats `pass` until it has used so much processor time, and returns how much it did in each
/// second of that. What other programs take from the processor meanwhile does not count.
fn per_core_second(time: Duration, mut pass: impl FnMut() -> Result<usize>) -> Result<f64> {
    let start = thread_cpu_time()?;
    let mut done = 0;
    loop {
        done += pass()?;
        let used = thread_cpu_time()?.saturating_sub(start);
        if used >= time {
            return Ok(done as f64 / used.as_secs_f64());
        }
    }
}

fn thread_cpu_time() -> Result<Duration> {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Ok(Duration::new(
        now.tv_sec.try_into()?,
        now.tv_nsec.try_into()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_do_their_work() {
        let verification = Verification::prepare().unwrap();
        assert!(verification.ours(Duration::from_nanos(1)).unwrap() > 0.0);
        assert!(verification.bare(Duration::from_nanos(1)).unwrap() > 0.0);
    }

    #[test]
    fn a_refused_payment_is_no_measurement() {
        let mut verification = Verification::prepare().unwrap();
        verification.headers.swap_remove(0);
        verification.headers.push("e30=".to_owned());
        assert!(verification.ours(Duration::from_nanos(1)).is_err());
    }
}
