-- Attempts that ended with the death of the process that scored. Programs of the
-- version before leave the column alone, so what they record counts for nothing here.
-- A constant default writes no row. The constraint holds for every row there is, since each begins with 0, and so need
-- not be proven, which would read the whole table under the lock.
ALTER TABLE scoring_jobs
  ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0,
  ADD CONSTRAINT scoring_jobs_crashes_range CHECK (crashes BETWEEN 0 AND attempt) NOT VALID;
