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
    again_of TEXT,
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
CREATE INDEX receipts_of_terminals ON receipts (at) WHERE payment IS NULL;

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
CREATE INDEX incidents_of_terminals ON incidents (at) WHERE payment IS NULL;

-- One row: what is older than this may be forgotten. It is NULL, so that nothing may, except inside the transaction that
-- forgets.
CREATE TABLE retention (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    forgets_before INTEGER
) STRICT;
INSERT INTO retention VALUES (1, NULL);

-- The payments that may be forgotten. Evidence that is younger keeps its payment, and so does a younger event that was
-- refused because of it: it must be refused again. The plus keeps SQLite from walking through all final payments.
CREATE VIEW forgettable AS
SELECT payments.seq FROM retention CROSS JOIN payments
WHERE only_one = 1 AND payments.received_at < forgets_before AND payments.finished_at < forgets_before
    AND +payments.state IN ('approved', 'declined', 'cancelled', 'failed', 'expired')
    AND NOT EXISTS (SELECT 1 FROM payments AS linked WHERE linked.original = payments.id)
    AND NOT EXISTS (SELECT 1 FROM transitions WHERE payment = payments.seq AND at >= forgets_before)
    AND NOT EXISTS (SELECT 1 FROM events WHERE payment = payments.seq AND at >= forgets_before)
    AND NOT EXISTS (SELECT 1 FROM receipts WHERE payment = payments.seq AND at >= forgets_before)
    AND NOT EXISTS (SELECT 1 FROM incidents WHERE payment = payments.seq AND at >= forgets_before);

-- The rules that no program error may break.
CREATE TRIGGER transitions_stay BEFORE UPDATE ON transitions
BEGIN SELECT RAISE (ABORT, 'transitions are append-only'); END;
CREATE TRIGGER receipts_stay BEFORE UPDATE ON receipts
BEGIN SELECT RAISE (ABORT, 'receipts are append-only'); END;
CREATE TRIGGER incidents_stay BEFORE UPDATE ON incidents
BEGIN SELECT RAISE (ABORT, 'incidents are append-only'); END;
CREATE TRIGGER what_was_asked_stays BEFORE UPDATE OF seq, id, operation, amount_minor, currency, tip_minor, register, terminal,
    driver, terminal_identity, document_number, document_type, original, again_of, accept_partial, received_at ON payments
BEGIN SELECT RAISE (ABORT, 'what was asked of a payment never changes'); END;
CREATE TRIGGER final_states_stay BEFORE UPDATE OF state, verdict, finished_at ON payments
WHEN OLD.state IN ('approved', 'declined', 'cancelled', 'failed', 'expired')
BEGIN SELECT RAISE (ABORT, 'a final state never changes'); END;

-- Nothing is deleted before its time.
CREATE TRIGGER payments_remain BEFORE DELETE ON payments
WHEN NOT EXISTS (SELECT 1 FROM forgettable WHERE seq = OLD.seq)
BEGIN SELECT RAISE (ABORT, 'payments are never deleted before their time'); END;
CREATE TRIGGER transitions_remain BEFORE DELETE ON transitions
WHEN NOT EXISTS (SELECT 1 FROM forgettable WHERE seq = OLD.payment)
BEGIN SELECT RAISE (ABORT, 'transitions are append-only'); END;
CREATE TRIGGER notes_remain BEFORE DELETE ON notes
WHEN NOT EXISTS (SELECT 1 FROM forgettable WHERE seq = OLD.payment)
BEGIN SELECT RAISE (ABORT, 'notes are never deleted before their time'); END;
-- A payment that was never given to a terminal may give its keys back.
CREATE TRIGGER events_remain BEFORE DELETE ON events
WHEN NOT EXISTS (SELECT 1 FROM payments WHERE seq = OLD.payment AND state = 'received')
    AND NOT EXISTS (SELECT 1 FROM forgettable WHERE seq = OLD.payment)
BEGIN SELECT RAISE (ABORT, 'the keys of a payment are never deleted before their time'); END;
CREATE TRIGGER receipts_remain BEFORE DELETE ON receipts
WHEN CASE WHEN OLD.payment IS NULL
    THEN NOT EXISTS (SELECT 1 FROM retention WHERE OLD.at < forgets_before)
    ELSE NOT EXISTS (SELECT 1 FROM forgettable WHERE seq = OLD.payment) END
BEGIN SELECT RAISE (ABORT, 'receipts are append-only'); END;
CREATE TRIGGER incidents_remain BEFORE DELETE ON incidents
WHEN CASE WHEN OLD.payment IS NULL
    THEN NOT EXISTS (SELECT 1 FROM retention WHERE OLD.at < forgets_before)
    ELSE NOT EXISTS (SELECT 1 FROM forgettable WHERE seq = OLD.payment) END
BEGIN SELECT RAISE (ABORT, 'incidents are append-only'); END;

-- The shortest retention that the configuration accepts is seven days. Six of them, because the clock that was asked for the
-- cutoff may have been set a little since.
CREATE TRIGGER the_young_stay BEFORE UPDATE ON retention
WHEN NEW.forgets_before > (unixepoch() - 6 * 86400) * 1000000
BEGIN SELECT RAISE (ABORT, 'nothing is forgotten in its first days'); END;
CREATE TRIGGER one_retention BEFORE INSERT ON retention
BEGIN SELECT RAISE (ABORT, 'there is one retention'); END;
CREATE TRIGGER the_retention_remains BEFORE DELETE ON retention
BEGIN SELECT RAISE (ABORT, 'there is one retention'); END;
