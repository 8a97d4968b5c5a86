//! The states of transactions, which are their claims', and the claims that somebody has to finish.

use std::collections::BTreeMap;

use octroi_claim::{Claim, Recovery};
use octroi_store::TransactionState;
use octroi_types::{CreditId, TransactionId, UnixMicros};

use crate::claims::StoredClaim;
use crate::columns::{column, count, mode_code, transaction_state_code};
use crate::connection::{Connection, Values};
use crate::fault::Fault;

const INSERT: &str = "INSERT INTO transaction_states (
    id, state, payment, work, events, updated_at, owner, epoch, tx_hash, refund_credit, tenant, mode
) SELECT * FROM unnest(
    $1::uuid[], $2::smallint[], $3::smallint[], $4::smallint[], $5::integer[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::bytea[], $10::uuid[], $11::uuid[], $12::smallint[]
)";

const UPDATE: &str = "UPDATE transaction_states AS s SET
    state = n.state, payment = n.payment, work = n.work, events = n.events,
    updated_at = n.updated_at, owner = n.owner, epoch = n.epoch, tx_hash = n.tx_hash,
    refund_credit = n.refund_credit
FROM unnest(
    $1::uuid[], $2::smallint[], $3::smallint[], $4::smallint[], $5::integer[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::bytea[], $10::uuid[], $11::uuid[], $12::smallint[]
) AS n (
    id, state, payment, work, events, updated_at, owner, epoch, tx_hash, refund_credit, tenant, mode
)
WHERE s.id = n.id";

const OPEN: &str = "INSERT INTO open_claims (
    transaction_id, tenant, mode, identity, valid_before, wallet, payer, binding, amount, owner
) SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::smallint[], $4::bytea[], $5::bigint[], $6::uuid[], $7::bytea[],
    $8::bytea[], $9::bigint[], $10::bigint[]
) ON CONFLICT (transaction_id) DO UPDATE SET owner = excluded.owner";

const FINISH: &str = "DELETE FROM open_claims WHERE transaction_id = ANY($1)";

/// What a batch does to states, each transaction once.
#[derive(Default)]
pub(crate) struct States {
    touched: BTreeMap<TransactionId, State>,
}

struct State {
    /// The claim as the database has it; `None` if it was made by this batch.
    before: Option<Claim>,
    now: StoredClaim,
    updated_at: UnixMicros,
}

impl State {
    /// Whether somebody has to finish it, as the database has it.
    fn was_open(&self) -> bool {
        self.before.as_ref().is_some_and(is_unfinished)
    }

    /// Whether it has to be entered among the open ones, or entered with another owner.
    fn opens(&self) -> bool {
        let is_entered = self.before.as_ref().is_some_and(|before| {
            is_unfinished(before) && before.terms.owner == self.now.claim.terms.owner
        });
        is_unfinished(&self.now.claim) && !is_entered
    }

    fn finishes(&self) -> bool {
        self.was_open() && !is_unfinished(&self.now.claim)
    }
}

impl States {
    /// Takes what became of a claim. `before` is the claim as it was, `None` if it was just made.
    pub(crate) fn put(&mut self, before: Option<&Claim>, now: StoredClaim, at: UnixMicros) {
        let transaction = now.claim.terms.transaction;
        let touched = self.touched.remove(&transaction);
        let before = touched.map_or_else(|| before.cloned(), |touched| touched.before);
        let state = State {
            before,
            now,
            updated_at: at,
        };
        self.touched.insert(transaction, state);
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let (old, new): (Vec<&State>, Vec<&State>) = self
            .touched
            .values()
            .partition(|state| state.before.is_some());
        if !new.is_empty() {
            write_states(connection, INSERT, &new).await?;
        }
        if !old.is_empty() {
            write_states(connection, UPDATE, &old).await?;
        }
        Ok(())
    }

    /// Writes which claims somebody has to finish.
    pub(crate) async fn write_open(&self, connection: &Connection) -> Result<(), Fault> {
        let of = |is: fn(&State) -> bool| -> Vec<&State> {
            self.touched.values().filter(|state| is(state)).collect()
        };
        let (opened, finished) = (of(State::opens), of(State::finishes));
        if !opened.is_empty() {
            open(connection, &opened).await?;
        }
        if !finished.is_empty() {
            let ids = column(&finished, |state| state.now.claim.terms.transaction.uuid());
            connection.execute(FINISH, &[&ids]).await?;
        }
        Ok(())
    }
}

async fn write_states(connection: &Connection, sql: &str, states: &[&State]) -> Result<(), Fault> {
    let claims: Vec<&Claim> = column(states, |state| &state.now.claim);
    let values: Values<'_> = &[
        &column(&claims, |claim| claim.terms.transaction.uuid()),
        &column(&claims, |claim| {
            transaction_state_code(TransactionState::of(claim.payment, claim.work))
        }),
        &column(&claims, |claim| i16::from(claim.payment.code())),
        &column(&claims, |claim| i16::from(claim.work.code())),
        &column(states, |state| count(state.now.events)),
        &column(states, |state| state.updated_at.0),
        &column(&claims, |claim| claim.terms.owner.0.cast_signed()),
        &column(&claims, |claim| i64::from(claim.epoch)),
        &column(&claims, |claim| {
            claim.tx_hash.as_ref().map(|hash| hash.0.as_slice())
        }),
        &column(&claims, |claim| claim.credit.as_ref().map(CreditId::uuid)),
        &column(&claims, |claim| claim.terms.tenant.uuid()),
        &column(&claims, |claim| mode_code(claim.terms.mode)),
    ];
    connection.execute(sql, values).await?;
    Ok(())
}

async fn open(connection: &Connection, states: &[&State]) -> Result<(), Fault> {
    let claims: Vec<&Claim> = column(states, |state| &state.now.claim);
    let values: Values<'_> = &[
        &column(&claims, |claim| claim.terms.transaction.uuid()),
        &column(&claims, |claim| claim.terms.tenant.uuid()),
        &column(&claims, |claim| mode_code(claim.terms.mode)),
        &column(&claims, |claim| claim.terms.identity.0.as_slice()),
        &column(&claims, |claim| claim.terms.valid_before.0.cast_signed()),
        &column(states, |state| state.now.wallet.0),
        &column(&claims, |claim| claim.terms.payer.0.as_slice()),
        &column(&claims, |claim| claim.terms.binding.0.0.as_slice()),
        &column(&claims, |claim| claim.terms.amount.as_i64()),
        &column(&claims, |claim| claim.terms.owner.0.cast_signed()),
    ];
    connection.execute(OPEN, values).await?;
    Ok(())
}

/// Whether somebody has to finish a claim.
pub(crate) fn is_unfinished(claim: &Claim) -> bool {
    octroi_claim::recover(claim) != Recovery::Nothing
}
