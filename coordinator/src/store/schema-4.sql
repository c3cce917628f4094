-- The fourth version: whom to believe.

-- The newest words of the fleet's authority, as they were signed; one row.
CREATE TABLE roster (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  revision INTEGER NOT NULL,
  document TEXT    NOT NULL
);

-- Tickets that were used: none is good twice.
CREATE TABLE tickets (
  id      TEXT    PRIMARY KEY,
  tenant  TEXT    NOT NULL,
  site    TEXT    NOT NULL,
  used_at INTEGER NOT NULL,
  -- The key that was let in.
  user_key TEXT   NOT NULL
) WITHOUT ROWID;

-- Agents that enrolled. Of a site, the one that enrolled last counts.
CREATE TABLE agent_keys (
  user_key    TEXT    PRIMARY KEY,
  tenant      TEXT    NOT NULL,
  site        TEXT    NOT NULL,
  curve_key   TEXT    NOT NULL,
  hostname    TEXT    NOT NULL,
  enrolled_at INTEGER NOT NULL,
  renewed_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX agent_keys_site ON agent_keys (tenant, site, enrolled_at);
