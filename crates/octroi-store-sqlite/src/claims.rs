//! Claims: what they have beside their transactions, in a table for each day of `validBefore`.
//!
//! A day's table is dropped as a whole. Its statements are made once, with its name in them.

use std::collections::BTreeMap;

use octroi_claim::{Binding, Claim, ClaimKey, NewClaim, NodeId, SecretHash};
use octroi_types::{B256, ClaimId, CreditId, PaywallId, TenantId, TransactionId, UnixSeconds};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use crate::columns::{Columns, mode_code, order_code};
use crate::events::History;

const DAYS: &str = "SELECT day FROM claim_days ORDER BY day";
const HAS_DAY: &str = "SELECT EXISTS (SELECT 1 FROM claim_days WHERE day = ?1)";
const INSERT_DAY: &str = "INSERT INTO claim_days (day) VALUES (?1)";
const DELETE_DAY: &str = "DELETE FROM claim_days WHERE day = ?1";

/// What [`read`] reads: `c` is the day's table, `t` the transactions, `s` their
/// states and `e` their last events.
const COLUMNS: &str = "
    t.claim, t.identity, t.tenant, t.mode, t.paywall, t.id, c.binding, c.secret, c.settle_order,
    t.chain, t.asset, t.payer, t.pay_to, t.amount, c.nonce, t.valid_before, c.owner, t.created_at,
    s.payment, s.work, c.epoch, t.covered_by, s.refund_credit, s.tx_hash, e.number, e.ordinal";

/// A nonce may be signed again with another end, so that one identity can be in any day.
const FIND_TABLES_MAX: usize = 100;

/// A claim with the history of its transaction.
#[derive(Debug, Clone)]
pub(crate) struct StoredClaim {
    pub(crate) claim: Claim,
    pub(crate) history: History,
}

/// The writer's statements.
pub(crate) struct Claims<'c> {
    connection: &'c Connection,
    days: BTreeMap<u64, Day<'c>>,
    /// Which day has an identity. Each statement looks into some of the tables.
    find: Vec<Statement<'c>>,
}

struct Day<'c> {
    get: Statement<'c>,
    insert: Statement<'c>,
    own: Statement<'c>,
    delete: Statement<'c>,
}

