//! Settlements and their attempts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use octroi_claim::ClaimKey;
use octroi_store::{Attempt, Inclusion, NewSettlement, Settlement, SettlementState};
use octroi_types::{Address, B256, ChainId, Mode, Redacted, SettlementId, UnixSeconds};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::columns::{Columns, column, mode_code, settlement_state_code};
use crate::connection::{Connection, Values};
use crate::fault::Fault;

macro_rules! columns {
    () => {
        "id, chain, wallet, nonce, state, claims, tx_hash, block_number, block_hash, mode "
    };
}

const LOCK: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM settlements WHERE id = ANY($1) ORDER BY id FOR UPDATE"
);

const UNFINISHED: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM settlements WHERE chain = $1 AND state < 2 ORDER BY nonce, wallet"
);

const ATTEMPTS: &str = "SELECT
    settlement, tx_hash, raw_tx, max_fee_per_gas, max_priority_fee_per_gas, created_at
FROM attempts WHERE settlement = ANY($1) ORDER BY settlement, ordinal";

/// Whoever decides does not need the signed bytes.
const ATTEMPTS_UNSIGNED: &str = "SELECT
    settlement, tx_hash, NULL::bytea, max_fee_per_gas, max_priority_fee_per_gas, created_at
FROM attempts WHERE settlement = ANY($1) ORDER BY settlement, ordinal";

const NONCES: &str = "SELECT s.chain, s.wallet, s.nonce
FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS k (chain, wallet, nonce)
JOIN settlements AS s ON s.chain = k.chain AND s.wallet = k.wallet AND s.nonce = k.nonce";

const NONCE_MAX: &str = "SELECT max(nonce) FROM settlements WHERE chain = $1 AND wallet = $2";

const INSERT: &str = "INSERT INTO settlements (id, mode, chain, wallet, nonce, state, claims)
SELECT * FROM unnest(
    $1::uuid[], $2::smallint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::smallint[],
    $7::bytea[]
)";

const UPDATE: &str = "UPDATE settlements AS s SET
    state = n.state, tx_hash = n.tx_hash, block_number = n.block_number, block_hash = n.block_hash
FROM unnest($1::uuid[], $2::smallint[], $3::bytea[], $4::bigint[], $5::bytea[])
    AS n (id, state, tx_hash, block_number, block_hash)
WHERE s.id = n.id";

const INSERT_ATTEMPT: &str = "INSERT INTO attempts (
    settlement, mode, ordinal, tx_hash, raw_tx, max_fee_per_gas, max_priority_fee_per_gas,
    created_at
) SELECT * FROM unnest(
    $1::uuid[], $2::smallint[], $3::integer[], $4::bytea[], $5::bytea[], $6::bigint[],
    $7::bigint[], $8::bigint[]
)";

const FORGET_RAW: &str = "UPDATE attempts SET raw_tx = NULL
WHERE settlement = ANY($1) AND raw_tx IS NOT NULL";

const UNFINISHED_CLAIMS: &str = "SELECT claims FROM settlements WHERE state < 2";

/// Bytes of one claim in the column of claims.
const CLAIM_BYTES: usize = 40;

/// A nonce of a wallet on a chain.
type Nonce = (ChainId, Address, u64);

/// A settlement, and the mode of its claims; `None` if it carries no claims.
struct Stored {
    settlement: Settlement,
    mode: Option<Mode>,
}

/// The settlements of a batch.
#[derive(Default)]
pub(crate) struct Settlements {
    settlements: BTreeMap<SettlementId, Stored>,
    nonces: BTreeSet<Nonce>,
    new: BTreeSet<SettlementId>,
    changed: BTreeSet<SettlementId>,
    /// Attempts to insert, by the place of each in its settlement.
    attempts: BTreeMap<(SettlementId, usize), Attempt>,
}

impl Settlements {
    /// Locks the settlements of these ids until the transaction ends, and reads them and which of these
    /// nonces are taken.
    pub(crate) async fn lock(
        connection: &Connection,
        ids: &BTreeSet<SettlementId>,
        nonces: &[Nonce],
    ) -> Result<Self, Fault> {
        let mut settlements = Self::default();
        if !ids.is_empty() {
            let ids: Vec<Uuid> = ids.iter().map(SettlementId::uuid).collect();
            let rows = connection.query(LOCK, &[&ids]).await?;
            for stored in with_attempts(connection, ATTEMPTS_UNSIGNED, &rows).await? {
                settlements.settlements.insert(stored.settlement.id, stored);
            }
        }
        if !nonces.is_empty() {
            let chains = column(nonces, |(chain, _, _)| chain.0.cast_signed());
            let wallets = column(nonces, |(_, wallet, _)| wallet.0.as_slice());
            let numbers = column(nonces, |(_, _, nonce)| nonce.cast_signed());
            let values: Values<'_> = &[&chains, &wallets, &numbers];
            for row in connection.query(NONCES, values).await? {
                let mut columns = Columns::of(&row);
                let nonce = (columns.chain()?, columns.address()?, columns.bits()?);
                settlements.nonces.insert(nonce);
            }
        }
        Ok(settlements)
    }

