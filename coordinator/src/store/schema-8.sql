-- Jobs that change devices wait at each site until an operator has signed the site's work.
ALTER TABLE jobs ADD COLUMN needs_order INTEGER NOT NULL DEFAULT 0;
-- The operator's order, a SignedDocument.
ALTER TABLE job_sites ADD COLUMN signed_order BLOB;
