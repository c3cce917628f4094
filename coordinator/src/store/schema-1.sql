-- The first version of the tables. Times are milliseconds since 1970 in UTC; states and codes are
-- the stable names; bodies are protobuf messages of tvtfleet.v1 behind a packing byte.

-- One row: where in the results stream everything has been applied.
CREATE TABLE stream (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  -- Which stream it is: nanoseconds since 1970 of its making.
  generation  INTEGER NOT NULL,
  cursor      INTEGER NOT NULL,
  quarantined INTEGER NOT NULL
);
INSERT INTO stream VALUES (1, 0, 0, 0);

CREATE TABLE sites (
  id             INTEGER PRIMARY KEY,
  tenant         TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  display_name   TEXT    NOT NULL DEFAULT '',
  added_at       INTEGER NOT NULL,
  last_seen      INTEGER,
  agent_version  TEXT    NOT NULL DEFAULT '',
  agent_hostname TEXT    NOT NULL DEFAULT '',
  agent_platform TEXT    NOT NULL DEFAULT '',
  -- The epoch that speaks for the site.
  epoch          BLOB,
  -- The newest want document, the newest one in the bucket, and that one's revision there.
  want_revision  INTEGER NOT NULL DEFAULT 0,
  want_written   INTEGER NOT NULL DEFAULT 0,
  want_bucket    INTEGER,
  UNIQUE (tenant, name)
);
CREATE INDEX sites_want_dirty ON sites (id) WHERE want_written < want_revision;

CREATE TABLE site_labels (
  site  INTEGER NOT NULL,
  label TEXT    NOT NULL,
  PRIMARY KEY (site, label)
) WITHOUT ROWID;

-- What has been applied of each epoch of a site: everything up to through, and the runs above it.
CREATE TABLE producers (
  site    INTEGER NOT NULL,
  epoch   BLOB    NOT NULL,
  through INTEGER NOT NULL,
  runs    BLOB    NOT NULL,
  PRIMARY KEY (site, epoch)
) WITHOUT ROWID;

