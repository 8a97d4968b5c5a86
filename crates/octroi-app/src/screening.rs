//! Who neither pays nor is paid here (money rule 20).

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use octroi_types::Address;

/// Addresses that are turned away, as payers and as payees, on every chain. It does not change once
/// it is made, clones share it, and an empty one costs nothing.
#[derive(Clone, Default)]
pub struct DenyList(Arc<HashSet<Address>>);

impl DenyList {
    /// Whether an address is on the list. Who pays is the account whose tokens move; for a smart
    /// wallet that is the wallet, whoever signs for it.
    #[must_use]
    pub fn denies(&self, address: Address) -> bool {
        self.0.contains(&address)
    }
}

impl From<HashSet<Address>> for DenyList {
    fn from(addresses: HashSet<Address>) -> Self {
        Self(Arc::new(addresses))
    }
}

impl fmt::Debug for DenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DenyList({} addresses)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use octroi_chain::Level;
    use octroi_claim::{NodeId, SettleOrder};
    use octroi_store::MemoryStore;
    use octroi_types::{Amount, B256, ChainId, Mode, PaywallId, TenantId, UnixMicros};
    use octroi_x402::{
        Authorization, ExactPayload, Offer, OfferDetails, Payment, Reason, SignatureBytes, Terms,
        Token, Uint256, VersionTag, v2,
    };
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::{BreakRule, Deal, Payments, PaymentsOptions, Refusal};

    const PAYER: Address = Address([1; 20]);
    const PAYEE: Address = Address([2; 20]);
    const STRANGER: Address = Address([3; 20]);

    fn terms() -> Terms {
        Terms {
            token: Arc::new(Token::new(ChainId(84_532), Address([4; 20]), "USDC", "2")),
            pay_to: PAYEE,
            amount: Amount::new(10_000).unwrap(),
            max_timeout_seconds: 300,
        }
    }

    fn deal() -> Deal {
        Deal {
            tenant: TenantId::from_bytes([5; 16]),
            mode: Mode::Test,
            paywall: PaywallId::from_bytes([6; 16]),
            service: None,
            offer: Arc::new(Offer::new(vec![terms()], OfferDetails::default()).unwrap()),
            order: SettleOrder::ResponseHead,
            level: Level::Included,
            break_rule: BreakRule::ChargeFull,
            origin_timeout: Duration::from_secs(1),
        }
    }

    /// As a smart wallet signs: only the chain can tell whether it did.
    fn payment(value: u64) -> Payment {
        let authorization = Authorization {
            from: PAYER,
            to: PAYEE,
            value: Uint256::from(value),
            valid_after: Uint256::from(0),
            valid_before: Uint256::from(UnixMicros::now().seconds().0 + 300),
            nonce: B256([7; 32]),
        };
        Payment::V2(v2::PaymentPayload {
            x402_version: VersionTag,
            resource: None,
            accepted: terms().to_v2(),
            payload: ExactPayload::Eip3009 {
                authorization,
                signature: SignatureBytes::from(vec![8; 70]),
            },
            extensions: None,
        })
    }

    /// Why a payment is refused at a desk without a chain, which is where an admitted one ends.
    async fn refusal(denied: &[Address], value: u64) -> Refusal {
        let options = PaymentsOptions {
            deny_list: DenyList::from(HashSet::from_iter(denied.iter().copied())),
            ..PaymentsOptions::new(NodeId(1))
        };
        let store = Arc::new(MemoryStore::new());
        let payments = Payments::new(options, store, HashMap::new(), TaskTracker::new());
        payments.check(&deal(), &payment(value)).await.unwrap_err()
    }

    #[tokio::test]
    async fn payers_and_payees_on_the_list_are_refused_before_the_chain_is_asked() {
        let admitted = Refusal::Invalid(Reason::InvalidNetwork);
        let other_payee = Refusal::Invalid(Reason::InvalidRequirements);
        for (denied, expected) in [
            (&[][..], &admitted),
            (&[STRANGER], &admitted),
            (&[PAYER], &Refusal::Denied),
            (&[PAYEE], &other_payee),
            (&[STRANGER, PAYEE, PAYER], &Refusal::Denied),
        ] {
            assert_eq!(refusal(denied, 10_000).await, *expected, "{denied:?}");
        }
        // What is no payment for this gate anyway is told as such.
        let wrong = Refusal::Invalid(Reason::ValueMismatch);
        assert_eq!(refusal(&[PAYER], 9_999).await, wrong);
    }
}
