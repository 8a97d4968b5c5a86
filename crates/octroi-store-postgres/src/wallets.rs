//! Wallets: what is locked while a payer's claims are decided.
//!
//! A payment's identity is made of chain, token, payer and nonce (money rule 5), so all that is decided
//! about one payment, about a payer's exposure and about a payer's credits is decided under the lock of
//! one wallet. Whoever locks several locks them in the order of their ids.

use std::collections::BTreeSet;

use octroi_types::{Address, B256, ChainId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::connection::Connection;
use crate::fault::Fault;

const OF_CLAIMS: &str = "SELECT DISTINCT wallet FROM claims WHERE identity = ANY($1)";

const INSERT: &str = "INSERT INTO wallets (id)
SELECT id FROM unnest($1::uuid[]) AS w (id) ON CONFLICT DO NOTHING";

const LOCK: &str = "SELECT id FROM wallets WHERE id = ANY($1) ORDER BY id FOR UPDATE";

/// A payer's balance of one token. A claim never changes its wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WalletId(pub(crate) Uuid);

impl WalletId {
    pub(crate) fn of(chain: ChainId, asset: Address, payer: Address) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(chain.0.to_be_bytes());
        hasher.update(asset.0);
        hasher.update(payer.0);
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize()[..16]);
        Self(Uuid::from_bytes(id))
    }
}

/// Locks the wallets of stored claims, and those of payments that arrive, until the transaction ends.
/// Returns what is locked.
pub(crate) async fn lock(
    connection: &Connection,
    claims: &[B256],
    arriving: &BTreeSet<WalletId>,
) -> Result<BTreeSet<WalletId>, Fault> {
    let mut wallets = arriving.clone();
    if !claims.is_empty() {
        let identities: Vec<&[u8]> = claims.iter().map(|hash| hash.0.as_slice()).collect();
        for row in connection.query(OF_CLAIMS, &[&identities]).await? {
            wallets.insert(WalletId(crate::columns::Columns::of(&row).get()?));
        }
    }
    if !arriving.is_empty() {
        let ids: Vec<Uuid> = arriving.iter().map(|wallet| wallet.0).collect();
        connection.execute(INSERT, &[&ids]).await?;
    }
    if !wallets.is_empty() {
        let ids: Vec<Uuid> = wallets.iter().map(|wallet| wallet.0).collect();
        connection.query(LOCK, &[&ids]).await?;
    }
    Ok(wallets)
}
