//! Claims that are watched on their own until their block is final (money rule 18). There are few:
//! those of the last blocks.

use octroi_claim::{Claim, ClaimKey, NewClaim};
use octroi_store::Inclusion;
use octroi_types::{B256, ChainId};
use rusqlite::{Connection, Statement, params};

use crate::claims;
use crate::columns::{Columns, mode_code};

const PUT: &str = "INSERT OR REPLACE INTO watched_claims
    (chain, valid_before, identity, tenant, mode, tx_hash, block_number, block_hash)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const REMOVE: &str = "DELETE FROM watched_claims
WHERE chain = ?1 AND valid_before = ?2 AND identity = ?3";

const FINISH: &str = "DELETE FROM watched_claims
WHERE chain = ?1 AND valid_before = ?2 AND identity = ?3 AND block_hash = ?4";

const KEYS: &str = "SELECT valid_before, identity FROM watched_claims";

const OF_CHAIN: &str = "SELECT valid_before, identity, tx_hash, block_number, block_hash
FROM watched_claims WHERE chain = ?1 ORDER BY valid_before, identity";

#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[PUT, REMOVE, FINISH, KEYS, OF_CHAIN];

/// The writer's statements.
pub(crate) struct WatchedClaims<'c> {
    put: Statement<'c>,
    remove: Statement<'c>,
    finish: Statement<'c>,
    keys: Statement<'c>,
}

impl<'c> WatchedClaims<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            put: connection.prepare(PUT)?,
            remove: connection.prepare(REMOVE)?,
            finish: connection.prepare(FINISH)?,
            keys: connection.prepare(KEYS)?,
        })
    }

    /// Watches a claim where it was seen last.
    pub(crate) fn put(&mut self, terms: &NewClaim, inclusion: &Inclusion) -> rusqlite::Result<()> {
        self.put.execute(params![
            terms.chain.0.cast_signed(),
            terms.valid_before.0.cast_signed(),
            terms.identity.0,
            terms.tenant.as_bytes(),
            mode_code(terms.mode),
            inclusion.tx_hash.0,
            inclusion.block_number.cast_signed(),
            inclusion.block_hash.0,
        ])?;
        Ok(())
    }

    pub(crate) fn remove(&mut self, chain: ChainId, key: ClaimKey) -> rusqlite::Result<()> {
        self.remove.execute(params![
            chain.0.cast_signed(),
            key.valid_before.0.cast_signed(),
            key.identity.0,
        ])?;
        Ok(())
    }

    /// Removes a claim, if it was seen in this block last.
    pub(crate) fn finish(
        &mut self,
        chain: ChainId,
        key: ClaimKey,
        block_hash: B256,
    ) -> rusqlite::Result<()> {
        self.finish.execute(params![
            chain.0.cast_signed(),
            key.valid_before.0.cast_signed(),
            key.identity.0,
            block_hash.0,
        ])?;
        Ok(())
    }

    /// The days of those that are watched.
    pub(crate) fn days(&mut self) -> rusqlite::Result<Vec<u64>> {
        let keys = self.keys.query_map([], |row| key(&mut Columns::of(row)))?;
        keys.map(|key| Ok(key?.day())).collect()
    }
}

fn key(columns: &mut Columns<'_, '_>) -> rusqlite::Result<ClaimKey> {
    Ok(ClaimKey {
        valid_before: columns.seconds()?,
        identity: columns.hash()?,
    })
}

/// Those of a chain.
pub(crate) fn of_chain(
    connection: &Connection,
    chain: ChainId,
) -> rusqlite::Result<Vec<(Claim, Inclusion)>> {
    let snapshot = connection.unchecked_transaction()?;
    let mut statement = snapshot.prepare_cached(OF_CHAIN)?;
    let rows = statement.query_map([chain.0.cast_signed()], |row| {
        let mut columns = Columns::of(row);
        let key = key(&mut columns)?;
        let inclusion = Inclusion {
            tx_hash: columns.hash()?,
            block_number: columns.bits()?,
            block_hash: columns.hash()?,
        };
        Ok((key, inclusion))
    })?;
    let mut watched = Vec::new();
    for row in rows {
        let (key, inclusion) = row?;
        if let Some(claim) = claims::get(&snapshot, key)? {
            watched.push((claim, inclusion));
        }
    }
    Ok(watched)
}
