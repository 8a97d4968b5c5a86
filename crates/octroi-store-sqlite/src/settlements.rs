//! Settlements and their attempts.

use octroi_claim::ClaimKey;
use octroi_store::{Attempt, Inclusion, NewSettlement, Settlement, SettlementState};
use octroi_types::{Address, B256, ChainId, Mode, Redacted, SettlementId, UnixSeconds};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use crate::columns::{Columns, mode_code, settlement_state_code};

macro_rules! select {
    () => {
        "SELECT
            id, chain, wallet, nonce, state, claims, tx_hash, block_number, block_hash
        FROM settlements "
    };
}

const GET: &str = concat!(select!(), "WHERE id = ?1");
const UNFINISHED: &str = concat!(
    select!(),
    "WHERE chain = ?1 AND state < 2 ORDER BY nonce, wallet"
);

const ATTEMPTS: &str = "SELECT
    tx_hash, raw_tx, max_fee_per_gas, max_priority_fee_per_gas, created_at
FROM attempts WHERE settlement = ?1 ORDER BY ordinal";

const NONCE_TAKEN: &str = "SELECT EXISTS (
    SELECT 1 FROM settlements WHERE chain = ?1 AND wallet = ?2 AND nonce = ?3
)";

const NONCE_MAX: &str = "SELECT max(nonce) FROM settlements WHERE chain = ?1 AND wallet = ?2";

const MODE: &str = "SELECT mode FROM settlements WHERE id = ?1";

const INSERT: &str = "INSERT INTO settlements (id, mode, chain, wallet, nonce, state, claims)
VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)";

const INSERT_ATTEMPT: &str = "INSERT INTO attempts (
    settlement, mode, ordinal, tx_hash, raw_tx, max_fee_per_gas, max_priority_fee_per_gas,
    created_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const UPDATE: &str = "UPDATE settlements
SET state = ?2, tx_hash = ?3, block_number = ?4, block_hash = ?5 WHERE id = ?1";

const FORGET_RAW: &str = "UPDATE attempts SET raw_tx = NULL WHERE settlement = ?1";

const UNFINISHED_CLAIMS: &str = "SELECT claims FROM settlements WHERE state < 2";

#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[
    GET,
    UNFINISHED,
    ATTEMPTS,
    NONCE_TAKEN,
    NONCE_MAX,
    MODE,
    INSERT,
    INSERT_ATTEMPT,
    UPDATE,
    FORGET_RAW,
    UNFINISHED_CLAIMS,
];

/// Bytes of one claim in the column of claims.
const CLAIM_BYTES: usize = 40;

/// The writer's statements.
pub(crate) struct Settlements<'c> {
    get: Statement<'c>,
    attempts: Statement<'c>,
    nonce_taken: Statement<'c>,
    mode: Statement<'c>,
    insert: Statement<'c>,
    insert_attempt: Statement<'c>,
    update: Statement<'c>,
    forget_raw: Statement<'c>,
    unfinished_claims: Statement<'c>,
}

