-- Each row of somebody's says whose it is and whether its money is play or real, so that any one table
-- can be read, or cleared, for one tenant. Nobody's are claim_days, which lists tables, and batches,
-- each of which seals what one commit wrote for whoever was in it. The tables claims_<day>, whose
-- names are not known here, are made anew by the program after this.

-- What the old rows lead to is found by these.
CREATE INDEX transactions_claim ON transactions (claim);
CREATE INDEX transactions_identity ON transactions (identity);

ALTER TABLE transaction_states RENAME TO old_transaction_states;
CREATE TABLE transaction_states (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    state INTEGER NOT NULL,
    payment INTEGER NOT NULL,
    work INTEGER NOT NULL,
    -- The number of its last event.
    last_event INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    tx_hash BLOB,
    refund_credit BLOB,
    -- 1 while somebody has to finish the claim.
    unfinished INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO transaction_states
    SELECT
        s.id, t.tenant, t.mode, s.state, s.payment, s.work, s.last_event, s.updated_at, s.tx_hash,
        s.refund_credit, s.unfinished
    FROM old_transaction_states AS s LEFT JOIN transactions AS t ON t.id = s.id;
DROP TABLE old_transaction_states;
CREATE INDEX transactions_unfinished ON transaction_states (id) WHERE unfinished = 1;

ALTER TABLE events RENAME TO old_events;
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    transaction_id BLOB NOT NULL,
    ordinal INTEGER NOT NULL,
    previous INTEGER,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
INSERT INTO events
    SELECT e.number, t.tenant, t.mode, e.transaction_id, e.ordinal, e.previous, e.kind, e.at
    FROM old_events AS e LEFT JOIN transactions AS t ON t.id = e.transaction_id;
DROP TABLE old_events;

-- No tenant: one transaction carries the claims of many. They are of one mode, as all of a chain is;
-- it is null where there are none, which only fills a gap in a wallet's nonces.
ALTER TABLE settlements RENAME TO old_settlements;
CREATE TABLE settlements (
    id BLOB NOT NULL UNIQUE,
    mode INTEGER,
    chain INTEGER NOT NULL,
    wallet BLOB NOT NULL,
    nonce INTEGER NOT NULL,
    state INTEGER NOT NULL,
    -- The claims it carries, 40 bytes each: the end of the authorization in seconds (8 bytes, big
    -- endian), the payment's identity.
    claims BLOB NOT NULL,
    tx_hash BLOB,
    block_number INTEGER,
    block_hash BLOB,
    UNIQUE (chain, wallet, nonce),
    CHECK (mode IS NOT NULL OR claims = x'')
) STRICT;
INSERT INTO settlements
    SELECT
        id,
        (SELECT mode FROM transactions WHERE identity = substr(claims, 9, 32)),
        chain, wallet, nonce, state, claims, tx_hash, block_number, block_hash
    FROM old_settlements ORDER BY rowid;
DROP TABLE old_settlements;
-- State 2: final.
CREATE INDEX settlements_unfinished ON settlements (chain, nonce, wallet) WHERE state < 2;

-- As the settlement that they are attempts of.
ALTER TABLE attempts RENAME TO old_attempts;
CREATE TABLE attempts (
    settlement BLOB NOT NULL,
    mode INTEGER,
    ordinal INTEGER NOT NULL,
    tx_hash BLOB NOT NULL,
    -- The signed bytes, until the settlement is final.
    raw_tx BLOB,
    max_fee_per_gas INTEGER NOT NULL,
    max_priority_fee_per_gas INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (settlement, ordinal)
) STRICT;
INSERT INTO attempts
    SELECT
        a.settlement, s.mode, a.ordinal, a.tx_hash, a.raw_tx, a.max_fee_per_gas,
        a.max_priority_fee_per_gas, a.created_at
    FROM old_attempts AS a LEFT JOIN settlements AS s ON s.id = a.settlement ORDER BY a.rowid;
DROP TABLE old_attempts;

-- Which claim each log settled.
ALTER TABLE proofs RENAME TO old_proofs;
CREATE TABLE proofs (
    chain INTEGER NOT NULL,
    block_number INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    block_hash BLOB NOT NULL,
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    claim BLOB NOT NULL,
    PRIMARY KEY (chain, block_number, log_index, block_hash)
) STRICT, WITHOUT ROWID;
INSERT INTO proofs
    SELECT
        p.chain, p.block_number, p.log_index, p.block_hash, t.tenant, t.mode, p.claim
    FROM old_proofs AS p LEFT JOIN transactions AS t ON t.claim = p.claim;
DROP TABLE old_proofs;

-- Both accounts of a transfer are of one tenant and mode.
ALTER TABLE transfers RENAME TO old_transfers;
CREATE TABLE transfers (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    debit BLOB NOT NULL,
    credit BLOB NOT NULL,
    amount INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    hold BLOB,
    expires_at INTEGER,
    reason INTEGER NOT NULL,
    subject_kind INTEGER NOT NULL,
    subject BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    batch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO transfers
    SELECT
        x.id, a.tenant, a.mode, x.debit, x.credit, x.amount, x.kind, x.hold, x.expires_at, x.reason,
        x.subject_kind, x.subject, x.created_at, x.batch
    FROM old_transfers AS x LEFT JOIN accounts AS a ON a.id = x.debit;
DROP TABLE old_transfers;
CREATE UNIQUE INDEX transfers_hold ON transfers (hold) WHERE hold IS NOT NULL;

-- Claims that a transaction of somebody else settled, in a block that is not known to be final. What
-- a settlement of ours settled is watched with it.
ALTER TABLE watched_claims RENAME TO old_watched_claims;
CREATE TABLE watched_claims (
    chain INTEGER NOT NULL,
    valid_before INTEGER NOT NULL,
    identity BLOB NOT NULL,
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    tx_hash BLOB NOT NULL,
    block_number INTEGER NOT NULL,
    block_hash BLOB NOT NULL,
    PRIMARY KEY (chain, valid_before, identity)
) STRICT, WITHOUT ROWID;
-- A payment that was released may have been claimed again, by another tenant even. Of its transactions
-- the one that something happened to last is the claim's.
INSERT INTO watched_claims
    SELECT
        w.chain, w.valid_before, w.identity, t.tenant, t.mode, w.tx_hash, w.block_number, w.block_hash
    FROM old_watched_claims AS w LEFT JOIN transactions AS t ON t.id = (
        SELECT o.id FROM transactions AS o JOIN transaction_states AS s ON s.id = o.id
        WHERE o.identity = w.identity AND o.valid_before = w.valid_before
        ORDER BY s.last_event DESC LIMIT 1
    );
DROP TABLE old_watched_claims;

DROP INDEX transactions_claim;
DROP INDEX transactions_identity;
