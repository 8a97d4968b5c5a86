-- What paywalls ask, and what they asked until lately: a price outlives its change for as long as
-- clients were promised.
CREATE TABLE offered_terms (
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    paywall BLOB NOT NULL,
    chain INTEGER NOT NULL,
    asset BLOB NOT NULL,
    pay_to BLOB NOT NULL,
    amount INTEGER NOT NULL,
    max_timeout_seconds INTEGER NOT NULL,
    -- Seconds since 1970; null while the terms are in force.
    honoured_until INTEGER,
    PRIMARY KEY (tenant, paywall, mode, chain, asset, pay_to, amount, max_timeout_seconds)
) STRICT, WITHOUT ROWID;
