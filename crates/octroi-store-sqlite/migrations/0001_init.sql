-- Times are microseconds since 1970 UTC, ids are the 16 bytes of a UUID, hashes 32 bytes, amounts
-- counts of an asset's smallest unit. Numbers that are unsigned in 64 bits keep their bits.

-- One row for each payment attempt: what never changes.
CREATE TABLE transactions (
    id BLOB PRIMARY KEY,
    claim BLOB NOT NULL,
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    service BLOB,
    paywall BLOB NOT NULL,
    request BLOB NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    rail TEXT NOT NULL,
    chain INTEGER NOT NULL,
    asset BLOB NOT NULL,
    amount INTEGER NOT NULL,
    payer BLOB NOT NULL,
    pay_to BLOB NOT NULL,
    identity BLOB NOT NULL,
    valid_before INTEGER NOT NULL,
    covered_by BLOB,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX transactions_tenant ON transactions (tenant, id);
CREATE INDEX transactions_paywall ON transactions (paywall, id);

-- And what changes, in small rows of its own. While the claim lives, the state here is the claim's:
-- there is no second copy that could differ.
CREATE TABLE transaction_states (
    id BLOB PRIMARY KEY,
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
CREATE INDEX transactions_unfinished ON transaction_states (id) WHERE unfinished = 1;

-- Whose payments failed, and when.
CREATE TABLE failed_payments (
    payer BLOB NOT NULL,
    failed_at INTEGER NOT NULL,
    transaction_id BLOB NOT NULL,
    PRIMARY KEY (payer, failed_at, transaction_id)
) STRICT, WITHOUT ROWID;

-- The tables claims_<day> hold what a claim has beside its transaction; the writer makes and drops
-- them. This one lists them.
CREATE TABLE claim_days (
    day INTEGER PRIMARY KEY
) STRICT;

-- All events in the order in which they were committed. Each leads to the one before it in the
-- history of its transaction, so that writing one is an append and nothing else.
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    transaction_id BLOB NOT NULL,
    ordinal INTEGER NOT NULL,
    previous INTEGER,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE credits (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    payer BLOB NOT NULL,
    chain INTEGER NOT NULL,
    asset BLOB NOT NULL,
    amount INTEGER NOT NULL,
    available INTEGER NOT NULL,
    transaction_id BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX credits_available ON credits (payer, tenant, mode, chain, asset)
    WHERE available > 0;

CREATE TABLE settlements (
    id BLOB NOT NULL UNIQUE,
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
    UNIQUE (chain, wallet, nonce)
) STRICT;
-- State 2: final.
CREATE INDEX settlements_unfinished ON settlements (chain, nonce, wallet) WHERE state < 2;

CREATE TABLE attempts (
    settlement BLOB NOT NULL,
    ordinal INTEGER NOT NULL,
    tx_hash BLOB NOT NULL,
    -- The signed bytes, until the settlement is final.
    raw_tx BLOB,
    max_fee_per_gas INTEGER NOT NULL,
    max_priority_fee_per_gas INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (settlement, ordinal)
) STRICT;

-- Which claim each log settled.
CREATE TABLE proofs (
    chain INTEGER NOT NULL,
    block_number INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    block_hash BLOB NOT NULL,
    claim BLOB NOT NULL,
    PRIMARY KEY (chain, block_number, log_index, block_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    -- A token; null for US dollars.
    chain INTEGER,
    asset BLOB,
    kind INTEGER NOT NULL,
    bound INTEGER NOT NULL,
    debits_posted INTEGER NOT NULL,
    debits_pending INTEGER NOT NULL,
    credits_posted INTEGER NOT NULL,
    credits_pending INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    -- The batch that opened it.
    batch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE transfers (
    id BLOB PRIMARY KEY,
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
CREATE UNIQUE INDEX transfers_hold ON transfers (hold) WHERE hold IS NOT NULL;

-- The hash chain over the books: one link for each commit that wrote to them.
CREATE TABLE batches (
    sequence INTEGER PRIMARY KEY,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
