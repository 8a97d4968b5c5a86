//! Paid requests, signed before the clock starts.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use octroi_interop::Http;
use octroi_types::{Address, B256, UnixMicros, keccak256};
use octroi_x402::client::{Choice, Required, SpendingLimit};
use octroi_x402::{Terms, address_of, header};
use secp256k1::SecretKey;

use crate::request::Target;

/// Many buyers, so that none of them is short of money, and no cached balance serves them all.
#[derive(Clone, Debug)]
pub struct Buyers(Vec<SecretKey>);

impl Buyers {
    /// So many accounts that exist nowhere else. The same every time.
    ///
    /// # Errors
    /// When a key falls outside the curve's order, which is not to be expected.
    pub fn new(count: usize) -> Result<Self> {
        let key = |index| {
            let digest = keccak256(format!("octroi benchmark buyer {index}").as_bytes());
            SecretKey::from_byte_array(digest.0).context("not a key")
        };
        Ok(Self((0..count).map(key).collect::<Result<_>>()?))
    }

    /// Their keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &SecretKey> {
        self.0.iter()
    }

    /// Their addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Address> {
        self.0.iter().map(address_of)
    }
}

/// What a seller asks for, and who is going to pay it.
#[derive(Clone, Debug)]
pub struct Signer {
    target: Target,
    required: Required,
    /// Allows the first offer, exactly.
    limit: SpendingLimit,
    buyers: Buyers,
}

impl Signer {
    /// Asks the seller for its terms.
    ///
    /// # Errors
    /// When it does not answer with a 402 that can be read.
    pub async fn ask(target: Target, buyers: Buyers) -> Result<Self> {
        let request = Request::get(format!("http://{}{}", target.address, target.path))
            .header("host", &target.host)
            .body(Full::<Bytes>::default())?;
        let answer = Http::new().send(request).await?;
        ensure!(
            answer.status == 402,
            "{} for {} unpaid",
            answer.status,
            target.path
        );
        let terms = answer.header(header::PAYMENT_REQUIRED);
        let required = Required::read(terms, &answer.body).context("the terms of the 402")?;
        let limit = first_offer(&required)?;
        Ok(Self {
            target,
            required,
            limit,
            buyers,
        })
    }

    /// The token that is paid with.
    #[must_use]
    pub fn asset(&self) -> Address {
        self.limit.asset
    }

    /// Signs that many payments, the buyers taking turns, and returns the requests that carry them.
    /// The offer's time to pay begins now.
    ///
    /// # Errors
    /// When nothing of what is offered can be paid.
    pub fn sign(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        let choice = Choice::pick(&self.required, &[self.limit])?;
        let now = UnixMicros::now().seconds();
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| anyhow!("no randomness: {error}"))?;
        let requests = self
            .buyers
            .0
            .iter()
            .cycle()
            .zip(0..count)
            .map(|(key, index)| {
                let nonce = nonce(&seed, index);
                let payment = choice.sign(key, now, nonce, None);
                self.target
                    .get(&[(payment.header_name, payment.header_value.expose())])
            });
        Ok(requests.collect())
    }
}

fn first_offer(required: &Required) -> Result<SpendingLimit> {
    let Required::V2(required) = required else {
        bail!("the terms are of version 1");
    };
    let first = required.accepts.first().context("no terms")?;
    let terms = Terms::from_v2(first).map_err(|reason| anyhow!("cannot pay: {reason:?}"))?;
    Ok(SpendingLimit {
        chain: terms.chain(),
        asset: terms.asset(),
        amount_max: terms.amount,
    })
}

fn nonce(seed: &[u8; 32], index: usize) -> B256 {
    keccak256(&[&seed[..], &index.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use octroi_types::{Amount, ChainId};
    use octroi_x402::{Offer, OfferDetails, Payment, Token, Version, WindowRules};

    use super::*;

    fn offer() -> Offer {
        let terms = Terms {
            token: Arc::new(Token::new(ChainId(84_532), Address([7; 20]), "USDC", "2")),
            pay_to: Address([9; 20]),
            amount: Amount::new(1_000).unwrap(),
            max_timeout_seconds: 300,
        };
        Offer::new(vec![terms], OfferDetails::default()).unwrap()
    }

    #[test]
    fn every_request_carries_a_payment_of_its_own_that_verifies() {
        let offer = offer();
        let required = Required::V2(offer.payment_required("http://shop.test/x", None));
        let signer = Signer {
            target: Target::parse("http://127.0.0.1:1/x").unwrap(),
            limit: first_offer(&required).unwrap(),
            required,
            buyers: Buyers::new(3).unwrap(),
        };
        assert_eq!(signer.asset(), Address([7; 20]));

        let rules = WindowRules {
            settlement_margin_seconds: 30,
            max_window_seconds: 300,
        };
        let now = UnixMicros::now().seconds();
        let (mut nonces, mut payers) = (HashSet::new(), HashSet::new());
        for request in signer.sign(7).unwrap() {
            let request = String::from_utf8(request).unwrap();
            let field = request
                .lines()
                .find(|line| line.starts_with(header::PAYMENT_SIGNATURE));
            let (_, value) = field.unwrap().split_once(": ").unwrap();
            let payment = Payment::from_header(Version::V2, value).unwrap();
            let (_, checked) = offer.verify(&payment, now, &rules).unwrap();
            assert!(checked.is_recovered());
            nonces.insert(checked.nonce);
            payers.insert(checked.payer);
        }
        assert_eq!((nonces.len(), payers.len()), (7, 3));
        assert_eq!(payers, signer.buyers.addresses().collect());
    }

    #[test]
    fn two_signings_share_no_nonce() {
        assert_ne!(nonce(&[0; 32], 1), nonce(&[1; 32], 1));
        assert_ne!(nonce(&[0; 32], 1), nonce(&[0; 32], 2));
    }
}
