//! Accounts of the books.

use std::cell::RefCell;
use std::collections::HashMap;

use octroi_ledger::{Account, AccountChange, AccountKind, AccountLimit, Ledger, Sums};
use octroi_types::{AccountId, Address, Asset, ChainId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use crate::columns::{Columns, mode_code};

/// Accounts kept in memory; beyond that they are read again.
const CACHED_MAX: usize = 65_536;

const SELECT: &str = "SELECT
    id, tenant, mode, chain, asset, kind, bound, debits_posted, debits_pending, credits_posted,
    credits_pending, created_at, version, batch
FROM accounts";

const GET: &str = "WHERE id = ?1";
const ALL: &str = "ORDER BY id";

const INSERT: &str = "INSERT INTO accounts (
    id, tenant, mode, chain, asset, kind, bound, debits_posted, debits_pending, credits_posted,
    credits_pending, created_at, version, batch
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

const UPDATE: &str = "UPDATE accounts SET
    debits_posted = ?2, debits_pending = ?3, credits_posted = ?4, credits_pending = ?5, version = ?6
WHERE id = ?1";

/// The writer's statements, and the accounts as they were last committed.
pub(crate) struct Accounts<'c> {
    get: RefCell<Statement<'c>>,
    insert: RefCell<Statement<'c>>,
    update: RefCell<Statement<'c>>,
    cache: RefCell<HashMap<AccountId, Account>>,
}

impl<'c> Accounts<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            get: RefCell::new(connection.prepare(&format!("{SELECT} {GET}"))?),
            insert: RefCell::new(connection.prepare(INSERT)?),
            update: RefCell::new(connection.prepare(UPDATE)?),
            cache: RefCell::default(),
        })
    }

    pub(crate) fn get(&self, id: AccountId) -> rusqlite::Result<Option<Account>> {
        if let Some(account) = self.cache.borrow().get(&id) {
            return Ok(Some(*account));
        }
        let stored = self
            .get
            .borrow_mut()
            .query_row([id.as_bytes()], read)
            .optional()?;
        Ok(stored
            .inspect(|(account, _)| self.remember(account))
            .map(|(account, _)| account))
    }

    /// Writes an account once for all that a batch did to it.
    pub(crate) fn write(&self, change: &AccountChange, batch: u64) -> rusqlite::Result<()> {
        let account = &change.after;
        let sums = [
            account.debits.posted,
            account.debits.pending,
            account.credits.posted,
            account.credits.pending,
        ]
        .map(octroi_types::Amount::as_i64);
        let version = account.version.cast_signed();
        if change.replaces.is_some() {
            self.update.borrow_mut().execute(params![
                account.id.as_bytes(),
                sums[0],
                sums[1],
                sums[2],
                sums[3],
                version
            ])?;
        } else {
            let (chain, asset) = match account.ledger.asset {
                Asset::Usd => (None, None),
                Asset::Token { chain, address } => (Some(chain.0.cast_signed()), Some(address.0)),
            };
            self.insert.borrow_mut().execute(params![
                account.id.as_bytes(),
                account.ledger.tenant.as_bytes(),
                mode_code(account.ledger.mode),
                chain,
                asset,
                account.kind.code(),
                account.limit.code(),
                sums[0],
                sums[1],
                sums[2],
                sums[3],
                account.created_at.0,
                version,
                batch.cast_signed(),
            ])?;
        }
        self.remember(account);
        Ok(())
    }

    fn remember(&self, account: &Account) {
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHED_MAX {
            cache.clear();
        }
        cache.insert(account.id, *account);
    }
}

/// An account and the batch that opened it.
fn read(row: &Row<'_>) -> rusqlite::Result<(Account, u64)> {
    let mut columns = Columns::of(row);
    let id = columns.id(AccountId::from_bytes)?;
    let tenant = columns.id(TenantId::from_bytes)?;
    let mode = columns.mode()?;
    let chain: Option<i64> = columns.get()?;
    let asset = columns.read(|address: Option<[u8; 20]>| match (chain, address) {
        (None, None) => Some(Asset::Usd),
        (Some(chain), Some(address)) => {
            let chain = ChainId(chain.cast_unsigned());
            Some(Asset::Token {
                chain,
                address: Address(address),
            })
        }
        (None, Some(_)) | (Some(_), None) => None,
    })?;
    let account = Account {
        id,
        ledger: Ledger {
            tenant,
            mode,
            asset,
        },
        kind: columns.read(AccountKind::from_code)?,
        limit: columns.read(AccountLimit::from_code)?,
        debits: Sums {
            posted: columns.amount()?,
            pending: columns.amount()?,
        },
        credits: Sums {
            posted: columns.amount()?,
            pending: columns.amount()?,
        },
        created_at: columns.micros()?,
        version: columns.bits()?,
    };
    Ok((account, columns.bits()?))
}

/// One account.
pub(crate) fn get(connection: &Connection, id: AccountId) -> rusqlite::Result<Option<Account>> {
    let stored = connection
        .prepare_cached(&format!("{SELECT} {GET}"))?
        .query_row([id.as_bytes()], read)
        .optional()?;
    Ok(stored.map(|(account, _)| account))
}

/// Every account, with the batch that opened it.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<(Account, u64)>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} {ALL}"))?;
    statement.query_map([], read)?.collect()
}
