-- The seventh version: the backends of a site's agent.

-- The message AgentFacts with its backends only; empty where the agent has not said any.
ALTER TABLE sites ADD COLUMN agent_backends BLOB NOT NULL DEFAULT x'';
