-- Which job a dead letter was redriven as: at most one, whoever asks, how often, and be it at the same moment. Should that
-- one die as well, it is a dead letter of its own.
CREATE TABLE redrives (
  -- No reference, nor of the other: that it was redriven stays known when retention has moved their rows.
  job_id UUID CONSTRAINT redrives_pkey PRIMARY KEY,
  -- No index: a planner that takes the table for empty would rather read that one from end to end.
  new_job UUID NOT NULL,
  at TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- Before when the new job does not start, if it was redriven along with others at a rate. The next ones come after.
  due_at TIMESTAMPTZ
);

CREATE INDEX redrives_due ON redrives (due_at) WHERE due_at IS NOT NULL;

CREATE TRIGGER redrives_append_only BEFORE UPDATE ON redrives
  FOR EACH ROW EXECUTE FUNCTION refuse_change_of_record();

INSERT INTO redrives (job_id, new_job, at)
  SELECT DISTINCT ON (a.job_id) a.job_id, (a.detail ->> 'new_job')::uuid, a.at
  FROM audit_log a JOIN scoring_jobs j ON j.id = a.job_id
  WHERE a.action = 'redrive' AND a.detail ? 'new_job'
  ORDER BY a.job_id, a.id DESC;
