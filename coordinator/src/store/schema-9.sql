-- The ninth version: where in the log of replicas the database stands.

CREATE TABLE replica (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  -- Two databases with the same two numbers are the same.
  term     INTEGER NOT NULL,
  number   INTEGER NOT NULL,
  -- Who led last; empty where nobody ever did.
  leader   TEXT NOT NULL,
  -- Which log it is, and the position in it of the last entry.
  log      INTEGER NOT NULL,
  position INTEGER NOT NULL
);
INSERT INTO replica VALUES (1, 0, 0, '', 0, 0);
