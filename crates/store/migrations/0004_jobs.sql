-- One row a job, from POST to score. The constraints hold what must never be false, whoever writes.
CREATE TABLE scoring_jobs (
  id UUID CONSTRAINT scoring_jobs_pkey PRIMARY KEY,
  submission_id UUID NOT NULL CONSTRAINT scoring_jobs_submission_exists REFERENCES submissions (id),
  batch_id UUID CONSTRAINT scoring_jobs_batch_exists REFERENCES scoring_batches (id),
  tenant TEXT COLLATE "C" NOT NULL,
  status TEXT NOT NULL DEFAULT 'QUEUED',
  priority SMALLINT NOT NULL DEFAULT 5,
  pool TEXT NOT NULL DEFAULT 'default',
  rubric TEXT NOT NULL,
  rubric_version TEXT NOT NULL,
  score DOUBLE PRECISION,
  feedback TEXT,
  result JSONB,
  -- Of a job in ERROR: why. Of one that waits or runs again: why its last attempt failed.
  error_code TEXT,
  error_message TEXT,
  -- Attempts spent, counting the one that is running.
  attempt INTEGER NOT NULL DEFAULT 0,
  max_attempts INTEGER NOT NULL DEFAULT 4,
  timeout_seconds INTEGER NOT NULL DEFAULT 60,
  ttl_seconds INTEGER NOT NULL DEFAULT 3600,
  suspended BOOLEAN NOT NULL DEFAULT FALSE,
  -- The fencing token: the newest epoch that ever started the job.
  lease_epoch BIGINT NOT NULL DEFAULT 0,
  -- Who holds it, or held it last.
  scorer TEXT,
  not_before TIMESTAMPTZ,
  -- Rises with every change that a status shows.
  version BIGINT NOT NULL DEFAULT 1,
  -- NULL: not mirrored yet; 'job': has a resource of its own; 'batch': its batch has one; 'none': it ended before
  -- it was mirrored, or its resource is gone.
  resource_kind TEXT,
  resource_namespace TEXT,
  resource_name TEXT,
  resource_uid UUID,
  mirrored_version BIGINT NOT NULL DEFAULT 0,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- Of the current or last attempt; NULL while it waits.
  started_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  -- When its resource may go: known once the resource shows that the job has ended.
  expires_at TIMESTAMPTZ,
  traceparent TEXT,

  CONSTRAINT scoring_jobs_status_known CHECK (status IN ('QUEUED', 'RUNNING', 'DONE', 'ERROR')),
  CONSTRAINT scoring_jobs_waiting_has_no_start CHECK (status <> 'QUEUED' OR started_at IS NULL),
  CONSTRAINT scoring_jobs_waiting_has_attempts_left CHECK (status <> 'QUEUED' OR attempt < max_attempts),
  CONSTRAINT scoring_jobs_running_is_held CHECK
    (status <> 'RUNNING' OR (started_at IS NOT NULL AND scorer IS NOT NULL AND attempt >= 1 AND lease_epoch > 0)),
  CONSTRAINT scoring_jobs_active_has_no_end CHECK
    (status NOT IN ('QUEUED', 'RUNNING')
      OR (score IS NULL AND feedback IS NULL AND result IS NULL AND completed_at IS NULL)),
  CONSTRAINT scoring_jobs_done_is_complete CHECK
    (status <> 'DONE' OR (score IS NOT NULL AND feedback IS NOT NULL AND started_at IS NOT NULL
      AND completed_at IS NOT NULL AND attempt >= 1 AND error_code IS NULL AND error_message IS NULL)),
  CONSTRAINT scoring_jobs_error_is_explained CHECK
    (status <> 'ERROR' OR (feedback IS NOT NULL AND error_code IS NOT NULL AND completed_at IS NOT NULL
      AND score IS NULL AND result IS NULL)),
  CONSTRAINT scoring_jobs_score_range CHECK (score BETWEEN 0 AND 100),
  CONSTRAINT scoring_jobs_priority_range CHECK (priority BETWEEN 0 AND 9),
  CONSTRAINT scoring_jobs_attempt_range CHECK (attempt BETWEEN 0 AND max_attempts),
  CONSTRAINT scoring_jobs_max_attempts_range CHECK (max_attempts BETWEEN 1 AND 1000),
  CONSTRAINT scoring_jobs_timeout_range CHECK (timeout_seconds > 0),
  CONSTRAINT scoring_jobs_ttl_range CHECK (ttl_seconds >= 0),
  CONSTRAINT scoring_jobs_epoch_range CHECK (lease_epoch >= 0),
  CONSTRAINT scoring_jobs_version_range CHECK (version >= 1),
  CONSTRAINT scoring_jobs_mirrored_not_ahead CHECK (mirrored_version BETWEEN 0 AND version),
  CONSTRAINT scoring_jobs_times_in_order CHECK
    (started_at >= created_at AND completed_at >= created_at AND completed_at >= started_at),
  CONSTRAINT scoring_jobs_active_does_not_expire CHECK (expires_at IS NULL OR completed_at IS NOT NULL),
  CONSTRAINT scoring_jobs_resource_kind_known CHECK (resource_kind IN ('job', 'batch', 'none')),
  CONSTRAINT scoring_jobs_resource_complete CHECK
    (resource_kind IS DISTINCT FROM 'job' OR (resource_namespace IS NOT NULL AND resource_name IS NOT NULL)),
  CONSTRAINT scoring_jobs_member_has_batch CHECK (resource_kind IS DISTINCT FROM 'batch' OR batch_id IS NOT NULL)
) WITH (
  -- A job is written about five times: room on its page spares it from moving to another, and dead versions are
  -- to be cleared while they are few.
  fillfactor = 60,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.02
);

