//! Payments to test with.

use octroi_claim::{Binding, ClaimKey, NewClaim, NodeId, SecretHash, SettleOrder};
use octroi_types::{
    Address, Amount, B256, ChainId, ClaimId, Mode, PaywallId, RequestId, ServiceId, TenantId,
    TransactionId, UnixMicros, UnixSeconds,
};

use crate::{ClaimRequest, NewTransaction};

/// When the tests begin.
pub const START: UnixMicros = UnixMicros(1_800_000_000_000_000);

/// A payment as it arrives. Two arrivals of one payment have the same `number` and another
/// `arrival`.
#[derive(Debug, Clone)]
pub struct Payment {
    /// Tells payments apart: their nonce.
    pub number: u32,
    /// Tells arrivals apart: the ids of claim and transaction.
    pub arrival: u32,
    pub tenant: u8,
    pub mode: Mode,
    pub paywall: u8,
    pub payer: u8,
    pub chain: u64,
    pub asset: u8,
    pub amount: u64,
    /// Tells requests apart: the binding.
    pub request: u32,
    pub secret: Option<&'static str>,
    pub order: SettleOrder,
    pub valid_before: UnixSeconds,
    pub owner: NodeId,
    pub payer_balance: Option<u64>,
    pub failed_since: UnixMicros,
    pub now: UnixMicros,
}

impl Payment {
    /// A payment of 100 units by payer 1 at tenant 1, for a request of its own.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self {
            number,
            arrival: number,
            tenant: 1,
            mode: Mode::Test,
            paywall: 1,
            payer: 1,
            chain: 84_532,
            asset: 1,
            amount: 100,
            request: number,
            secret: None,
            order: SettleOrder::ResponseHead,
            valid_before: START.seconds().plus(300),
            owner: NodeId(1),
            payer_balance: None,
            failed_since: START,
            now: START,
        }
    }

    /// The payment arriving once more.
    #[must_use]
    pub fn again(&self, arrival: u32) -> Self {
        Self {
            arrival,
            ..self.clone()
        }
    }

    /// What the store is asked.
    #[must_use]
    pub fn arrive(&self) -> ClaimRequest {
        let transaction = self.transaction();
        ClaimRequest {
            claim: NewClaim {
                id: ClaimId::from_bytes(self.id(1)),
                identity: self.identity(),
                tenant: TenantId::from_bytes([self.tenant; 16]),
                mode: self.mode,
                paywall: PaywallId::from_bytes([self.paywall; 16]),
                transaction,
                binding: Binding(hash(b'r', self.request)),
                secret: self.secret.and_then(SecretHash::of),
                order: self.order,
                chain: ChainId(self.chain),
                asset: Address([self.asset; 20]),
                payer: Address([self.payer; 20]),
                pay_to: Address([0xee; 20]),
                amount: Amount::new(self.amount).unwrap(),
                nonce: hash(b'n', self.number),
                valid_before: self.valid_before,
                owner: self.owner,
                created_at: self.now,
            },
            transaction: NewTransaction {
                id: transaction,
                request: RequestId::from_bytes(self.id(3)),
                service: self
                    .arrival
                    .is_multiple_of(2)
                    .then(|| ServiceId::from_bytes([9; 16])),
                method: "GET".to_owned(),
                path: format!("/answers/{}", self.request),
                rail: "x402-v2",
            },
            payer_balance: self
                .payer_balance
                .map(|balance| Amount::new(balance).unwrap()),
            failed_since: self.failed_since,
            now: self.now,
        }
    }

    /// The id of its transaction.
    #[must_use]
    pub fn transaction(&self) -> TransactionId {
        TransactionId::from_bytes(self.id(2))
    }

    /// The key of its claim.
    #[must_use]
    pub fn key(&self) -> ClaimKey {
        ClaimKey {
            valid_before: self.valid_before,
            identity: self.identity(),
        }
    }

    fn identity(&self) -> B256 {
        let mut identity = hash(b'i', self.number);
        identity.0[29..].copy_from_slice(&[self.payer, self.asset, self.chain.to_le_bytes()[0]]);
        identity
    }

    /// A UUIDv7 of now.
    fn id(&self, kind: u8) -> [u8; 16] {
        id_at(self.now, kind, self.arrival)
    }
}

/// A UUIDv7 of a time, for a kind of thing and a number.
pub(super) fn id_at(at: UnixMicros, kind: u8, number: u32) -> [u8; 16] {
    let mut id = [0; 16];
    let unix_ms = u64::try_from(at.0 / 1_000).unwrap();
    id[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
    id[6] = 0x70;
    id[8] = 0x80;
    id[9] = kind;
    id[12..].copy_from_slice(&number.to_be_bytes());
    id
}

/// A hash that is different for each kind and number, and scattered as hashes are.
pub(super) fn hash(kind: u8, number: u32) -> B256 {
    let mut hash = [kind; 32];
    hash[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    hash[4..8].copy_from_slice(&number.to_be_bytes());
    B256(hash)
}
