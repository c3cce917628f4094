-- The tenth version: the audit, a chain of hashes.

-- Rows are only ever added at the end, and taken out at the beginning when they are old enough.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    prior BLOB NOT NULL,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    decision TEXT NOT NULL,
    code TEXT NOT NULL,
    job BLOB,
    -- Names with blanks between them.
    sites TEXT NOT NULL,
    sites_total INTEGER NOT NULL,
    devices INTEGER NOT NULL,
    detail TEXT NOT NULL,
    outcome TEXT NOT NULL,
    hash BLOB NOT NULL
);
