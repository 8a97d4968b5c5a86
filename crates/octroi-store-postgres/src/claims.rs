//! Claims: what they have beside their transactions, in a partition for each day of `validBefore`.

use std::collections::{BTreeSet, HashMap};

use octroi_claim::{Binding, Claim, ClaimKey, NewClaim, NodeId, SecretHash};
use octroi_types::{B256, ClaimId, CreditId, PaywallId, TenantId, TransactionId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::columns::{Columns, column, mode_code, order_code};
use crate::connection::Connection;
use crate::fault::Fault;
use crate::wallets::WalletId;

/// What [`read`] reads: `c` is the claim, `t` its transaction and `s` the state.
macro_rules! columns {
    () => {
        "t.claim, t.identity, t.tenant, t.mode, t.paywall, t.id, c.binding, c.secret,
        c.settle_order, t.chain, t.asset, t.payer, t.pay_to, t.amount, c.nonce, t.valid_before,
        s.owner, t.created_at, s.payment, s.work, s.epoch, t.covered_by, s.refund_credit,
        s.tx_hash, s.events, c.wallet "
    };
}

macro_rules! joined {
    () => {
        "JOIN transactions AS t ON t.id = c.transaction_id
        JOIN transaction_states AS s ON s.id = c.transaction_id "
    };
}

const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM claims AS c ",
    joined!(),
    "WHERE c.identity = ANY($1)"
);

const GET: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM claims AS c ",
    joined!(),
    "WHERE c.identity = $1 AND c.day = $2"
);

/// Payment state 4: unknown. It is never finished.
const UNKNOWN: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM open_claims AS o
    JOIN transaction_states AS s ON s.id = o.transaction_id
    JOIN transactions AS t ON t.id = o.transaction_id
    JOIN claims AS c ON c.identity = o.identity AND c.transaction_id = o.transaction_id
    WHERE s.payment = 4 ORDER BY o.transaction_id LIMIT $1"
);

/// The watched claims of a chain, with where each was seen.
pub(crate) const WATCHED: &str = concat!(
    "SELECT ",
    columns!(),
    ", w.tx_hash, w.block_number, w.block_hash
    FROM watched_claims AS w
    JOIN claims AS c ON c.identity = w.identity
    JOIN transactions AS t ON t.id = c.transaction_id AND t.valid_before = w.valid_before
    JOIN transaction_states AS s ON s.id = c.transaction_id
    WHERE w.chain = $1 ORDER BY w.valid_before, w.identity"
);

const _: () = assert!(octroi_claim::PaymentState::Unknown.code() == 4);

const PUT: &str = "INSERT INTO claims (
    identity, day, tenant, mode, wallet, transaction_id, binding, secret, settle_order, nonce
) SELECT * FROM unnest(
    $1::bytea[], $2::bigint[], $3::uuid[], $4::smallint[], $5::uuid[], $6::uuid[], $7::bytea[],
    $8::bytea[], $9::smallint[], $10::bytea[]
) ON CONFLICT (identity, day) DO UPDATE SET
    tenant = excluded.tenant, mode = excluded.mode, transaction_id = excluded.transaction_id,
    binding = excluded.binding, secret = excluded.secret, settle_order = excluded.settle_order,
    nonce = excluded.nonce";

const DELETE: &str = "DELETE FROM claims AS c
USING unnest($1::bytea[], $2::bigint[]) AS gone (identity, day)
WHERE c.identity = gone.identity AND c.day = gone.day";

/// A claim, with the history of its transaction.
#[derive(Debug, Clone)]
pub(crate) struct StoredClaim {
    pub(crate) claim: Claim,
    /// How many events there are.
    pub(crate) events: u32,
    pub(crate) wallet: WalletId,
}

/// The claims of a batch, under their identities.
#[derive(Default)]
pub(crate) struct Claims {
    claims: HashMap<B256, StoredClaim>,
    /// Where the database has them, and for which transaction.
    stored: HashMap<B256, (u64, TransactionId)>,
    /// Those that stand for another transaction now.
    moved: BTreeSet<B256>,
}

impl Claims {
    /// Reads the claims of identities, on whatever day. One whose wallet is not locked came after the
    /// locks were taken: for this transaction it is not there yet.
    pub(crate) async fn load(
        connection: &Connection,
        identities: &[B256],
        locked: &BTreeSet<WalletId>,
    ) -> Result<Self, Fault> {
        let mut claims = Self::default();
        if identities.is_empty() {
            return Ok(claims);
        }
        let identities: Vec<&[u8]> = column(identities, |hash| hash.0.as_slice());
        for row in connection.query(FIND, &[&identities]).await? {
            let stored = read(&row)?;
            if locked.contains(&stored.wallet) {
                let identity = stored.claim.terms.identity;
                let place = (stored.claim.key().day(), stored.claim.terms.transaction);
                claims.stored.insert(identity, place);
                claims.claims.insert(identity, stored);
            }
        }
        Ok(claims)
    }