impl<'c> Settlements<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            get: connection.prepare(GET)?,
            attempts: connection.prepare(ATTEMPTS)?,
            nonce_taken: connection.prepare(NONCE_TAKEN)?,
            mode: connection.prepare(MODE)?,
            insert: connection.prepare(INSERT)?,
            insert_attempt: connection.prepare(INSERT_ATTEMPT)?,
            update: connection.prepare(UPDATE)?,
            forget_raw: connection.prepare(FORGET_RAW)?,
            unfinished_claims: connection.prepare(UNFINISHED_CLAIMS)?,
        })
    }

    pub(crate) fn get(&mut self, id: SettlementId) -> rusqlite::Result<Option<Settlement>> {
        let stored = self.get.query_row([id.as_bytes()], read).optional()?;
        stored
            .map(|settlement| with_attempts(settlement, &mut self.attempts))
            .transpose()
    }

    pub(crate) fn is_nonce_taken(&mut self, new: &NewSettlement) -> rusqlite::Result<bool> {
        let values = params![
            new.chain.0.cast_signed(),
            new.wallet.0,
            new.nonce.cast_signed()
        ];
        self.nonce_taken.query_row(values, |row| row.get(0))
    }

    /// The mode of a settlement; `None` if it carries no claims.
    pub(crate) fn mode(&mut self, id: SettlementId) -> rusqlite::Result<Option<Mode>> {
        self.mode
            .query_row([id.as_bytes()], |row| Columns::of(row).mode_or_null())
    }

    /// Inserts a settlement; `mode` is that of its claims.
    pub(crate) fn insert(
        &mut self,
        new: &NewSettlement,
        mode: Option<Mode>,
    ) -> rusqlite::Result<()> {
        let mut claims = Vec::with_capacity(new.claims.len() * CLAIM_BYTES);
        for (key, _) in &new.claims {
            claims.extend_from_slice(&key.valid_before.0.to_be_bytes());
            claims.extend_from_slice(&key.identity.0);
        }
        self.insert.execute(params![
            new.id.as_bytes(),
            mode.map(mode_code),
            new.chain.0.cast_signed(),
            new.wallet.0,
            new.nonce.cast_signed(),
            claims,
        ])?;
        self.insert_attempt(new.id, mode, 0, &new.attempt)
    }

    /// Adds an attempt, by its place among those of the settlement, which is of this mode.
    pub(crate) fn insert_attempt(
        &mut self,
        id: SettlementId,
        mode: Option<Mode>,
        ordinal: usize,
        attempt: &Attempt,
    ) -> rusqlite::Result<()> {
        self.insert_attempt.execute(params![
            id.as_bytes(),
            mode.map(mode_code),
            i64::try_from(ordinal).unwrap_or(i64::MAX),
            attempt.tx_hash.0,
            attempt.raw_tx.expose(),
            attempt.max_fee_per_gas.cast_signed(),
            attempt.max_priority_fee_per_gas.cast_signed(),
            attempt.created_at.0,
        ])?;
        Ok(())
    }

    /// Writes how far a settlement is, and where it was seen.
    pub(crate) fn update(
        &mut self,
        id: SettlementId,
        state: SettlementState,
        inclusion: Option<&Inclusion>,
    ) -> rusqlite::Result<()> {
        self.update.execute(params![
            id.as_bytes(),
            settlement_state_code(state),
            inclusion.map(|inclusion| inclusion.tx_hash.0),
            inclusion.map(|inclusion| inclusion.block_number.cast_signed()),
            inclusion.map(|inclusion| inclusion.block_hash.0),
        ])?;
        Ok(())
    }

    /// Drops the signed bytes of all attempts.
    pub(crate) fn forget_raw(&mut self, id: SettlementId) -> rusqlite::Result<()> {
        self.forget_raw.execute([id.as_bytes()])?;
        Ok(())
    }

    /// The claims that settlements carry which are not final.
    pub(crate) fn unfinished_claims(&mut self) -> rusqlite::Result<Vec<ClaimKey>> {
        let columns = self
            .unfinished_claims
            .query_map([], |row| {
                Columns::of(row).read(|bytes: Vec<u8>| read_claims(&bytes))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(columns.into_iter().flatten().collect())
    }
}

/// A settlement without its attempts.
fn read(row: &Row<'_>) -> rusqlite::Result<Settlement> {
    let mut columns = Columns::of(row);
    let id = columns.id(SettlementId::from_bytes)?;
    let chain = columns.chain()?;
    let wallet = columns.address()?;
    let nonce = columns.bits()?;
    let state = columns.settlement_state()?;
    let claims = columns.read(|bytes: Vec<u8>| read_claims(&bytes))?;
    let tx_hash = columns.hash_or_null()?;
    let block_number: Option<i64> = columns.get()?;
    let inclusion = match (tx_hash, block_number, columns.hash_or_null()?) {
        (Some(tx_hash), Some(block_number), Some(block_hash)) => Some(Inclusion {
            tx_hash,
            block_number: block_number.cast_unsigned(),
            block_hash,
        }),
        _ => None,
    };
    Ok(Settlement {
        id,
        chain,
        wallet,
        nonce,
        state,
        attempts: Vec::new(),
        inclusion,
        claims,
    })
}

fn read_claims(bytes: &[u8]) -> Option<Vec<ClaimKey>> {
    let (claims, rest) = bytes.as_chunks::<CLAIM_BYTES>();
    let read = |claim: &[u8; CLAIM_BYTES]| {
        let (valid_before, identity) = claim.split_first_chunk::<8>()?;
        let valid_before = UnixSeconds(u64::from_be_bytes(*valid_before));
        Some(ClaimKey {
            valid_before,
            identity: B256(identity.try_into().ok()?),
        })
    };
    if rest.is_empty() {
        claims.iter().map(read).collect()
    } else {
        None
    }
}

fn with_attempts(
    mut settlement: Settlement,
    attempts: &mut Statement<'_>,
) -> rusqlite::Result<Settlement> {
    let rows = attempts.query_map([settlement.id.as_bytes()], |row| {
        let mut columns = Columns::of(row);
        Ok(Attempt {
            tx_hash: columns.hash()?,
            raw_tx: Redacted::new(columns.get::<Option<Vec<u8>>>()?.unwrap_or_default()),
            max_fee_per_gas: columns.bits()?,
            max_priority_fee_per_gas: columns.bits()?,
            created_at: columns.micros()?,
        })
    })?;
    settlement.attempts = rows.collect::<rusqlite::Result<_>>()?;
    Ok(settlement)
}

/// The settlements of a chain that are not final, lowest nonce first.
pub(crate) fn unfinished(
    connection: &Connection,
    chain: ChainId,
) -> rusqlite::Result<Vec<Settlement>> {
    let snapshot = connection.unchecked_transaction()?;
    let mut statement = snapshot.prepare_cached(UNFINISHED)?;
    let mut attempts = snapshot.prepare_cached(ATTEMPTS)?;
    let settlements = statement.query_map([chain.0.cast_signed()], read)?;
    settlements
        .map(|settlement| with_attempts(settlement?, &mut attempts))
        .collect()
}

/// The highest nonce of a wallet.
pub(crate) fn nonce_max(
    connection: &Connection,
    chain: ChainId,
    wallet: Address,
) -> rusqlite::Result<Option<u64>> {
    let values = params![chain.0.cast_signed(), wallet.0];
    let nonce: Option<i64> = connection
        .prepare_cached(NONCE_MAX)?
        .query_row(values, |row| row.get(0))?;
    Ok(nonce.map(i64::cast_unsigned))
}

/// The code by which the schema's indexes know a final settlement.
const _: () = assert!(settlement_state_code(SettlementState::Final) == 2);
