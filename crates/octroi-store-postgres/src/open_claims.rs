//! What the unfinished claims of a payer say about the next one: what the payer owes, and which payments
//! for the same request are of unknown fate.
//!
//! Only what the claims of a batch ask about is read. What the batch does to claims is followed, so that
//! its later calls see it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use octroi_claim::{Binding, Claim, ClaimKey, NewClaim, NodeId, PaymentState};
use octroi_types::{Address, Amount, B256, TransactionId, UnixMicros};
use uuid::Uuid;

use crate::columns::{Columns, column};
use crate::connection::Connection;
use crate::fault::Fault;
use crate::wallets::WalletId;

/// Payment states 0 and 1: claimed and broadcast.
const OWED: &str = "SELECT o.wallet, sum(o.amount)::text
FROM open_claims AS o JOIN transaction_states AS s ON s.id = o.transaction_id
WHERE o.wallet = ANY($1) AND s.payment IN (0, 1) GROUP BY o.wallet";

/// Payment states 1 and 4: broadcast and unknown.
const SENT: &str = "SELECT
    o.payer, o.binding, o.transaction_id, o.identity, o.valid_before, o.owner, s.payment
FROM unnest($1::bytea[], $2::bytea[]) AS k (payer, binding)
JOIN open_claims AS o ON o.payer = k.payer AND o.binding = k.binding
JOIN transaction_states AS s ON s.id = o.transaction_id
WHERE s.payment IN (1, 4)";

const _: () = assert!(
    PaymentState::Claimed.code() == 0
        && PaymentState::Broadcast.code() == 1
        && PaymentState::Unknown.code() == 4
);

/// Claims of nodes that are not known to be alive, oldest first.
const OF_DEAD: &str = "SELECT o.identity FROM open_claims AS o
WHERE o.owner <> $1
    AND NOT EXISTS (SELECT 1 FROM nodes WHERE node = o.owner AND lease_until > $2)
ORDER BY o.transaction_id LIMIT $3";

/// A payer and a request.
type Request = (Address, Binding);

/// A payment that was sent and of which no more is known.
#[derive(Clone, Copy)]
struct Sent {
    key: ClaimKey,
    payment: PaymentState,
    owner: NodeId,
}

/// What was asked about.
#[derive(Default)]
pub(crate) struct OpenClaims {
    owed: HashMap<WalletId, i128>,
    sent: HashMap<Request, BTreeMap<TransactionId, Sent>>,
}

impl OpenClaims {
    /// Reads what claims that arrive are decided by.
    pub(crate) async fn load(
        connection: &Connection,
        arriving: &[&NewClaim],
    ) -> Result<Self, Fault> {
        let mut open = Self::default();
        for new in arriving {
            let wallet = WalletId::of(new.chain, new.asset, new.payer);
            open.owed.insert(wallet, 0);
            open.sent.entry((new.payer, new.binding)).or_default();
        }
        if open.owed.is_empty() {
            return Ok(open);
        }
        let wallets: Vec<Uuid> = open.owed.keys().map(|wallet| wallet.0).collect();
        let requests: Vec<Request> = open.sent.keys().copied().collect();
        let payers = column(&requests, |(payer, _)| payer.0.as_slice());
        let bindings = column(&requests, |(_, binding)| binding.0.0.as_slice());
        for row in connection.query(OWED, &[&wallets]).await? {
            let mut columns = Columns::of(&row);
            let wallet = WalletId(columns.get()?);
            let owed = columns.read(|sum: &str| sum.parse().ok())?;
            open.owed.insert(wallet, owed);
        }
        for row in connection.query(SENT, &[&payers, &bindings]).await? {
            open.take_sent(&mut Columns::of(&row))?;
        }
        Ok(open)
    }

    fn take_sent(&mut self, columns: &mut Columns<'_>) -> Result<(), Fault> {
        let request = (columns.address()?, Binding(columns.hash()?));
        let transaction = columns.id(TransactionId::from_uuid)?;
        let identity = columns.hash()?;
        let sent = Sent {
            key: ClaimKey {
                valid_before: columns.seconds()?,
                identity,
            },
            owner: NodeId(columns.bits()?),
            payment: columns.payment()?,
        };
        self.sent
            .entry(request)
            .or_default()
            .insert(transaction, sent);
        Ok(())
    }

    /// Follows a claim. `before` is the claim as it was, `None` if it was just made.
    pub(crate) fn follow(&mut self, before: Option<&Claim>, now: &Claim, wallet: WalletId) {
        let owes = |claim: &Claim| match claim.payment {
            PaymentState::Claimed | PaymentState::Broadcast => {
                i128::from(claim.terms.amount.units())
            }
            PaymentState::Settled
            | PaymentState::Failed
            | PaymentState::Unknown
            | PaymentState::Covered
            | PaymentState::Released => 0,
        };
        if let Some(owed) = self.owed.get_mut(&wallet) {
            *owed += owes(now) - before.map_or(0, owes);
        }
        let terms = &now.terms;
        if let Some(sent) = self.sent.get_mut(&(terms.payer, terms.binding)) {
            match now.payment {
                PaymentState::Broadcast | PaymentState::Unknown => {
                    let (key, payment, owner) = (now.key(), now.payment, terms.owner);
                    sent.insert(
                        terms.transaction,
                        Sent {
                            key,
                            payment,
                            owner,
                        },
                    );
                }
                PaymentState::Claimed
                | PaymentState::Settled
                | PaymentState::Failed
                | PaymentState::Covered
                | PaymentState::Released => {
                    sent.remove(&terms.transaction);
                }
            }
        }
    }

    /// What the payer of a claim owes of its token.
    pub(crate) fn owed(&self, new: &NewClaim) -> Amount {
        let wallet = WalletId::of(new.chain, new.asset, new.payer);
        let owed = self.owed.get(&wallet).copied().unwrap_or(0);
        let owed = u64::try_from(owed.max(0)).unwrap_or(u64::MAX);
        Amount::new(owed).unwrap_or(Amount::MAX)
    }

    /// The oldest other payment of the payer for the same request whose fate is unknown. What a dead
    /// node broadcast is of unknown fate before anybody has noticed.
    pub(crate) fn unknown_earlier(
        &self,
        new: &NewClaim,
        is_alive: impl Fn(NodeId) -> bool,
    ) -> Option<ClaimKey> {
        let sent = self.sent.get(&(new.payer, new.binding))?;
        sent.values()
            .filter(|sent| sent.key.identity != new.identity)
            .find(|sent| sent.payment == PaymentState::Unknown || !is_alive(sent.owner))
            .map(|sent| sent.key)
    }
}

/// The identities of the oldest claims whose owners are not known to be alive.
pub(crate) async fn of_dead(
    connection: &Connection,
    caller: NodeId,
    limit: usize,
    now: UnixMicros,
) -> Result<BTreeSet<B256>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [caller.0.cast_signed(), now.0, limit];
    let rows = connection
        .query(OF_DEAD, &[&values[0], &values[1], &values[2]])
        .await?;
    rows.iter().map(|row| Columns::of(row).hash()).collect()
}
