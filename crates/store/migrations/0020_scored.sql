-- What was scored lately, as scoring_jobs_dead has what failed: by this the pools' throughput is counted. Times rise, so
-- an entry goes to the end of the index.
CREATE INDEX scoring_jobs_scored ON scoring_jobs (completed_at) WHERE completed_at IS NOT NULL AND score IS NOT NULL;
