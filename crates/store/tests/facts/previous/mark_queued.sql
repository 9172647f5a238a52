-- As the version before migration 0009 had it.
WITH held AS (
  SELECT job_id FROM scoring_unqueued WHERE job_id = ANY($1) FOR UPDATE SKIP LOCKED
)
DELETE FROM scoring_unqueued u USING held WHERE u.job_id = held.job_id
