//! Proofs: which claim each log settled (money rule 17).

use std::collections::{BTreeMap, HashMap};

use octroi_claim::NewClaim;
use octroi_store::Inclusion;
use octroi_types::{B256, ChainId, ClaimId, Mode, TenantId};

use crate::columns::{Columns, column, mode_code};
use crate::connection::Connection;
use crate::fault::Fault;

const FIND: &str = "SELECT p.block_number, p.log_index, p.block_hash, p.chain, p.claim
FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS k (block_number, log_index, block_hash)
JOIN proofs AS p
    ON p.block_number = k.block_number AND p.log_index = k.log_index AND p.block_hash = k.block_hash";

const INSERT: &str = "INSERT INTO proofs (
    block_number, log_index, block_hash, chain, tenant, mode, claim
) SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::uuid[], $6::smallint[], $7::uuid[]
)";

/// A log of some chain: number of the block, index in it, hash of the block.
pub(crate) type Log = (u64, u64, B256);

struct Proof {
    tenant: TenantId,
    mode: Mode,
    claim: ClaimId,
}

/// The proofs of a batch.
#[derive(Default)]
pub(crate) struct Proofs {
    known: HashMap<(ChainId, Log), ClaimId>,
    /// Rows that many write are written in one order.
    new: BTreeMap<(Log, ChainId), Proof>,
}

impl Proofs {
    /// Reads what is known of logs.
    pub(crate) async fn load(connection: &Connection, logs: &[Log]) -> Result<Self, Fault> {
        let mut proofs = Self::default();
        if logs.is_empty() {
            return Ok(proofs);
        }
        let numbers = column(logs, |(number, _, _)| number.cast_signed());
        let indexes = column(logs, |(_, index, _)| index.cast_signed());
        let hashes = column(logs, |(_, _, hash)| hash.0.as_slice());
        for row in connection
            .query(FIND, &[&numbers, &indexes, &hashes])
            .await?
        {
            let mut columns = Columns::of(&row);
            let log = (columns.bits()?, columns.bits()?, columns.hash()?);
            let chain = columns.chain()?;
            let claim = columns.id(ClaimId::from_uuid)?;
            proofs.known.insert((chain, log), claim);
        }
        Ok(proofs)
    }

    /// The claim that a log settled.
    pub(crate) fn find(
        &self,
        chain: ChainId,
        inclusion: &Inclusion,
        log_index: u64,
    ) -> Option<ClaimId> {
        self.known.get(&(chain, log(inclusion, log_index))).copied()
    }

    /// Takes a log for a claim.
    pub(crate) fn insert(&mut self, terms: &NewClaim, inclusion: &Inclusion, log_index: u64) {
        let log = log(inclusion, log_index);
        self.known.insert((terms.chain, log), terms.id);
        let proof = Proof {
            tenant: terms.tenant,
            mode: terms.mode,
            claim: terms.id,
        };
        self.new.insert((log, terms.chain), proof);
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let new: Vec<_> = self.new.iter().collect();
        if new.is_empty() {
            return Ok(());
        }
        connection
            .execute(
                INSERT,
                &[
                    &column(&new, |(((number, _, _), _), _)| number.cast_signed()),
                    &column(&new, |(((_, index, _), _), _)| index.cast_signed()),
                    &column(&new, |(((_, _, hash), _), _)| hash.0.as_slice()),
                    &column(&new, |((_, chain), _)| chain.0.cast_signed()),
                    &column(&new, |(_, proof)| proof.tenant.uuid()),
                    &column(&new, |(_, proof)| mode_code(proof.mode)),
                    &column(&new, |(_, proof)| proof.claim.uuid()),
                ],
            )
            .await?;
        Ok(())
    }
}

pub(crate) const fn log(inclusion: &Inclusion, log_index: u64) -> Log {
    (inclusion.block_number, log_index, inclusion.block_hash)
}
