-- How long a job waits before its first retry. Constraints that are not valid yet spare reading every row under a lock
-- that stops all else; the next migration does that under one which does not.
ALTER TABLE scoring_jobs
  ADD COLUMN backoff_seconds INTEGER NOT NULL DEFAULT 2,
  ADD CONSTRAINT scoring_jobs_backoff_range CHECK (backoff_seconds BETWEEN 1 AND 300) NOT VALID;
ALTER TABLE scoring_batches
  ADD COLUMN backoff_seconds INTEGER NOT NULL DEFAULT 2,
  ADD CONSTRAINT scoring_batches_backoff_range CHECK (backoff_seconds BETWEEN 1 AND 300) NOT VALID;
