-- Claims that a transaction of somebody else settled, in a block that is not known to be final. What
-- a settlement of ours settled is watched with it.
CREATE TABLE watched_claims (
    chain INTEGER NOT NULL,
    valid_before INTEGER NOT NULL,
    identity BLOB NOT NULL,
    tx_hash BLOB NOT NULL,
    block_number INTEGER NOT NULL,
    block_hash BLOB NOT NULL,
    PRIMARY KEY (chain, valid_before, identity)
) STRICT, WITHOUT ROWID;