    /// The claims that these carry.
    pub(crate) fn claims(&self, ids: impl Iterator<Item = SettlementId>) -> Vec<B256> {
        ids.filter_map(|id| self.get(id))
            .flat_map(|settlement| &settlement.claims)
            .map(|key| key.identity)
            .collect()
    }

    pub(crate) fn get(&self, id: SettlementId) -> Option<&Settlement> {
        self.settlements.get(&id).map(|stored| &stored.settlement)
    }

    pub(crate) fn is_nonce_taken(&self, new: &NewSettlement) -> bool {
        self.nonces.contains(&(new.chain, new.wallet, new.nonce))
    }

    /// Inserts a settlement; `mode` is that of its claims.
    pub(crate) fn insert(&mut self, new: &NewSettlement, mode: Option<Mode>) {
        self.nonces.insert((new.chain, new.wallet, new.nonce));
        self.new.insert(new.id);
        self.attempts.insert((new.id, 0), new.attempt.clone());
        let settlement = Settlement::open(new);
        self.settlements.insert(new.id, Stored { settlement, mode });
    }

    /// Adds an attempt to those of a settlement. One of a settlement that is final is not sent, so that
    /// its bytes are not kept.
    pub(crate) fn insert_attempt(&mut self, id: SettlementId, attempt: &Attempt) {
        let Some(stored) = self.settlements.get_mut(&id) else {
            return;
        };
        let place = stored.settlement.attempts.len();
        stored.settlement.attempts.push(attempt.clone());
        self.attempts.insert((id, place), attempt.clone());
    }

    /// Takes how far a settlement is, and where it was seen.
    pub(crate) fn update(
        &mut self,
        id: SettlementId,
        state: SettlementState,
        inclusion: Option<Inclusion>,
    ) {
        if let Some(stored) = self.settlements.get_mut(&id) {
            stored.settlement.state = state;
            stored.settlement.inclusion = inclusion;
            self.changed.insert(id);
        }
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let of = |ids: &BTreeSet<SettlementId>| -> Vec<&Stored> {
            ids.iter()
                .filter_map(|id| self.settlements.get(id))
                .collect()
        };
        let new = of(&self.new);
        if !new.is_empty() {
            insert(connection, &new).await?;
        }
        let changed = of(&self.changed);
        if !changed.is_empty() {
            update(connection, &changed).await?;
        }
        self.write_attempts(connection).await
    }

    async fn write_attempts(&self, connection: &Connection) -> Result<(), Fault> {
        let is_final = |id: &SettlementId| {
            self.get(*id)
                .is_some_and(|settlement| settlement.state == SettlementState::Final)
        };
        let mode = |id: &SettlementId| self.settlements.get(id).and_then(|stored| stored.mode);
        let new: Vec<_> = self.attempts.iter().collect();
        if !new.is_empty() {
            let raw = |((id, _), attempt): &(&(SettlementId, usize), &Attempt)| {
                (!is_final(id)).then(|| attempt.raw_tx.expose().clone())
            };
            connection
                .execute(
                    INSERT_ATTEMPT,
                    &[
                        &column(&new, |((id, _), _)| id.uuid()),
                        &column(&new, |((id, _), _)| mode(id).map(mode_code)),
                        &column(&new, |((_, place), _)| {
                            i32::try_from(*place).unwrap_or(i32::MAX)
                        }),
                        &column(&new, |(_, attempt)| attempt.tx_hash.0.as_slice()),
                        &column(&new, raw),
                        &column(&new, |(_, attempt)| attempt.max_fee_per_gas.cast_signed()),
                        &column(&new, |(_, attempt)| {
                            attempt.max_priority_fee_per_gas.cast_signed()
                        }),
                        &column(&new, |(_, attempt)| attempt.created_at.0),
                    ],
                )
                .await?;
        }
        let finished: Vec<Uuid> = self
            .changed
            .iter()
            .filter(|id| is_final(id))
            .map(SettlementId::uuid)
            .collect();
        if !finished.is_empty() {
            connection.execute(FORGET_RAW, &[&finished]).await?;
        }
        Ok(())
    }
}

async fn insert(connection: &Connection, new: &[&Stored]) -> Result<(), Fault> {
    let settlements = column(new, |stored| &stored.settlement);
    connection
        .execute(
            INSERT,
            &[
                &column(&settlements, |settlement| settlement.id.uuid()),
                &column(new, |stored| stored.mode.map(mode_code)),
                &column(&settlements, |settlement| settlement.chain.0.cast_signed()),
                &column(&settlements, |settlement| settlement.wallet.0.as_slice()),
                &column(&settlements, |settlement| settlement.nonce.cast_signed()),
                &column(&settlements, |settlement| {
                    settlement_state_code(settlement.state)
                }),
                &column(&settlements, |settlement| claims_bytes(&settlement.claims)),
            ],
        )
        .await?;
    Ok(())
}

