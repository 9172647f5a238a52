-- Every attempt that ended, written by whoever learns of its end: append-only. Deleting is left to retention.
CREATE TABLE scoring_attempts (
  job_id UUID NOT NULL CONSTRAINT scoring_attempts_job_exists REFERENCES scoring_jobs (id),
  lease_epoch BIGINT NOT NULL,
  attempt INTEGER NOT NULL,
  scorer TEXT NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  ended_at TIMESTAMPTZ NOT NULL,
  outcome TEXT NOT NULL,
  error_code TEXT,
  message TEXT,
  -- An epoch is handed out once, so nothing can be recorded twice.
  CONSTRAINT scoring_attempts_pkey PRIMARY KEY (job_id, lease_epoch),
  CONSTRAINT scoring_attempts_outcome_known CHECK
    (outcome IN ('done', 'retryable', 'permanent', 'lease_lost', 'cancelled', 'released')),
  CONSTRAINT scoring_attempts_attempt_range CHECK (attempt >= 1),
  CONSTRAINT scoring_attempts_epoch_range CHECK (lease_epoch > 0),
  CONSTRAINT scoring_attempts_times_in_order CHECK (ended_at >= started_at)
);

CREATE FUNCTION refuse_change_of_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME;
END $$;

CREATE TRIGGER scoring_attempts_append_only BEFORE UPDATE ON scoring_attempts
  FOR EACH ROW EXECUTE FUNCTION refuse_change_of_record();