impl<'c> Claims<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let mut claims = Self {
            connection,
            days: BTreeMap::new(),
            find: Vec::new(),
        };
        for day in days(connection)? {
            claims.days.insert(day, Day::prepare(connection, day)?);
        }
        claims.prepare_find()?;
        Ok(claims)
    }

    fn prepare_find(&mut self) -> rusqlite::Result<()> {
        self.find.clear();
        let days: Vec<u64> = self.days.keys().copied().collect();
        for days in days.chunks(FIND_TABLES_MAX) {
            self.find.push(self.connection.prepare(&find(days))?);
        }
        Ok(())
    }

    /// The claim of a key.
    pub(crate) fn get(&mut self, key: ClaimKey) -> rusqlite::Result<Option<StoredClaim>> {
        let Some(day) = self.days.get_mut(&key.day()) else {
            return Ok(None);
        };
        let stored = day.get.query_row([key.identity.0], read).optional()?;
        Ok(stored.filter(|stored| stored.claim.key() == key))
    }

    /// The claim of an identity, on whatever day.
    pub(crate) fn find(&mut self, identity: B256) -> rusqlite::Result<Option<StoredClaim>> {
        for statement in &mut self.find {
            let day: Option<i64> = statement
                .query_row([identity.0], |row| row.get(0))
                .optional()?;
            let day = day.and_then(|day| self.days.get_mut(&day.cast_unsigned()));
            if let Some(day) = day {
                return day.get.query_row([identity.0], read).optional();
            }
        }
        Ok(None)
    }

    /// Inserts a granted claim; its transaction is inserted with it.
    pub(crate) fn insert(&mut self, claim: &Claim) -> rusqlite::Result<()> {
        let day = claim.key().day();
        if !self.days.contains_key(&day) {
            self.create(day)?;
        }
        let terms = &claim.terms;
        if let Some(day) = self.days.get_mut(&day) {
            day.insert.execute(params![
                terms.identity.0,
                terms.tenant.as_bytes(),
                mode_code(terms.mode),
                terms.transaction.as_bytes(),
                terms.binding.0.0,
                terms.secret.map(|secret| secret.0.0),
                order_code(terms.order),
                terms.nonce.0,
                terms.owner.0.cast_signed(),
                claim.epoch,
            ])?;
        }
        Ok(())
    }

    /// Writes a claim's owner and epoch.
    pub(crate) fn own(&mut self, claim: &Claim) -> rusqlite::Result<()> {
        if let Some(day) = self.days.get_mut(&claim.key().day()) {
            let owner = claim.terms.owner.0.cast_signed();
            day.own
                .execute(params![claim.terms.identity.0, owner, claim.epoch])?;
        }
        Ok(())
    }

    /// Removes a released claim, to be inserted anew.
    pub(crate) fn delete(&mut self, claim: &Claim) -> rusqlite::Result<()> {
        if let Some(day) = self.days.get_mut(&claim.key().day()) {
            day.delete.execute([claim.terms.identity.0])?;
        }
        Ok(())
    }

    /// The days that have a table, before one.
    pub(crate) fn days_before(&self, end: u64) -> Vec<u64> {
        self.days.range(..end).map(|(day, _)| *day).collect()
    }

    fn create(&mut self, day: u64) -> rusqlite::Result<()> {
        let table = table(day);
        self.connection.execute_batch(&format!(
            "CREATE TABLE {table} (
                identity BLOB PRIMARY KEY,
                tenant BLOB NOT NULL,
                mode INTEGER NOT NULL,
                transaction_id BLOB NOT NULL,
                binding BLOB NOT NULL,
                secret BLOB,
                settle_order INTEGER NOT NULL,
                nonce BLOB NOT NULL,
                owner INTEGER NOT NULL,
                epoch INTEGER NOT NULL
            ) STRICT, WITHOUT ROWID"
        ))?;
        self.connection.execute(INSERT_DAY, [day.cast_signed()])?;
        self.days.insert(day, Day::prepare(self.connection, day)?);
        self.prepare_find()
    }

    /// Drops a day; returns how many claims it had.
    pub(crate) fn drop_day(&mut self, day: u64) -> rusqlite::Result<u64> {
        if self.days.remove(&day).is_none() {
            return Ok(0);
        }
        let table = table(day);
        let count = format!("SELECT count(*) FROM {table}");
        let count: i64 = self.connection.query_row(&count, [], |row| row.get(0))?;
        self.find.clear();
        self.connection
            .execute_batch(&format!("DROP TABLE {table}"))?;
        self.connection.execute(DELETE_DAY, [day.cast_signed()])?;
        self.prepare_find()?;
        Ok(count.cast_unsigned())
    }
}

impl<'c> Day<'c> {
    fn prepare(connection: &'c Connection, day: u64) -> rusqlite::Result<Self> {
        let [insert, own, delete] = writes(day);
        Ok(Self {
            get: connection.prepare(&select(day))?,
            insert: connection.prepare(&insert)?,
            own: connection.prepare(&own)?,
            delete: connection.prepare(&delete)?,
        })
    }
}

/// The name of a day's table.
fn table(day: u64) -> String {
    format!("claims_{day}")
}

fn select(day: u64) -> String {
    let table = table(day);
    format!(
        "SELECT {COLUMNS} FROM {table} AS c
            JOIN transactions AS t ON t.id = c.transaction_id
            JOIN transaction_states AS s ON s.id = c.transaction_id
            JOIN events AS e ON e.number = s.last_event
        WHERE c.identity = ?1"
    )
}

/// The statements that insert a claim, write its owner, and delete it.
fn writes(day: u64) -> [String; 3] {
    let table = table(day);
    [
        format!(
            "INSERT INTO {table} (
                identity, tenant, mode, transaction_id, binding, secret, settle_order, nonce, owner,
                epoch
            ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        ),
        format!("UPDATE {table} SET owner = ?2, epoch = ?3 WHERE identity = ?1"),
        format!("DELETE FROM {table} WHERE identity = ?1"),
    ]
}

