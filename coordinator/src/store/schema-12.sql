-- The twelfth version: device credentials that operators push to sites.

-- A push, as its operator signed it. What is secret in it is sealed to the site's agent; the document
-- goes once the site has answered.
CREATE TABLE credential_pushes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid BLOB NOT NULL UNIQUE,
  site INTEGER NOT NULL,
  label TEXT NOT NULL,
  version INTEGER NOT NULL,
  reader TEXT NOT NULL,
  document BLOB,
  pushed_by TEXT NOT NULL,
  pushed_at INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting',  -- waiting, accepted, refused
  reason TEXT NOT NULL DEFAULT '',
  answered_at INTEGER
);
CREATE INDEX credential_pushes_by_site ON credential_pushes (site, state);
CREATE INDEX credential_pushes_by_label ON credential_pushes (site, label);
