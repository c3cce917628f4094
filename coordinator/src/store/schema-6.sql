-- The sixth version: what has ended long ago is found without reading everything.

CREATE INDEX device_states_ended ON device_states (valid_to) WHERE valid_to IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
