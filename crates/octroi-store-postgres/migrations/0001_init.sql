-- Times are microseconds since 1970 UTC, ids are UUIDs, hashes 32 bytes, amounts counts of an asset's
-- smallest unit. Numbers that are unsigned in 64 bits keep their bits. Each row of somebody's says whose
-- it is and whether its money is play or real, so that any one table can be read, or cleared, for one
-- tenant.

-- Until when each node is believed alive, by the nodes' clocks. Nobody's.
CREATE TABLE nodes (
    node bigint PRIMARY KEY,
    lease_until bigint NOT NULL
) WITH (fillfactor = 50);

-- Whose claims are being decided: locked row by row, and never written again. The id is a hash of chain,
-- token and payer. Nobody's: it is one payer at all tenants.
CREATE TABLE wallets (
    id uuid PRIMARY KEY
);

-- One row for each payment attempt: what never changes.
CREATE TABLE transactions (
    id uuid PRIMARY KEY,
    claim uuid NOT NULL,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    service uuid,
    paywall uuid NOT NULL,
    request uuid NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    rail text NOT NULL,
    chain bigint NOT NULL,
    asset bytea NOT NULL,
    amount bigint NOT NULL,
    payer bytea NOT NULL,
    pay_to bytea NOT NULL,
    identity bytea NOT NULL,
    valid_before bigint NOT NULL,
    covered_by uuid,
    created_at bigint NOT NULL
);
CREATE INDEX transactions_tenant ON transactions (tenant, id);
CREATE INDEX transactions_paywall ON transactions (paywall, id);

-- And what changes, in small rows of their own without an index on anything that changes, so that a new
-- version stays in its page. While the claim lives, the state here is the claim's: there is no second copy
-- that could differ.
CREATE TABLE transaction_states (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    state smallint NOT NULL,
    payment smallint NOT NULL,
    work smallint NOT NULL,
    -- How many events there are.
    events integer NOT NULL,
    updated_at bigint NOT NULL,
    owner bigint NOT NULL,
    epoch bigint NOT NULL,
    tx_hash bytea,
    refund_credit uuid
) WITH (fillfactor = 60);

