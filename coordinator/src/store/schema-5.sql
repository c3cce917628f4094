-- The fifth version: what discoveries saw.

-- Whether an operator vouches for it. What merely answered a discovery gets no credential.
ALTER TABLE devices ADD COLUMN trusted INTEGER NOT NULL DEFAULT 1;
-- When a discovery last saw it, in which job, and how: a packed DiscoveredDevice.
ALTER TABLE devices ADD COLUMN seen_at INTEGER;
ALTER TABLE devices ADD COLUMN seen_by INTEGER;
ALTER TABLE devices ADD COLUMN seen BLOB;
-- The jobs whose discovery brought it in, and found it at its present address.
ALTER TABLE devices ADD COLUMN added_by INTEGER;
ALTER TABLE devices ADD COLUMN moved_by INTEGER;
-- Since when complete discoveries of its network do not see it.
ALTER TABLE devices ADD COLUMN gone_at INTEGER;
-- The job with the last discovery of the site.
ALTER TABLE sites ADD COLUMN searched_by INTEGER;

-- Whether the target was found by the discovery of the job itself, and not given to the site.
ALTER TABLE job_targets ADD COLUMN found INTEGER NOT NULL DEFAULT 0;

-- How the discovery of a site went: a packed Searched.
CREATE TABLE searches (
  job     INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  body    BLOB    NOT NULL,
  PRIMARY KEY (job, ordinal)
) WITHOUT ROWID;
