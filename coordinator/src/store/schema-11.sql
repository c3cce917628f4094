-- The eleventh version: pictures.

-- A picture that a job took. The job is named by its id and not by its row: pictures outlive jobs.
CREATE TABLE pictures (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job BLOB NOT NULL,
  site INTEGER NOT NULL,
  number INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  device INTEGER NOT NULL,
  taken_at INTEGER NOT NULL,
  name TEXT NOT NULL,
  way TEXT NOT NULL,
  stream TEXT NOT NULL,
  format TEXT NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  flags TEXT NOT NULL,  -- separated by commas
  look TEXT NOT NULL
);
CREATE UNIQUE INDEX pictures_by_target ON pictures (job, site, number, channel);
CREATE INDEX pictures_by_channel ON pictures (device, channel, taken_at);
CREATE INDEX pictures_by_time ON pictures (taken_at);
CREATE INDEX pictures_by_digest ON pictures (sha256);

-- A file in the folder of pictures. Tenants share none.
CREATE TABLE picture_files (
  tenant TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  stored_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, sha256)
) WITHOUT ROWID;
CREATE INDEX picture_files_by_time ON picture_files (stored_at);
