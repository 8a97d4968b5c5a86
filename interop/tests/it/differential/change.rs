//! What is different about a payment.

use anyhow::{Context as _, Result};
use octroi_interop::{
    Account, BUYERS, BaseSepolia, Draft, FACILITATOR, OWNER, Terms, encoded, unix_seconds,
};
use serde_json::Value;

/// An address that plays no part.
pub(super) const STRANGER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

const HEADER: &str = "payment-signature";

/// What makes a request out of terms.
pub(super) enum Change {
    /// A good payment.
    Nothing,
    /// No payment at all.
    Absent,
    /// This text in place of a payment.
    Text(&'static str),
    /// Something else is signed.
    Draft(fn(&mut Draft)),
    /// Another window is signed, in seconds from now; the first is 0 for no beginning.
    Window(i64, i64),
    /// A payer who has nothing.
    FromPauper,
    /// Somebody else signs.
    SignedBy(Account),
    /// The authorization was sent to the chain already.
    Used,
    /// The signature is spoilt.
    Signature(fn(&str) -> String),
    /// The payment is spoilt after it was signed.
    Json(fn(&mut Value)),
    /// The header's text is written otherwise.
    Spelling(fn(&str) -> String),
    /// Sent in another header.
    Header(&'static str),
    /// Written as version 1 writes it.
    Version1In(&'static str),
}

/// What is sent.
pub(super) enum Sent {
    Nothing,
    Header(&'static str, String),
}

impl Change {
    pub(super) async fn request(&self, chain: &BaseSepolia, terms: &Terms) -> Result<Sent> {
        match self {
            Self::Absent => return Ok(Sent::Nothing),
            Self::Text(text) => return Ok(Sent::Header(HEADER, (*text).to_owned())),
            _ => {}
        }
        let mut draft = terms.draft(BUYERS[0])?;
        match self {
            Self::Draft(change) => change(&mut draft),
            Self::Window(from, to) => {
                let now = i64::try_from(unix_seconds()?)?;
                draft.valid_after = if *from == 0 { 0 } else { now + from }.to_string();
                draft.valid_before = (now + to).to_string();
            }
            Self::FromPauper => draft.from = FACILITATOR,
            _ => {}
        }
        let mut payment = draft.sign(chain).await?;
        match self {
            Self::SignedBy(other) => {
                draft.from = *other;
                payment.signature = draft.sign(chain).await?.signature;
            }
            Self::Signature(change) => payment.signature = change(&payment.signature),
            Self::Used => {
                let token = chain.usdc.address();
                let transfer = payment.transfer_calldata()?;
                chain
                    .transact(OWNER.address, Some(token), &transfer)
                    .await?;
            }
            _ => {}
        }
        let mut json = payment.to_v2();
        if let Self::Json(change) = self {
            change(&mut json);
        }
        Ok(match self {
            Self::Version1In(name) => Sent::Header(name, payment.header_v1()),
            Self::Header(name) => Sent::Header(name, encoded(&json)),
            Self::Spelling(spell) => Sent::Header(HEADER, spell(&encoded(&json))),
            _ => Sent::Header(HEADER, encoded(&json)),
        })
    }
}

/// The other signature over the same thing: with the curve's order less `s`, and the other recovery id.
pub(super) fn high_s(signature: &str) -> String {
    malleated(signature).unwrap_or_default()
}

fn malleated(signature: &str) -> Result<String> {
    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order = hex::decode(ORDER)?;
    let bytes = hex::decode(signature.trim_start_matches("0x"))?;
    let (r, rest) = bytes.split_at_checked(32).context("no r")?;
    let (s, v) = rest.split_at_checked(32).context("no s")?;
    let mut difference = Vec::with_capacity(32);
    let mut borrow = 0;
    for (order, s) in order.iter().zip(s).rev() {
        let digit = i16::from(*order) - i16::from(*s) - borrow;
        borrow = i16::from(digit < 0);
        difference.push(u8::try_from(digit.rem_euclid(256))?);
    }
    difference.reverse();
    let v = if v == [27] { 28 } else { 27 };
    Ok(format!(
        "0x{}{}{v:02x}",
        hex::encode(r),
        hex::encode(difference)
    ))
}
