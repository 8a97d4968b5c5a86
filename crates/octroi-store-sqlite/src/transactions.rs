//! Transactions.

use octroi_claim::{Claim, NewClaim, PaymentState, Recovery};
use octroi_store::{NewTransaction, Page, Transaction, TransactionFilter, TransactionState};
use octroi_types::{
    CreditId, PaywallId, RequestId, ServiceId, TenantId, TransactionId, UnixMicros,
};
use rusqlite::{Connection, OptionalExtension, Row, Statement, ToSql, params};

use crate::columns::{Columns, mode_code, transaction_state_code};

const INSERT: &str = "INSERT INTO transactions (
    id, claim, tenant, mode, service, paywall, request, method, path, rail, chain, asset, amount,
    payer, pay_to, identity, valid_before, covered_by, created_at
) VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19
)";

const INSERT_STATE: &str = "INSERT INTO transaction_states (
    id, state, payment, work, last_event, updated_at, tx_hash, refund_credit, unfinished, tenant,
    mode
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

const FOLLOW: &str = "UPDATE transaction_states SET
    state = ?2, payment = ?3, work = ?4, last_event = ?5, updated_at = ?6, tx_hash = ?7,
    refund_credit = ?8
WHERE id = ?1";

/// As [`FOLLOW`], where the claim is finished by it, or taken up again: the only change that
/// touches the index of the unfinished.
const FOLLOW_AND_FINISH: &str = "UPDATE transaction_states SET
    state = ?2, payment = ?3, work = ?4, last_event = ?5, updated_at = ?6, tx_hash = ?7,
    refund_credit = ?8, unfinished = ?9
WHERE id = ?1";

const INSERT_FAILED: &str = "INSERT INTO failed_payments (
    tenant, mode, payer, failed_at, transaction_id
) VALUES (?1, ?2, ?3, ?4, ?5)";

const FAILED_SINCE: &str = "SELECT EXISTS (
    SELECT 1 FROM failed_payments
    WHERE tenant = ?1 AND mode = ?2 AND payer = ?3 AND failed_at >= ?4
)";

macro_rules! columns {
    () => {
        "t.id, t.tenant, t.mode, state, payment, work, service, paywall, request, method, path,
        rail, chain, asset, amount, payer, pay_to, tx_hash, covered_by, refund_credit, created_at,
        updated_at "
    };
}

const GET: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM transactions AS t JOIN transaction_states AS s ON s.id = t.id WHERE t.id = ?1"
);

/// A cross join is walked in the order in which it is written.
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM transactions AS t CROSS JOIN transaction_states AS s ON s.id = t.id
    WHERE t.id >= ?1 AND t.id < ?2"
);

/// As [`LIST`], along the unfinished.
const LIST_UNFINISHED: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM transaction_states AS s CROSS JOIN transactions AS t ON t.id = s.id
    WHERE s.unfinished = 1 AND s.id >= ?1 AND s.id < ?2"
);

#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[
    INSERT,
    INSERT_STATE,
    FOLLOW,
    FOLLOW_AND_FINISH,
    INSERT_FAILED,
    FAILED_SINCE,
    GET,
];

/// The writer's statements.
pub(crate) struct Transactions<'c> {
    insert: Statement<'c>,
    insert_state: Statement<'c>,
    follow: Statement<'c>,
    follow_and_finish: Statement<'c>,
    insert_failed: Statement<'c>,
    failed_since: Statement<'c>,
}