async fn update(connection: &Connection, changed: &[&Stored]) -> Result<(), Fault> {
    let settlements = column(changed, |stored| &stored.settlement);
    let inclusions = column(&settlements, |settlement| settlement.inclusion.as_ref());
    connection
        .execute(
            UPDATE,
            &[
                &column(&settlements, |settlement| settlement.id.uuid()),
                &column(&settlements, |settlement| {
                    settlement_state_code(settlement.state)
                }),
                &column(&inclusions, |seen| {
                    seen.map(|inclusion| inclusion.tx_hash.0.as_slice())
                }),
                &column(&inclusions, |seen| {
                    seen.map(|inclusion| inclusion.block_number.cast_signed())
                }),
                &column(&inclusions, |seen| {
                    seen.map(|inclusion| inclusion.block_hash.0.as_slice())
                }),
            ],
        )
        .await?;
    Ok(())
}

fn claims_bytes(claims: &[ClaimKey]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(claims.len() * CLAIM_BYTES);
    for key in claims {
        bytes.extend_from_slice(&key.valid_before.0.to_be_bytes());
        bytes.extend_from_slice(&key.identity.0);
    }
    bytes
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

/// A settlement without its attempts.
fn read(row: &Row) -> Result<Stored, Fault> {
    let mut columns = Columns::of(row);
    let id = columns.id(SettlementId::from_uuid)?;
    let chain = columns.chain()?;
    let wallet = columns.address()?;
    let nonce = columns.bits()?;
    let state = columns.settlement_state()?;
    let claims = columns.read(read_claims)?;
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
    let settlement = Settlement {
        id,
        chain,
        wallet,
        nonce,
        state,
        attempts: Vec::new(),
        inclusion,
        claims,
    };
    let mode = columns.mode_or_null()?;
    Ok(Stored { settlement, mode })
}

/// Settlements with their attempts, in the order of their rows.
async fn with_attempts(
    connection: &Connection,
    sql: &str,
    rows: &[Row],
) -> Result<Vec<Stored>, Fault> {
    let mut settlements = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let ids = column(&settlements, |stored| stored.settlement.id.uuid());
    if ids.is_empty() {
        return Ok(settlements);
    }
    let mut attempts: HashMap<SettlementId, Vec<Attempt>> = HashMap::new();
    for row in connection.query(sql, &[&ids]).await? {
        let mut columns = Columns::of(&row);
        let id = columns.id(SettlementId::from_uuid)?;
        attempts.entry(id).or_default().push(Attempt {
            tx_hash: columns.hash()?,
            raw_tx: Redacted::new(columns.get::<Option<Vec<u8>>>()?.unwrap_or_default()),
            max_fee_per_gas: columns.bits()?,
            max_priority_fee_per_gas: columns.bits()?,
            created_at: columns.micros()?,
        });
    }
    for Stored { settlement, .. } in &mut settlements {
        settlement.attempts = attempts.remove(&settlement.id).unwrap_or_default();
    }
    Ok(settlements)
}

/// The settlements of a chain that are not final, lowest nonce first.
pub(crate) async fn unfinished(
    connection: &Connection,
    chain: ChainId,
) -> Result<Vec<Settlement>, Fault> {
    let rows = connection
        .query(UNFINISHED, &[&chain.0.cast_signed()])
        .await?;
    let stored = with_attempts(connection, ATTEMPTS, &rows).await?;
    Ok(stored.into_iter().map(|stored| stored.settlement).collect())
}

/// The claims that settlements carry which are not final.
pub(crate) async fn unfinished_claims(connection: &Connection) -> Result<Vec<ClaimKey>, Fault> {
    let rows = connection.query(UNFINISHED_CLAIMS, &[]).await?;
    let read = |row| Columns::of(row).read(read_claims);
    let claims = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(claims.into_iter().flatten().collect())
}

/// The highest nonce of a wallet.
pub(crate) async fn nonce_max(
    connection: &Connection,
    chain: ChainId,
    wallet: Address,
) -> Result<Option<u64>, Fault> {
    let (chain, wallet) = (chain.0.cast_signed(), wallet.0.as_slice());
    let row = connection.query_opt(NONCE_MAX, &[&chain, &wallet]).await?;
    let nonce = row.map(|row| Columns::of(&row).get::<Option<i64>>());
    Ok(nonce.transpose()?.flatten().map(i64::cast_unsigned))
}

/// The code by which the schema's indexes know a final settlement.
const _: () = assert!(settlement_state_code(SettlementState::Final) == 2);
