-- The thirteenth version: agents that change their keys.

-- Keys that an agent has named but not used yet; those before them count until then.
ALTER TABLE agent_keys ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;
-- The newest wish of the authority for new keys that these meet, as the revision of its words.
ALTER TABLE agent_keys ADD COLUMN rotation INTEGER NOT NULL DEFAULT 0;
