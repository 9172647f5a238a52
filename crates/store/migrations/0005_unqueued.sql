-- Jobs that wait and are not known to be on Redis. A table of its own, because to come and go here is far cheaper than
-- to change a row of scoring_jobs with all its indexes, and every job does so. A row too many does no harm: queueing
-- is idempotent.
CREATE TABLE scoring_unqueued (
  job_id UUID CONSTRAINT scoring_unqueued_pkey PRIMARY KEY,
  since TIMESTAMPTZ NOT NULL DEFAULT now()
) WITH (
  -- Rows live for moments, so most of the table is dead most of the time.
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_scale_factor = 0.01
);