CREATE TABLE devices (
  id            INTEGER PRIMARY KEY,
  site          INTEGER NOT NULL,
  -- Order in the site's inventory.
  position      INTEGER NOT NULL,
  -- HOST:PORT; NULL where the device has been displaced and is not asked any more.
  address       TEXT,
  -- The device that this one turned out to be.
  absorbed_into INTEGER,
  name          TEXT    NOT NULL,
  entry         BLOB    NOT NULL,
  hostname      TEXT    NOT NULL,
  listed_mac    BLOB,
  -- Lower-case text in which a search looks.
  search        TEXT    NOT NULL,
  serial        TEXT    NOT NULL DEFAULT '',
  mac           BLOB,
  facts         BLOB    NOT NULL DEFAULT x'',
  -- The current row of device_states, and the hash of its body.
  state         INTEGER,
  state_hash    BLOB,
  channel_count INTEGER,
  first_known   INTEGER NOT NULL,
  last_report   INTEGER,
  last_success  INTEGER,
  last_failure  TEXT    NOT NULL DEFAULT '',
  failing       INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX devices_order ON devices (site, position);
CREATE UNIQUE INDEX devices_address ON devices (site, address) WHERE address IS NOT NULL;
CREATE INDEX devices_failing ON devices (site, failing) WHERE address IS NOT NULL;
CREATE INDEX devices_absorbed ON devices (absorbed_into) WHERE absorbed_into IS NOT NULL;
CREATE INDEX devices_hostname ON devices (hostname) WHERE hostname <> '';

-- Serial numbers and Ethernet addresses by which a device of a site is known.
CREATE TABLE device_keys (
  site   INTEGER NOT NULL,
  key    TEXT    NOT NULL,
  device INTEGER NOT NULL,
  PRIMARY KEY (site, key)
) WITHOUT ROWID;
CREATE INDEX device_keys_device ON device_keys (device);
CREATE INDEX device_keys_key ON device_keys (key);

CREATE TABLE device_labels (
  device INTEGER NOT NULL,
  label  TEXT    NOT NULL,
  PRIMARY KEY (device, label)
) WITHOUT ROWID;

-- Facts and channels of a device from one change to the next.
CREATE TABLE device_states (
  id         INTEGER PRIMARY KEY,
  device     INTEGER NOT NULL,
  valid_from INTEGER NOT NULL,
  valid_to   INTEGER,
  body       BLOB    NOT NULL
);
CREATE INDEX device_states_device ON device_states (device, valid_from);

CREATE TABLE imports (
  id     INTEGER PRIMARY KEY,
  import BLOB    NOT NULL,
  device INTEGER NOT NULL,
  UNIQUE (import, device)
);

CREATE TABLE jobs (
  id            INTEGER PRIMARY KEY,
  uuid          BLOB    NOT NULL UNIQUE,
  idempotency   BLOB    NOT NULL UNIQUE,
  spec          BLOB    NOT NULL,
  submitted_by  TEXT    NOT NULL,
  submitted_at  INTEGER NOT NULL,
  deadline_at   INTEGER NOT NULL,
  cancelled_at  INTEGER,
  ended_at      INTEGER,
  traceparent   TEXT    NOT NULL,
  state         TEXT    NOT NULL,
  sites_total   INTEGER NOT NULL,
  sites_ended   INTEGER NOT NULL,
  sites_expired INTEGER NOT NULL,
  total         INTEGER NOT NULL,
  ok            INTEGER NOT NULL,
  failed        INTEGER NOT NULL,
  channels      INTEGER NOT NULL,
  version       INTEGER NOT NULL
);
CREATE INDEX jobs_open ON jobs (deadline_at) WHERE state = 'open';

-- The sites of a job; ordinal counts them by name.
CREATE TABLE job_sites (
  job           INTEGER NOT NULL,
  ordinal       INTEGER NOT NULL,
  site          INTEGER NOT NULL,
  state         TEXT    NOT NULL,
  accepted      INTEGER NOT NULL,
  reason        TEXT    NOT NULL,
  total         INTEGER NOT NULL,
  ok            INTEGER NOT NULL,
  failed        INTEGER NOT NULL,
  channels      INTEGER NOT NULL,
  -- What the site announced at its end: NULL, or outcome, reason, epoch, records and batches.
  done_outcome  TEXT,
  done_reason   TEXT,
  done_epoch    BLOB,
  done_records  INTEGER,
  done_first    INTEGER,
  done_last     INTEGER,
  PRIMARY KEY (job, ordinal)
) WITHOUT ROWID;
CREATE UNIQUE INDEX job_sites_site ON job_sites (job, site);
CREATE INDEX job_sites_open ON job_sites (site, job) WHERE state IN ('waiting', 'accepted');

-- The devices of a job as the inventory knew them when it was submitted.
CREATE TABLE job_targets (
  job     INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  number  INTEGER NOT NULL,
  device  INTEGER NOT NULL,
  -- HOST:PORT that was asked.
  address TEXT    NOT NULL,
  entry   BLOB    NOT NULL,
  mac     BLOB,
  PRIMARY KEY (job, ordinal, number)
) WITHOUT ROWID;

-- The first report of each target. Where state is set, facts and channels are that row's.
CREATE TABLE job_results (
  job     INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  number  INTEGER NOT NULL,
  device  INTEGER NOT NULL,
  ok      INTEGER NOT NULL,
  state   INTEGER,
  report  BLOB    NOT NULL,
  PRIMARY KEY (job, ordinal, number)
) WITHOUT ROWID;

-- Messages and items that could not be applied.
CREATE TABLE quarantine (
  id       INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  position INTEGER NOT NULL,
  subject  TEXT    NOT NULL,
  code     TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  body     BLOB    NOT NULL
);
