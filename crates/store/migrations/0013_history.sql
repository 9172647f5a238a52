-- Jobs that have left scoring_jobs, each with its attempts, as they were: so a column that is added there later needs none
-- here. Only ended jobs leave, and in the order of seq: one process moves at a time, so what was committed with a higher
-- number came later, and whoever reads on from a number misses nothing.
CREATE TABLE scoring_history (
  id UUID CONSTRAINT scoring_history_pkey PRIMARY KEY,
  seq BIGINT GENERATED ALWAYS AS IDENTITY,
  tenant TEXT COLLATE "C" NOT NULL,
  submission_id UUID NOT NULL,
  batch_id UUID,
  status TEXT NOT NULL,
  completed_at TIMESTAMPTZ NOT NULL,
  moved_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- The row of scoring_jobs.
  job JSONB NOT NULL,
  -- Its rows of scoring_attempts, in the order of their epochs.
  attempts JSONB NOT NULL,
  CONSTRAINT scoring_history_has_ended CHECK (status IN ('DONE', 'ERROR')),
  CONSTRAINT scoring_history_job_is_the_row CHECK
    (job ->> 'id' = id::text AND job ->> 'status' = status AND job ->> 'submission_id' = submission_id::text),
  CONSTRAINT scoring_history_attempts_are_listed CHECK (jsonb_typeof(attempts) = 'array')
);

CREATE UNIQUE INDEX scoring_history_by_seq ON scoring_history (seq);
CREATE INDEX scoring_history_by_batch ON scoring_history (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX scoring_history_by_submission ON scoring_history (submission_id);
CREATE INDEX scoring_history_by_end ON scoring_history (completed_at);

CREATE TRIGGER scoring_history_append_only BEFORE UPDATE ON scoring_history
  FOR EACH ROW EXECUTE FUNCTION refuse_change_of_record();
