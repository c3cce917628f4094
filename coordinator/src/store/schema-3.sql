-- The third version: the brake of a tenant in a job.

-- Whether the rest of a tenant's work was stopped because of refused logins.
ALTER TABLE jobs ADD COLUMN braked INTEGER NOT NULL DEFAULT 0;
-- Devices of a site that refused the login, and those that its own brake left out.
ALTER TABLE job_sites ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_sites ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
-- When the site's part of the job was stopped because of refused logins.
ALTER TABLE job_sites ADD COLUMN braked_at INTEGER;
