-- Reads every row, and stops nobody meanwhile.
ALTER TABLE scoring_jobs VALIDATE CONSTRAINT scoring_jobs_backoff_range;
ALTER TABLE scoring_batches VALIDATE CONSTRAINT scoring_batches_backoff_range;
