-- Whose payments failed, and when, at each tenant and in each mode: play money tells nothing about real
-- money, and one tenant nothing about another.
DROP TABLE failed_payments;
CREATE TABLE failed_payments (
    tenant BLOB NOT NULL,
    mode INTEGER NOT NULL,
    payer BLOB NOT NULL,
    failed_at INTEGER NOT NULL,
    transaction_id BLOB NOT NULL,
    PRIMARY KEY (tenant, mode, payer, failed_at, transaction_id)
) STRICT, WITHOUT ROWID;
-- Payment 3: failed.
INSERT INTO failed_payments
    SELECT t.tenant, t.mode, t.payer, s.updated_at, t.id
    FROM transactions AS t JOIN transaction_states AS s ON s.id = t.id WHERE s.payment = 3;