impl<'c> Transactions<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            insert: connection.prepare(INSERT)?,
            insert_state: connection.prepare(INSERT_STATE)?,
            follow: connection.prepare(FOLLOW)?,
            follow_and_finish: connection.prepare(FOLLOW_AND_FINISH)?,
            insert_failed: connection.prepare(INSERT_FAILED)?,
            failed_since: connection.prepare(FAILED_SINCE)?,
        })
    }

    /// Inserts the transaction of a claim that was just granted.
    pub(crate) fn insert(
        &mut self,
        claim: &Claim,
        new: &NewTransaction,
        last_event: i64,
        now: UnixMicros,
    ) -> rusqlite::Result<()> {
        let terms = &claim.terms;
        self.insert.execute(params![
            new.id.as_bytes(),
            terms.id.as_bytes(),
            terms.tenant.as_bytes(),
            mode_code(terms.mode),
            new.service.as_ref().map(ServiceId::as_bytes),
            terms.paywall.as_bytes(),
            new.request.as_bytes(),
            new.method,
            new.path,
            new.rail,
            terms.chain.0.cast_signed(),
            terms.asset.0,
            terms.amount.as_i64(),
            terms.payer.0,
            terms.pay_to.0,
            terms.identity.0,
            terms.valid_before.0.cast_signed(),
            claim.covered_by.as_ref().map(CreditId::as_bytes),
            terms.created_at.0,
        ])?;
        let state = State::of(claim, last_event, now);
        self.insert_state
            .execute(state.row(&is_unfinished(claim)))?;
        Ok(())
    }

    /// Writes what changed with the claim. `before` is the claim as it was.
    pub(crate) fn follow(
        &mut self,
        before: &Claim,
        claim: &Claim,
        last_event: i64,
        now: UnixMicros,
    ) -> rusqlite::Result<()> {
        let state = State::of(claim, last_event, now);
        let unfinished = is_unfinished(claim);
        if unfinished == is_unfinished(before) {
            self.follow.execute(state.values())?;
        } else {
            self.follow_and_finish
                .execute(state.with_unfinished(&unfinished))?;
        }
        if claim.payment == PaymentState::Failed && before.payment != PaymentState::Failed {
            let terms = &claim.terms;
            self.insert_failed.execute(params![
                terms.tenant.as_bytes(),
                mode_code(terms.mode),
                terms.payer.0,
                now.0,
                terms.transaction.as_bytes(),
            ])?;
        }
        Ok(())
    }

    /// Whether a payment of this payer failed at the tenant, in this mode, at that time or later.
    pub(crate) fn failed_since(
        &mut self,
        new: &NewClaim,
        since: UnixMicros,
    ) -> rusqlite::Result<bool> {
        let values = params![
            new.tenant.as_bytes(),
            mode_code(new.mode),
            new.payer.0,
            since.0
        ];
        self.failed_since.query_row(values, |row| row.get(0))
    }
}

/// The columns that change, in the order of their parameters, and whose they are.
struct State {
    id: [u8; 16],
    state: u8,
    payment: u8,
    work: u8,
    last_event: i64,
    updated_at: i64,
    tx_hash: Option<[u8; 32]>,
    refund_credit: Option<[u8; 16]>,
    tenant: [u8; 16],
    mode: u8,
}

impl State {
    fn of(claim: &Claim, last_event: i64, now: UnixMicros) -> Self {
        Self {
            id: *claim.terms.transaction.as_bytes(),
            state: transaction_state_code(TransactionState::of(claim.payment, claim.work)),
            payment: claim.payment.code(),
            work: claim.work.code(),
            last_event,
            updated_at: now.0,
            tx_hash: claim.tx_hash.map(|hash| hash.0),
            refund_credit: claim.credit.map(|credit| *credit.as_bytes()),
            tenant: *claim.terms.tenant.as_bytes(),
            mode: mode_code(claim.terms.mode),
        }
    }

    fn values(&self) -> [&dyn ToSql; 8] {
        [
            &self.id,
            &self.state,
            &self.payment,
            &self.work,
            &self.last_event,
            &self.updated_at,
            &self.tx_hash,
            &self.refund_credit,
        ]
    }

    fn with_unfinished<'v>(&'v self, unfinished: &'v bool) -> [&'v dyn ToSql; 9] {
        let [a, b, c, d, e, f, g, h] = self.values();
        [a, b, c, d, e, f, g, h, unfinished]
    }

    fn row<'v>(&'v self, unfinished: &'v bool) -> [&'v dyn ToSql; 11] {
        let [a, b, c, d, e, f, g, h, i] = self.with_unfinished(unfinished);
        [a, b, c, d, e, f, g, h, i, &self.tenant, &self.mode]
    }
}

/// Whether somebody has to finish a claim.
pub(crate) fn is_unfinished(claim: &Claim) -> bool {
    octroi_claim::recover(claim) != Recovery::Nothing
}