-- Claims that somebody has to finish, and by what they are looked for. Rows come and go, and there are few.
CREATE TABLE open_claims (
    transaction_id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    identity bytea NOT NULL,
    valid_before bigint NOT NULL,
    wallet uuid NOT NULL,
    payer bytea NOT NULL,
    binding bytea NOT NULL,
    amount bigint NOT NULL,
    owner bigint NOT NULL
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX open_claims_wallet ON open_claims (wallet);
CREATE INDEX open_claims_request ON open_claims (payer, binding);

-- What a claim has beside its transaction, in a partition for each day of its end. Partitions are made when a
-- day is first needed, and dropped whole. None of it changes.
CREATE TABLE claims (
    identity bytea NOT NULL,
    day bigint NOT NULL,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    wallet uuid NOT NULL,
    transaction_id uuid NOT NULL,
    binding bytea NOT NULL,
    secret bytea,
    settle_order smallint NOT NULL,
    nonce bytea NOT NULL,
    PRIMARY KEY (identity, day)
) PARTITION BY LIST (day);

-- The partitions claims_<day>. Nobody's.
CREATE TABLE claim_days (
    day bigint PRIMARY KEY
);

-- Whose payments failed, and when, at each tenant and in each mode.
CREATE TABLE failed_payments (
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    payer bytea NOT NULL,
    failed_at bigint NOT NULL,
    transaction_id uuid NOT NULL,
    PRIMARY KEY (tenant, mode, payer, failed_at, transaction_id)
);

CREATE TABLE events (
    transaction_id uuid NOT NULL,
    ordinal integer NOT NULL,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    kind smallint NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (transaction_id, ordinal)
);

CREATE TABLE credits (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    payer bytea NOT NULL,
    chain bigint NOT NULL,
    asset bytea NOT NULL,
    amount bigint NOT NULL,
    available bigint NOT NULL,
    transaction_id uuid NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX credits_available ON credits (payer, tenant, mode, chain, asset, id)
    WHERE available > 0;

-- No tenant: one transaction carries the claims of many. They are of one mode, as all of a chain is; it is
-- null where there are none, which only fills a gap in a wallet's nonces.
CREATE TABLE settlements (
    id uuid PRIMARY KEY,
    mode smallint,
    chain bigint NOT NULL,
    wallet bytea NOT NULL,
    nonce bigint NOT NULL,
    state smallint NOT NULL,
    -- The claims it carries, 40 bytes each: the end of the authorization in seconds (8 bytes, big endian),
    -- the payment's identity.
    claims bytea NOT NULL,
    tx_hash bytea,
    block_number bigint,
    block_hash bytea,
    CONSTRAINT settlements_nonce UNIQUE (chain, wallet, nonce),
    CHECK (mode IS NOT NULL OR claims = ''::bytea)
);
-- State 2: final.
CREATE INDEX settlements_unfinished ON settlements (chain, nonce, wallet) WHERE state < 2;

-- As the settlement that they are attempts of.
CREATE TABLE attempts (
    settlement uuid NOT NULL,
    ordinal integer NOT NULL,
    mode smallint,
    tx_hash bytea NOT NULL,
    -- The signed bytes, until the settlement is final.
    raw_tx bytea,
    max_fee_per_gas bigint NOT NULL,
    max_priority_fee_per_gas bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (settlement, ordinal)
);

-- Which claim each log settled.
CREATE TABLE proofs (
    block_number bigint NOT NULL,
    log_index bigint NOT NULL,
    block_hash bytea NOT NULL,
    chain bigint NOT NULL,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    claim uuid NOT NULL,
    PRIMARY KEY (block_number, log_index, block_hash, chain)
);

-- Claims that a transaction of somebody else settled, in a block that is not known to be final. What a
-- settlement of ours settled is watched with it.
CREATE TABLE watched_claims (
    chain bigint NOT NULL,
    valid_before bigint NOT NULL,
    identity bytea NOT NULL,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    tx_hash bytea NOT NULL,
    block_number bigint NOT NULL,
    block_hash bytea NOT NULL,
    PRIMARY KEY (chain, valid_before, identity)
);

-- What paywalls ask, and what they asked until lately: a price outlives its change for as long as clients
-- were promised.
CREATE TABLE offered_terms (
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    paywall uuid NOT NULL,
    chain bigint NOT NULL,
    asset bytea NOT NULL,
    pay_to bytea NOT NULL,
    amount bigint NOT NULL,
    max_timeout_seconds bigint NOT NULL,
    -- Seconds since 1970; null while the terms are in force.
    honoured_until bigint,
    PRIMARY KEY (tenant, paywall, mode, chain, asset, pay_to, amount, max_timeout_seconds)
);

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    -- A token; null for US dollars.
    chain bigint,
    asset bytea,
    kind smallint NOT NULL,
    bound smallint NOT NULL,
    debits_posted bigint NOT NULL,
    debits_pending bigint NOT NULL,
    credits_posted bigint NOT NULL,
    credits_pending bigint NOT NULL,
    created_at bigint NOT NULL,
    version bigint NOT NULL,
    -- The batch that opened it.
    lane integer NOT NULL,
    batch bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE transfers (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    mode smallint NOT NULL,
    debit uuid NOT NULL,
    credit uuid NOT NULL,
    amount bigint NOT NULL,
    kind smallint NOT NULL,
    hold uuid,
    expires_at bigint,
    reason smallint NOT NULL,
    subject_kind smallint NOT NULL,
    subject uuid NOT NULL,
    created_at bigint NOT NULL,
    -- The batch that made it.
    lane integer NOT NULL,
    batch bigint NOT NULL
);
CREATE UNIQUE INDEX transfers_hold ON transfers (hold) WHERE hold IS NOT NULL;

-- Transfer ids that the books refused. They stay refused, so that a late copy of a request can never go through.
-- No tenant and no mode: nothing was moved under them, and the accounts that they named may not exist.
CREATE TABLE used_up_transfers (
    id uuid PRIMARY KEY,
    refusal smallint NOT NULL,
    failed_at bigint NOT NULL,
    -- The batch that refused it.
    lane integer NOT NULL,
    batch bigint NOT NULL
);

-- The hash chains over the books, one for each lane: one link for each commit of the lane that wrote to them.
CREATE TABLE batches (
    lane integer NOT NULL,
    sequence bigint NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (lane, sequence)
);