/// The statement that finds which of the days has an identity.
fn find(days: &[u64]) -> String {
    let select = |day| format!("SELECT {day} FROM {} WHERE identity = ?1", table(day));
    let selects: Vec<_> = days.iter().copied().map(select).collect();
    selects.join(" UNION ALL ")
}

#[cfg(test)]
pub(crate) fn statements(day: u64) -> Vec<String> {
    let mut statements = [UNFINISHED, UNKNOWN, HAS_DAY].map(str::to_owned).to_vec();
    statements.extend(writes(day));
    statements.extend([select(day), find(&[day, day])]);
    statements
}

fn days(connection: &Connection) -> rusqlite::Result<Vec<u64>> {
    let mut statement = connection.prepare(DAYS)?;
    let days = statement.query_map([], |row| row.get(0).map(i64::cast_unsigned))?;
    days.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredClaim> {
    let mut columns = Columns::of(row);
    let terms = NewClaim {
        id: columns.id(ClaimId::from_bytes)?,
        identity: columns.hash()?,
        tenant: columns.id(TenantId::from_bytes)?,
        mode: columns.mode()?,
        paywall: columns.id(PaywallId::from_bytes)?,
        transaction: columns.id(TransactionId::from_bytes)?,
        binding: Binding(columns.hash()?),
        secret: columns.hash_or_null()?.map(SecretHash),
        order: columns.order()?,
        chain: columns.chain()?,
        asset: columns.address()?,
        payer: columns.address()?,
        pay_to: columns.address()?,
        amount: columns.amount()?,
        nonce: columns.hash()?,
        valid_before: columns.seconds()?,
        owner: NodeId(columns.bits()?),
        created_at: columns.micros()?,
    };
    let claim = Claim {
        terms,
        payment: columns.payment()?,
        work: columns.work()?,
        epoch: columns.get()?,
        covered_by: columns.id_or_null(CreditId::from_bytes)?,
        credit: columns.id_or_null(CreditId::from_bytes)?,
        tx_hash: columns.hash_or_null()?,
    };
    let last = columns.get()?;
    let len = columns.get::<u32>()?.saturating_add(1);
    Ok(StoredClaim {
        claim,
        history: History { last, len },
    })
}

/// One claim, read beside the writer.
pub(crate) fn get(connection: &Connection, key: ClaimKey) -> rusqlite::Result<Option<Claim>> {
    let exists: bool = connection
        .prepare_cached(HAS_DAY)?
        .query_row([key.day().cast_signed()], |row| row.get(0))?;
    if !exists {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(&select(key.day()))?;
    let stored = statement.query_row([key.identity.0], read).optional()?;
    Ok(stored
        .map(|stored| stored.claim)
        .filter(|claim| claim.key() == key))
}

/// The claims that are not finished, or those of unknown fate among them, oldest first.
pub(crate) fn unfinished(
    connection: &Connection,
    only_unknown: bool,
    limit: usize,
) -> rusqlite::Result<Vec<StoredClaim>> {
    let sql = if only_unknown { UNKNOWN } else { UNFINISHED };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let keys = statement.query_map([limit], |row| {
        let mut columns = Columns::of(row);
        Ok(ClaimKey {
            valid_before: UnixSeconds(columns.bits()?),
            identity: columns.hash()?,
        })
    })?;
    let mut claims = Vec::new();
    for key in keys {
        let key = key?;
        let mut statement = connection.prepare_cached(&select(key.day()))?;
        claims.push(statement.query_row([key.identity.0], read)?);
    }
    Ok(claims)
}

const UNFINISHED: &str = "SELECT t.valid_before, t.identity
FROM transaction_states AS s JOIN transactions AS t ON t.id = s.id
WHERE s.unfinished = 1 ORDER BY s.id LIMIT ?1";

/// Payment state 4: unknown. It is never finished.
const UNKNOWN: &str = "SELECT t.valid_before, t.identity
FROM transaction_states AS s JOIN transactions AS t ON t.id = s.id
WHERE s.unfinished = 1 AND s.payment = 4 ORDER BY s.id LIMIT ?1";

const _: () = assert!(octroi_claim::PaymentState::Unknown.code() == 4);
