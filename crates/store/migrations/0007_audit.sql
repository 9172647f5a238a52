-- Who did what: cancel, redrive, regrade, token.
CREATE TABLE audit_log (
  id BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_log_pkey PRIMARY KEY,
  at TIMESTAMPTZ NOT NULL DEFAULT now(),
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  job_id UUID,
  batch_id UUID,
  detail JSONB NOT NULL DEFAULT '{}',
  CONSTRAINT audit_log_action_known CHECK (action IN ('cancel', 'redrive', 'regrade', 'token'))
);

CREATE INDEX audit_log_by_job ON audit_log (job_id, id) WHERE job_id IS NOT NULL;
CREATE INDEX audit_log_by_time ON audit_log (at);

CREATE TRIGGER audit_log_append_only BEFORE UPDATE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION refuse_change_of_record();

-- Jobs that ended without a score, and how often they were tried again since.
CREATE VIEW dead_letters AS
  SELECT j.id, j.submission_id, j.tenant, j.pool, j.rubric, j.rubric_version, j.error_code, j.feedback,
    j.attempt, j.max_attempts, j.created_at, j.completed_at,
    redrives.times AS redrives, redrives.last_at AS redriven_at, redrives.last_job AS redriven_as
  FROM scoring_jobs j
  LEFT JOIN LATERAL (
    SELECT count(*) AS times, max(a.at) AS last_at,
      ((array_agg(a.detail ->> 'new_job' ORDER BY a.id DESC))[1])::uuid AS last_job
    FROM audit_log a WHERE a.job_id = j.id AND a.action = 'redrive'
  ) redrives ON TRUE
  WHERE j.completed_at IS NOT NULL AND j.score IS NULL;
-- In ERROR, as an index may say it (see the indexes of scoring_jobs).
CREATE INDEX scoring_jobs_dead ON scoring_jobs (completed_at) WHERE completed_at IS NOT NULL AND score IS NULL;
