-- The order in which lists are read. Neither names a column that changes when an attempt starts (see 0004).

-- Jobs of all tenants. Not on the plain column: a planner that takes one tenant to have all the jobs would read this index
-- for the jobs of another, from end to end.
CREATE INDEX scoring_jobs_by_time ON scoring_jobs ((created_at AT TIME ZONE 'UTC') DESC, id DESC);
-- Those that wait or run, which are few beside those that have ended.
CREATE INDEX scoring_jobs_active ON scoring_jobs (created_at DESC, id DESC) WHERE completed_at IS NULL;

-- The same of submissions.
CREATE INDEX submissions_by_tenant ON submissions (tenant, created_at DESC, id DESC);
CREATE INDEX submissions_by_owner ON submissions (tenant, owner, created_at DESC, id DESC) WHERE owner IS NOT NULL;
CREATE INDEX submissions_by_time ON submissions ((created_at AT TIME ZONE 'UTC') DESC, id DESC);