    /// Every claim as it is now.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &StoredClaim> {
        self.claims.values()
    }

    /// The credits that these claims use or led to.
    pub(crate) fn credits(&self) -> Vec<CreditId> {
        let of = |stored: &StoredClaim| [stored.claim.covered_by, stored.claim.credit];
        self.iter().flat_map(of).flatten().collect()
    }

    /// The claim of an identity, on whatever day.
    pub(crate) fn find(&self, identity: B256) -> Option<&StoredClaim> {
        self.claims.get(&identity)
    }

    /// The claim of a key.
    pub(crate) fn get(&self, key: ClaimKey) -> Option<&StoredClaim> {
        self.find(key.identity)
            .filter(|stored| stored.claim.key() == key)
    }

    /// Takes a claim as it is now, in the place of any other under its identity.
    pub(crate) fn put(&mut self, stored: StoredClaim) {
        let identity = stored.claim.terms.identity;
        let transaction = stored.claim.terms.transaction;
        let place = self.stored.get(&identity);
        if place.is_none_or(|(_, before)| *before != transaction) {
            self.moved.insert(identity);
        }
        self.claims.insert(identity, stored);
    }

    /// Writes what changed.
    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let moved: Vec<&StoredClaim> = self
            .moved
            .iter()
            .filter_map(|identity| self.claims.get(identity))
            .collect();
        if moved.is_empty() {
            return Ok(());
        }
        let gone: Vec<(B256, u64)> = moved
            .iter()
            .filter_map(|stored| {
                let identity = stored.claim.terms.identity;
                let (day, _) = self.stored.get(&identity)?;
                (*day != stored.claim.key().day()).then_some((identity, *day))
            })
            .collect();
        if !gone.is_empty() {
            let identities = column(&gone, |(identity, _)| identity.0.as_slice());
            let days = column(&gone, |(_, day)| day.cast_signed());
            connection.execute(DELETE, &[&identities, &days]).await?;
        }
        put(connection, &moved).await
    }
}

async fn put(connection: &Connection, claims: &[&StoredClaim]) -> Result<(), Fault> {
    let terms: Vec<&NewClaim> = column(claims, |stored| &stored.claim.terms);
    connection
        .execute(
            PUT,
            &[
                &column(&terms, |terms| terms.identity.0.as_slice()),
                &column(claims, |stored| stored.claim.key().day().cast_signed()),
                &column(&terms, |terms| terms.tenant.uuid()),
                &column(&terms, |terms| mode_code(terms.mode)),
                &column(claims, |stored| stored.wallet.0),
                &column(&terms, |terms| terms.transaction.uuid()),
                &column(&terms, |terms| terms.binding.0.0.as_slice()),
                &column(&terms, |terms| {
                    terms.secret.as_ref().map(|secret| secret.0.0.as_slice())
                }),
                &column(&terms, |terms| order_code(terms.order)),
                &column(&terms, |terms| terms.nonce.0.as_slice()),
            ],
        )
        .await?;
    Ok(())
}

pub(crate) fn read(row: &Row) -> Result<StoredClaim, Fault> {
    read_columns(&mut Columns::of(row))
}

pub(crate) fn read_columns(columns: &mut Columns<'_>) -> Result<StoredClaim, Fault> {
    let terms = NewClaim {
        id: columns.id(ClaimId::from_uuid)?,
        identity: columns.hash()?,
        tenant: columns.id(TenantId::from_uuid)?,
        mode: columns.mode()?,
        paywall: columns.id(PaywallId::from_uuid)?,
        transaction: columns.id(TransactionId::from_uuid)?,
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
        epoch: columns.u32()?,
        covered_by: columns.id_or_null(CreditId::from_uuid)?,
        credit: columns.id_or_null(CreditId::from_uuid)?,
        tx_hash: columns.hash_or_null()?,
    };
    Ok(StoredClaim {
        claim,
        events: columns.count()?,
        wallet: WalletId(columns.get::<Uuid>()?),
    })
}

/// One claim.
pub(crate) async fn get(connection: &Connection, key: ClaimKey) -> Result<Option<Claim>, Fault> {
    let (identity, day) = (key.identity.0.as_slice(), key.day().cast_signed());
    let row = connection.query_opt(GET, &[&identity, &day]).await?;
    let claim = row.map(|row| read(&row)).transpose()?;
    Ok(claim
        .map(|stored| stored.claim)
        .filter(|claim| claim.key() == key))
}

/// The claims of unknown fate, oldest first.
pub(crate) async fn unknown(connection: &Connection, limit: usize) -> Result<Vec<Claim>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = connection.query(UNKNOWN, &[&limit]).await?;
    rows.iter().map(|row| Ok(read(row)?.claim)).collect()
}
