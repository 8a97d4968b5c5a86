-- Transfer ids that the books refused. They stay refused, so that a late copy of a request can never go
-- through. Nothing was moved under them, and the accounts that they named may not exist: they belong
-- to nobody, and have neither tenant nor mode.
CREATE TABLE used_up_transfers (
    id BLOB PRIMARY KEY,
    refusal INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    batch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