fn read(row: &Row<'_>) -> rusqlite::Result<Transaction> {
    let mut columns = Columns::of(row);
    Ok(Transaction {
        id: columns.id(TransactionId::from_bytes)?,
        tenant: columns.id(TenantId::from_bytes)?,
        mode: columns.mode()?,
        state: columns.transaction_state()?,
        payment: columns.payment()?,
        work: columns.work()?,
        service: columns.id_or_null(ServiceId::from_bytes)?,
        paywall: columns.id(PaywallId::from_bytes)?,
        request: columns.id(RequestId::from_bytes)?,
        method: columns.get()?,
        path: columns.get()?,
        rail: columns.get()?,
        network: columns.chain()?,
        asset: columns.address()?,
        amount: columns.amount()?,
        payer: columns.address()?,
        pay_to: columns.address()?,
        tx_hash: columns.hash_or_null()?,
        covered_by: columns.id_or_null(CreditId::from_bytes)?,
        refund_credit: columns.id_or_null(CreditId::from_bytes)?,
        created_at: columns.micros()?,
        updated_at: columns.micros()?,
    })
}

/// One transaction.
pub(crate) fn get(
    connection: &Connection,
    id: TransactionId,
) -> rusqlite::Result<Option<Transaction>> {
    connection
        .prepare_cached(GET)?
        .query_row([id.as_bytes()], read)
        .optional()
}

/// A page of transactions.
pub(crate) fn list(
    connection: &Connection,
    filter: &TransactionFilter,
    after: Option<TransactionId>,
    limit: usize,
) -> rusqlite::Result<Page<Transaction>> {
    let ids = filter.ids();
    let end = after.map_or(ids.end, |after| after.min(ids.end));
    let rows_max = i64::try_from(Page::rows_for(limit) + 1).unwrap_or(i64::MAX);
    let tenant = filter.tenant.map(|tenant| *tenant.as_bytes());
    let paywall = filter.paywall.map(|paywall| *paywall.as_bytes());
    let payer = filter.payer.map(|payer| payer.0);
    let state = filter.state.map(transaction_state_code);

    let mut values: Vec<&dyn ToSql> = vec![ids.start.as_bytes(), end.as_bytes(), &rows_max];
    values.extend(tenant.as_ref().map(|value| value as &dyn ToSql));
    values.extend(paywall.as_ref().map(|value| value as &dyn ToSql));
    values.extend(payer.as_ref().map(|value| value as &dyn ToSql));
    values.extend(state.as_ref().map(|value| value as &dyn ToSql));
    let mut statement = connection.prepare_cached(&list_sql(filter))?;
    let rows = statement
        .query_map(&values[..], read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Page::of(rows, limit))
}

/// The statement for a filter: ids from ?1 to ?2, at most ?3 rows, and what is asked for from ?4 on,
/// in the order of the columns here.
pub(crate) fn list_sql(filter: &TransactionFilter) -> String {
    // What is of unknown fate is among the few that are unfinished.
    let (list, tenant, order) = if filter.state == Some(TransactionState::Unknown) {
        (LIST_UNFINISHED, "s.tenant", " ORDER BY s.id DESC LIMIT ?3")
    } else {
        (LIST, "t.tenant", " ORDER BY t.id DESC LIMIT ?3")
    };
    let asked = [
        (tenant, filter.tenant.is_some()),
        ("paywall", filter.paywall.is_some()),
        ("payer", filter.payer.is_some()),
        ("state", filter.state.is_some()),
    ];
    let mut sql = list.to_owned();
    for (number, (column, _)) in (4..).zip(asked.iter().filter(|(_, asked)| *asked)) {
        sql.push_str(&format!(" AND {column} = ?{number}"));
    }
    sql.push_str(order);
    sql
}

#[cfg(test)]
mod tests {
    use octroi_claim::{SettleOrder, WorkState};
    use octroi_store::conformance::Payment;

    use super::*;

    /// The list of transactions of unknown fate looks at unfinished claims only.
    #[test]
    fn what_is_of_unknown_fate_is_unfinished() {
        for order in [
            SettleOrder::ResponseHead,
            SettleOrder::BeforeOrigin,
            SettleOrder::Facilitated,
        ] {
            for payment in PaymentState::ALL {
                for work in WorkState::ALL {
                    let claim = Claim {
                        terms: Payment {
                            order,
                            ..Payment::new(1)
                        }
                        .arrive()
                        .claim,
                        payment: *payment,
                        work: *work,
                        epoch: 0,
                        covered_by: None,
                        credit: None,
                        tx_hash: None,
                    };
                    let unknown =
                        TransactionState::of(*payment, *work) == TransactionState::Unknown;
                    assert!(is_unfinished(&claim) || !unknown, "{payment:?} {work:?}");
                }
            }
        }
    }
}
