//! Proofs: which claim each log settled (money rule 17).

use octroi_claim::NewClaim;
use octroi_store::Inclusion;
use octroi_types::{ChainId, ClaimId};
use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::columns::mode_code;

const FIND: &str = "SELECT claim FROM proofs
WHERE chain = ?1 AND block_number = ?2 AND log_index = ?3 AND block_hash = ?4";

const INSERT: &str = "INSERT OR IGNORE INTO proofs
    (chain, block_number, log_index, block_hash, tenant, mode, claim)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[FIND, INSERT];

/// The writer's statements.
pub(crate) struct Proofs<'c> {
    find: Statement<'c>,
    insert: Statement<'c>,
}

impl<'c> Proofs<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            find: connection.prepare(FIND)?,
            insert: connection.prepare(INSERT)?,
        })
    }

    /// The claim that a log settled.
    pub(crate) fn find(
        &mut self,
        chain: ChainId,
        inclusion: &Inclusion,
        log_index: u64,
    ) -> rusqlite::Result<Option<ClaimId>> {
        let values = params![
            chain.0.cast_signed(),
            inclusion.block_number.cast_signed(),
            log_index.cast_signed(),
            inclusion.block_hash.0,
        ];
        self.find
            .query_row(values, |row| row.get(0).map(ClaimId::from_bytes))
            .optional()
    }

    /// Takes a log for a claim. One that settled the same claim before stays as it is.
    pub(crate) fn insert(
        &mut self,
        terms: &NewClaim,
        inclusion: &Inclusion,
        log_index: u64,
    ) -> rusqlite::Result<()> {
        self.insert.execute(params![
            terms.chain.0.cast_signed(),
            inclusion.block_number.cast_signed(),
            log_index.cast_signed(),
            inclusion.block_hash.0,
            terms.tenant.as_bytes(),
            mode_code(terms.mode),
            terms.id.as_bytes(),
        ])?;
        Ok(())
    }
}
