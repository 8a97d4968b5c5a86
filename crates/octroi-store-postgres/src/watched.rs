//! Claims that are watched on their own until their block is final (money rule 18). There are few: those
//! of the last blocks.

use std::collections::BTreeMap;

use octroi_claim::{Claim, ClaimKey, NewClaim};
use octroi_store::Inclusion;
use octroi_types::{B256, ChainId, Mode, TenantId};

use crate::claims;
use crate::columns::{Columns, column, mode_code};
use crate::connection::Connection;
use crate::fault::Fault;

const FIND: &str = "SELECT
    w.chain, w.valid_before, w.identity, w.tx_hash, w.block_number, w.block_hash, w.tenant, w.mode
FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS k (chain, valid_before, identity)
JOIN watched_claims AS w
    ON w.chain = k.chain AND w.valid_before = k.valid_before AND w.identity = k.identity";

const PUT: &str = "INSERT INTO watched_claims (
    chain, valid_before, identity, tenant, mode, tx_hash, block_number, block_hash
) SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::bytea[], $4::uuid[], $5::smallint[], $6::bytea[],
    $7::bigint[], $8::bytea[]
) ON CONFLICT (chain, valid_before, identity) DO UPDATE SET
    tenant = excluded.tenant, mode = excluded.mode, tx_hash = excluded.tx_hash,
    block_number = excluded.block_number, block_hash = excluded.block_hash";

const REMOVE: &str = "DELETE FROM watched_claims AS w
USING unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS gone (chain, valid_before, identity)
WHERE w.chain = gone.chain AND w.valid_before = gone.valid_before AND w.identity = gone.identity";

const KEYS: &str = "SELECT valid_before, identity FROM watched_claims";

/// Where a claim was seen, and whose it is.
#[derive(Clone, Copy)]
struct Watched {
    inclusion: Inclusion,
    tenant: TenantId,
    mode: Mode,
}

type Place = (ChainId, ClaimKey);

/// What a batch watches.
#[derive(Default)]
pub(crate) struct WatchedClaims {
    watched: BTreeMap<Place, Watched>,
    /// What it changed; `None` where nothing is to be watched any more.
    changed: BTreeMap<Place, Option<Watched>>,
}

impl WatchedClaims {
    pub(crate) async fn load(connection: &Connection, places: &[Place]) -> Result<Self, Fault> {
        let mut watched = Self::default();
        if places.is_empty() {
            return Ok(watched);
        }
        let (chains, ends, identities) = place_columns(places);
        for row in connection
            .query(FIND, &[&chains, &ends, &identities])
            .await?
        {
            let mut columns = Columns::of(&row);
            let chain = columns.chain()?;
            let key = key(&mut columns)?;
            let seen = Watched {
                inclusion: inclusion(&mut columns)?,
                tenant: columns.id(TenantId::from_uuid)?,
                mode: columns.mode()?,
            };
            watched.watched.insert((chain, key), seen);
        }
        Ok(watched)
    }

    /// Watches a claim where it was seen last.
    pub(crate) fn put(&mut self, terms: &NewClaim, inclusion: &Inclusion) {
        let place = (terms.chain, ClaimKey::of(terms));
        let watched = Watched {
            inclusion: *inclusion,
            tenant: terms.tenant,
            mode: terms.mode,
        };
        self.watched.insert(place, watched);
        self.changed.insert(place, Some(watched));
    }

    pub(crate) fn remove(&mut self, chain: ChainId, key: ClaimKey) {
        self.watched.remove(&(chain, key));
        self.changed.insert((chain, key), None);
    }

    /// Removes a claim, if it was seen in this block last.
    pub(crate) fn finish(&mut self, chain: ChainId, key: ClaimKey, block_hash: B256) {
        let watched = self.watched.get(&(chain, key));
        if watched.is_some_and(|watched| watched.inclusion.block_hash == block_hash) {
            self.remove(chain, key);
        }
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let gone: Vec<Place> = self
            .changed
            .iter()
            .filter(|(_, watched)| watched.is_none())
            .map(|(place, _)| *place)
            .collect();
        if !gone.is_empty() {
            let (chains, ends, identities) = place_columns(&gone);
            connection
                .execute(REMOVE, &[&chains, &ends, &identities])
                .await?;
        }
        let (places, watched): (Vec<Place>, Vec<Watched>) = self
            .changed
            .iter()
            .filter_map(|(place, watched)| Some((*place, (*watched)?)))
            .unzip();
        if !watched.is_empty() {
            put(connection, &places, &watched).await?;
        }
        Ok(())
    }
}

async fn put(connection: &Connection, places: &[Place], watched: &[Watched]) -> Result<(), Fault> {
    let (chains, ends, identities) = place_columns(places);
    connection
        .execute(
            PUT,
            &[
                &chains,
                &ends,
                &identities,
                &column(watched, |watched| watched.tenant.uuid()),
                &column(watched, |watched| mode_code(watched.mode)),
                &column(watched, |watched| watched.inclusion.tx_hash.0.as_slice()),
                &column(watched, |watched| {
                    watched.inclusion.block_number.cast_signed()
                }),
                &column(watched, |watched| watched.inclusion.block_hash.0.as_slice()),
            ],
        )
        .await?;
    Ok(())
}

fn place_columns(places: &[Place]) -> (Vec<i64>, Vec<i64>, Vec<&[u8]>) {
    (
        column(places, |(chain, _)| chain.0.cast_signed()),
        column(places, |(_, key)| key.valid_before.0.cast_signed()),
        column(places, |(_, key)| key.identity.0.as_slice()),
    )
}

fn key(columns: &mut Columns<'_>) -> Result<ClaimKey, Fault> {
    Ok(ClaimKey {
        valid_before: columns.seconds()?,
        identity: columns.hash()?,
    })
}

fn inclusion(columns: &mut Columns<'_>) -> Result<Inclusion, Fault> {
    Ok(Inclusion {
        tx_hash: columns.hash()?,
        block_number: columns.bits()?,
        block_hash: columns.hash()?,
    })
}

/// The claims that are watched.
pub(crate) async fn keys(connection: &Connection) -> Result<Vec<ClaimKey>, Fault> {
    let rows = connection.query(KEYS, &[]).await?;
    rows.iter().map(|row| key(&mut Columns::of(row))).collect()
}

/// Those of a chain.
pub(crate) async fn of_chain(
    connection: &Connection,
    chain: ChainId,
) -> Result<Vec<(Claim, Inclusion)>, Fault> {
    let rows = connection
        .query(claims::WATCHED, &[&chain.0.cast_signed()])
        .await?;
    let mut watched = Vec::with_capacity(rows.len());
    for row in rows {
        let mut columns = Columns::of(&row);
        let stored = claims::read_columns(&mut columns)?;
        watched.push((stored.claim, inclusion(&mut columns)?));
    }
    Ok(watched)
}
