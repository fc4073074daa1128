-- Version 1. All times are microseconds since 1970, UTC. An amount is an integer of minor units; one that SQLite's 64 signed
-- bits do not hold is kept as decimal text (hence ANY), so that nothing wraps around.

CREATE TABLE payments (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    verdict TEXT,
    operation TEXT NOT NULL,
    amount_minor ANY NOT NULL,
    currency TEXT NOT NULL,
    tip_minor ANY,
    register TEXT NOT NULL,
    terminal TEXT NOT NULL,
    driver TEXT NOT NULL,
    terminal_identity TEXT NOT NULL,
    document_number TEXT,
    document_type TEXT,
    original TEXT REFERENCES payments (id),
    accept_partial INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    dispatched_at INTEGER,
    finished_at INTEGER,
    recorded TEXT,
    waits_for_person INTEGER NOT NULL DEFAULT 0,
    answer_delivered INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX payments_by_state ON payments (state);
CREATE INDEX payments_by_register ON payments (register);
CREATE INDEX payments_by_reception ON payments (received_at);
CREATE INDEX payments_by_document ON payments (document_number, operation) WHERE document_number IS NOT NULL;
CREATE INDEX payments_without_document ON payments (register, operation, amount_minor) WHERE document_number IS NULL;
CREATE INDEX payments_by_original ON payments (original) WHERE original IS NOT NULL;

-- The history. Append-only.
CREATE TABLE transitions (
    payment INTEGER NOT NULL REFERENCES payments (seq),
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    actor TEXT NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (payment, number)
) STRICT, WITHOUT ROWID;

-- How a request is recognised when it comes again. `refused` is NULL where the request is the payment, and the code of the
-- answer where it was refused because of the payment.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    guid TEXT,
    content TEXT NOT NULL,
    has_created_at INTEGER NOT NULL,
    payment INTEGER NOT NULL REFERENCES payments (seq),
    refused TEXT,
    register TEXT NOT NULL,
    amount_minor ANY NOT NULL,
    currency TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- A guid has one content. Only what was refused for breaking this very rule may name it again.
CREATE UNIQUE INDEX events_by_guid ON events (guid) WHERE guid IS NOT NULL AND refused IS NOT 'conflicting-repeat';
CREATE INDEX events_conflicting ON events (guid, content) WHERE refused = 'conflicting-repeat';
CREATE INDEX events_by_content ON events (content);
CREATE INDEX events_by_payment ON events (payment);

CREATE TABLE notes (
    payment INTEGER NOT NULL REFERENCES payments (seq),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (payment, key)
) STRICT, WITHOUT ROWID;

-- Slips. Without a payment they belong to a terminal's own work.
CREATE TABLE receipts (
    seq INTEGER PRIMARY KEY,
    payment INTEGER REFERENCES payments (seq),
    terminal TEXT NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX receipts_by_payment ON receipts (payment) WHERE payment IS NOT NULL;

-- What contradicts a payment, or one that is not known.
CREATE TABLE incidents (
    seq INTEGER PRIMARY KEY,
    payment INTEGER REFERENCES payments (seq),
    terminal TEXT NOT NULL,
    at INTEGER NOT NULL,
    message TEXT NOT NULL,
    said TEXT
) STRICT;
CREATE INDEX incidents_by_payment ON incidents (payment) WHERE payment IS NOT NULL;

-- The rules that no program error may break. When old payments are to go after their years of retention, a later version
-- replaces these triggers by ones that let the old rows go.
CREATE TRIGGER transitions_stay BEFORE UPDATE ON transitions
BEGIN SELECT RAISE (ABORT, 'transitions are append-only'); END;
CREATE TRIGGER transitions_remain BEFORE DELETE ON transitions
BEGIN SELECT RAISE (ABORT, 'transitions are append-only'); END;
CREATE TRIGGER receipts_stay BEFORE UPDATE ON receipts
BEGIN SELECT RAISE (ABORT, 'receipts are append-only'); END;
CREATE TRIGGER receipts_remain BEFORE DELETE ON receipts
BEGIN SELECT RAISE (ABORT, 'receipts are append-only'); END;
CREATE TRIGGER incidents_stay BEFORE UPDATE ON incidents
BEGIN SELECT RAISE (ABORT, 'incidents are append-only'); END;
CREATE TRIGGER incidents_remain BEFORE DELETE ON incidents
BEGIN SELECT RAISE (ABORT, 'incidents are append-only'); END;
CREATE TRIGGER payments_remain BEFORE DELETE ON payments
BEGIN SELECT RAISE (ABORT, 'payments are never deleted'); END;
CREATE TRIGGER what_was_asked_stays BEFORE UPDATE OF seq, id, operation, amount_minor, currency, tip_minor, register, terminal,
    driver, terminal_identity, document_number, document_type, original, accept_partial, received_at ON payments
BEGIN SELECT RAISE (ABORT, 'what was asked of a payment never changes'); END;
CREATE TRIGGER final_states_stay BEFORE UPDATE OF state, verdict ON payments
WHEN OLD.state IN ('approved', 'declined', 'cancelled', 'failed', 'expired')
BEGIN SELECT RAISE (ABORT, 'a final state never changes'); END;