-- No index here names a column that changes when an attempt starts or is to be repeated (status, version, attempt,
-- lease_epoch, scorer, started_at, not_before), be it in a condition: such an update then leaves every index alone
-- (a heap-only tuple). That halves its cost. A job is active while completed_at is NULL, so that is what they say.

-- A submission is scored by one job at a time; the idempotency of POST rests on this index.
CREATE UNIQUE INDEX scoring_jobs_one_active_per_submission ON scoring_jobs (submission_id)
  WHERE completed_at IS NULL;
-- What waits for a resource.
CREATE INDEX scoring_jobs_unmirrored ON scoring_jobs (created_at, id) WHERE resource_kind IS NULL;
-- What has a resource.
CREATE INDEX scoring_jobs_live ON scoring_jobs (id) WHERE resource_kind = 'job';
-- Whose resource may still have to show something new.
CREATE INDEX scoring_jobs_unsettled ON scoring_jobs (id)
  WHERE resource_kind = 'job' AND resource_uid IS NOT NULL AND expires_at IS NULL;
-- Whose resource is to be deleted.
CREATE INDEX scoring_jobs_expiring ON scoring_jobs (expires_at)
  WHERE resource_kind = 'job' AND expires_at IS NOT NULL;
CREATE UNIQUE INDEX scoring_jobs_by_resource_uid ON scoring_jobs (resource_uid) WHERE resource_uid IS NOT NULL;
CREATE INDEX scoring_jobs_by_batch ON scoring_jobs (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX scoring_jobs_by_tenant ON scoring_jobs (tenant, created_at DESC, id DESC);
CREATE INDEX scoring_jobs_by_submission ON scoring_jobs (submission_id, created_at DESC, id DESC);

-- What an ended job says is final, and neither epoch nor version ever falls.
CREATE FUNCTION refuse_rewriting_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'job % (% at epoch %, version %) cannot be rewritten', OLD.id, OLD.status, OLD.lease_epoch, OLD.version
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'scoring_jobs_history_is_final';
END $$;

-- After the update rather than before it, since that spares locking the row once more.
CREATE TRIGGER scoring_jobs_history_is_final AFTER UPDATE ON scoring_jobs
  FOR EACH ROW WHEN (
    NEW.lease_epoch < OLD.lease_epoch OR NEW.version < OLD.version
    OR NEW.id <> OLD.id OR NEW.submission_id <> OLD.submission_id OR NEW.created_at <> OLD.created_at
    OR (OLD.status IN ('DONE', 'ERROR') AND (
      NEW.status <> OLD.status OR NEW.lease_epoch <> OLD.lease_epoch OR NEW.attempt <> OLD.attempt
      OR NEW.score IS DISTINCT FROM OLD.score OR NEW.feedback IS DISTINCT FROM OLD.feedback
      OR NEW.result IS DISTINCT FROM OLD.result OR NEW.error_code IS DISTINCT FROM OLD.error_code
      OR NEW.completed_at <> OLD.completed_at)))
  EXECUTE FUNCTION refuse_rewriting_history();
