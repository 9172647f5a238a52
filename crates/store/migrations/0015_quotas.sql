-- How many active jobs each tenant has: the sum of its rows. The statement that makes jobs, or ends them, adds a row that says
-- by how many, so that nobody waits for anybody and a crash takes back both or neither. Now and then they are put together.
CREATE TABLE tenant_active_jobs (
  tenant TEXT COLLATE "C" NOT NULL,
  jobs BIGINT NOT NULL
) WITH (
  -- Rows live for moments, so most of the table is dead most of the time.
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_scale_factor = 0.01
);
CREATE INDEX tenant_active_jobs_by_tenant ON tenant_active_jobs (tenant);

ALTER TABLE tenant_active_jobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY assay_scope ON tenant_active_jobs USING (current_user <> 'assay_gateway'
  OR tenant = ANY ((SELECT assay_tenants())::text[]));

-- Programs of the version before add no rows. What they change is known at the next count.
INSERT INTO tenant_active_jobs (tenant, jobs)
  SELECT tenant, count(*) FROM scoring_jobs WHERE completed_at IS NULL GROUP BY tenant;

-- How many active jobs a tenant may have, where that is not what holds for all. NULL: as many as it likes.
CREATE TABLE tenant_quotas (
  tenant TEXT COLLATE "C" CONSTRAINT tenant_quotas_pkey PRIMARY KEY,
  active_jobs BIGINT,
  CONSTRAINT tenant_quotas_active_jobs_range CHECK (active_jobs >= 0)
);

ALTER TABLE tenant_quotas ENABLE ROW LEVEL SECURITY;
CREATE POLICY assay_scope ON tenant_quotas USING (current_user <> 'assay_gateway'
  OR tenant = ANY ((SELECT assay_tenants())::text[]));

-- The lists of those who see no more than a part.
CREATE INDEX scoring_jobs_by_owner ON scoring_jobs (tenant, owner, created_at DESC, id DESC) WHERE owner IS NOT NULL;
CREATE INDEX scoring_jobs_dead_of_tenant ON scoring_jobs (tenant, completed_at, id)
  WHERE completed_at IS NOT NULL AND score IS NULL;
