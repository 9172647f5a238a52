-- no-transaction
-- A transaction for each table: one that held a table and waited for another would meet statements of the version before that
-- do so the other way round, and Postgres would end one of them. So each part may be applied again, after a part of it failed.

-- What the gateway does for a caller it does as the role assay_gateway, which sees and changes only what belongs to the
-- tenants and owners that the transaction names: nothing, if it names none. An owner is written as '=' and the name;
-- '*' is all of them. Whoever else uses these tables is not concerned.
BEGIN;
CREATE OR REPLACE FUNCTION assay_tenants() RETURNS TEXT[] LANGUAGE sql STABLE PARALLEL SAFE AS
  $$ SELECT nullif(current_setting('assay.tenants', TRUE), '')::text[] $$;
CREATE OR REPLACE FUNCTION assay_owners() RETURNS TEXT[] LANGUAGE sql STABLE PARALLEL SAFE AS
  $$ SELECT nullif(current_setting('assay.owners', TRUE), '')::text[] $$;
COMMIT;

-- Who of the tenant handed it in. NULL: nobody in particular, say because it was loaded with SQL. A job has the owner of
-- its submission, a batch that of the subject who asked for it.
--
-- The sub-selects of policies are evaluated once a statement. That the role is named in the condition, and not as the
-- one the policy is for, spares the migration the right to make roles.
BEGIN;
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS owner TEXT COLLATE "C";
ALTER TABLE submissions DROP CONSTRAINT IF EXISTS submissions_owner_given,
  ADD CONSTRAINT submissions_owner_given CHECK (owner <> '') NOT VALID;
ALTER TABLE submissions ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS assay_scope ON submissions;
CREATE POLICY assay_scope ON submissions USING (current_user <> 'assay_gateway' OR (
  tenant = ANY ((SELECT assay_tenants())::text[])
  AND ('*' = ANY ((SELECT assay_owners())::text[]) OR '=' || owner = ANY ((SELECT assay_owners())::text[]))));
COMMIT;

BEGIN;
ALTER TABLE scoring_jobs ADD COLUMN IF NOT EXISTS owner TEXT COLLATE "C";
ALTER TABLE scoring_jobs ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS assay_scope ON scoring_jobs;
CREATE POLICY assay_scope ON scoring_jobs USING (current_user <> 'assay_gateway' OR (
  tenant = ANY ((SELECT assay_tenants())::text[])
  AND ('*' = ANY ((SELECT assay_owners())::text[]) OR '=' || owner = ANY ((SELECT assay_owners())::text[]))));
COMMIT;

BEGIN;
ALTER TABLE scoring_batches ADD COLUMN IF NOT EXISTS owner TEXT COLLATE "C";
ALTER TABLE scoring_batches ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS assay_scope ON scoring_batches;
CREATE POLICY assay_scope ON scoring_batches USING (current_user <> 'assay_gateway' OR (
  tenant = ANY ((SELECT assay_tenants())::text[])
  AND ('*' = ANY ((SELECT assay_owners())::text[]) OR '=' || owner = ANY ((SELECT assay_owners())::text[]))));
COMMIT;

BEGIN;
ALTER TABLE scoring_history ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS assay_scope ON scoring_history;
CREATE POLICY assay_scope ON scoring_history USING (current_user <> 'assay_gateway' OR (
  tenant = ANY ((SELECT assay_tenants())::text[])
  AND ('*' = ANY ((SELECT assay_owners())::text[])
    OR '=' || (job ->> 'owner') = ANY ((SELECT assay_owners())::text[]))));
COMMIT;

-- What is about a job belongs to whomever the job belongs to. Looked up with LIMIT, which no plan turns into reading
-- the whole of the other table.
BEGIN;
ALTER TABLE scoring_attempts ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS assay_scope ON scoring_attempts;
CREATE POLICY assay_scope ON scoring_attempts USING (current_user <> 'assay_gateway' OR
  coalesce((SELECT TRUE FROM scoring_jobs j WHERE j.id = scoring_attempts.job_id LIMIT 1), FALSE));
COMMIT;

-- A job is noted here by the statement that makes it, which does not see it yet. A row too many does no harm.
BEGIN;
ALTER TABLE scoring_unqueued ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS assay_others ON scoring_unqueued;
CREATE POLICY assay_others ON scoring_unqueued USING (current_user <> 'assay_gateway');
DROP POLICY IF EXISTS assay_notes ON scoring_unqueued;
CREATE POLICY assay_notes ON scoring_unqueued FOR INSERT WITH CHECK (TRUE);
DROP POLICY IF EXISTS assay_scope ON scoring_unqueued;
CREATE POLICY assay_scope ON scoring_unqueued FOR SELECT USING (
  coalesce((SELECT TRUE FROM scoring_jobs j WHERE j.id = scoring_unqueued.job_id LIMIT 1), FALSE));
COMMIT;

BEGIN;
ALTER TABLE redrives ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS assay_scope ON redrives;
CREATE POLICY assay_scope ON redrives USING (current_user <> 'assay_gateway' OR coalesce(
  (SELECT TRUE FROM scoring_jobs j WHERE j.id = redrives.job_id LIMIT 1),
  (SELECT TRUE FROM scoring_history h WHERE h.id = redrives.job_id LIMIT 1), FALSE));
COMMIT;

BEGIN;
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS assay_scope ON audit_log;
CREATE POLICY assay_scope ON audit_log USING (current_user <> 'assay_gateway' OR coalesce(
  (SELECT TRUE FROM scoring_jobs j WHERE j.id = audit_log.job_id LIMIT 1),
  (SELECT TRUE FROM scoring_history h WHERE h.id = audit_log.job_id LIMIT 1),
  (SELECT TRUE FROM scoring_batches b WHERE b.id = audit_log.batch_id LIMIT 1), FALSE));
COMMIT;

-- A view is read with the rights of its owner, unless it says otherwise.
ALTER VIEW dead_letters SET (security_invoker = true);
