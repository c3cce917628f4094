-- The second version: what changed, notes, and tables that questions in SQL can use.

ALTER TABLE devices ADD COLUMN note TEXT NOT NULL DEFAULT '';
-- When an operator took it out of the inventory.
ALTER TABLE devices ADD COLUMN forgotten_at INTEGER;
-- Facts that questions are often about; the whole of them is in facts.
ALTER TABLE devices ADD COLUMN device_name TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
-- The row of device_states whose channels are in the table channels.
ALTER TABLE devices ADD COLUMN channels_state INTEGER;
CREATE INDEX devices_model ON devices (model, firmware, address) WHERE address IS NOT NULL;
CREATE INDEX devices_name ON devices (name);
CREATE INDEX devices_channels_due ON devices (id) WHERE state IS NOT channels_state;

-- What changed, in the order of recording.
CREATE TABLE changes (
  id           INTEGER PRIMARY KEY,
  -- The same for the same change, wherever and whenever it is recorded.
  uid          BLOB    NOT NULL UNIQUE,
  at           INTEGER NOT NULL,
  site         INTEGER NOT NULL,
  device       INTEGER NOT NULL,
  address      TEXT    NOT NULL,
  kind         TEXT    NOT NULL,
  channel      TEXT    NOT NULL,
  channel_name TEXT    NOT NULL,
  field        TEXT    NOT NULL,
  old          TEXT    NOT NULL,
  new          TEXT    NOT NULL,
  job          INTEGER
);
CREATE INDEX changes_at ON changes (at);
CREATE INDEX changes_site ON changes (site, at);
CREATE INDEX changes_device ON changes (device, at);

-- The channels of the devices' current states. Written after the reports, not with them: see
-- devices.channels_state.
CREATE TABLE channels (
  device   INTEGER NOT NULL,
  ordinal  INTEGER NOT NULL,
  channel  TEXT    NOT NULL,
  name     TEXT    NOT NULL,
  address  TEXT    NOT NULL,
  port     INTEGER NOT NULL,
  status   TEXT    NOT NULL,
  protocol TEXT    NOT NULL,
  model    TEXT    NOT NULL,
  -- Since when the status is this one.
  since    INTEGER NOT NULL,
  PRIMARY KEY (device, ordinal)
) WITHOUT ROWID;
CREATE INDEX channels_status ON channels (status, since);
CREATE INDEX channels_address ON channels (address);
