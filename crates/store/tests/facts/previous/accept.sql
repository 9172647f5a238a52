-- As the version before migration 0009 had it.
WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::integer[],
    $8::integer[], $9::integer[], $10::timestamptz[], $11::boolean[], $12::text[], $13::text[], $14::text[],
    $15::uuid[])
  WITH ORDINALITY AS t (id, submission_id, tenant, rubric, pool, priority, max_attempts, timeout_seconds,
    ttl_seconds, not_before, suspended, traceparent, resource_namespace, resource_name, resource_uid, ord)
), weighed AS (
  SELECT i.*, s.tenant AS owner, s.status AS submission_status, r.version AS rubric_version
  FROM item i
  LEFT JOIN submissions s ON s.id = i.submission_id AND s.tenant = coalesce(i.tenant, s.tenant)
  LEFT JOIN current_rubrics r ON r.name = i.rubric
), inserted AS (
  INSERT INTO scoring_jobs (id, submission_id, batch_id, tenant, rubric, rubric_version, pool, priority,
    max_attempts, timeout_seconds, ttl_seconds, not_before, suspended, traceparent, resource_kind,
    resource_namespace, resource_name, resource_uid)
  SELECT id, submission_id, $16::uuid, owner, rubric, rubric_version, pool, priority,
    max_attempts, timeout_seconds, ttl_seconds, not_before, suspended, traceparent,
    CASE WHEN $16::uuid IS NOT NULL THEN 'batch' WHEN resource_uid IS NOT NULL THEN 'job' END,
    resource_namespace, resource_name, resource_uid
  FROM weighed
  WHERE submission_status = 'SUBMITTED' AND rubric_version IS NOT NULL
  ORDER BY submission_id, ord
  ON CONFLICT DO NOTHING
  RETURNING id, submission_id, suspended
), unqueued AS (
  INSERT INTO scoring_unqueued (job_id) SELECT id FROM inserted WHERE NOT suspended ON CONFLICT DO NOTHING
)
SELECT w.owner IS NULL AS unknown_submission, w.submission_status = 'SUBMITTED' AS submitted,
  w.rubric_version IS NULL AS unknown_rubric, n.id IS NOT NULL AS inserted
FROM weighed w
LEFT JOIN inserted n ON n.id = w.id AND n.submission_id = w.submission_id
ORDER BY w.ord
