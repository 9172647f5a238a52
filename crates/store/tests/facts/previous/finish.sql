-- As the version before migration 0009 had it.
WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::double precision[], $5::text[], $6::text[],
    $7::text[], $8::bigint[])
  WITH ORDINALITY AS t (job, epoch, outcome, score, words, result, code, delay_ms, ord)
), held AS (
  SELECT i.ord, j.id, j.attempt, j.max_attempts, j.scorer, j.started_at
  FROM item i JOIN scoring_jobs j ON j.id = i.job AND j.status = 'RUNNING' AND j.lease_epoch = i.epoch
  ORDER BY j.id FOR NO KEY UPDATE OF j
), decided AS (
  SELECT h.*, i.epoch, i.outcome, i.score, i.words, i.result::jsonb AS result, i.code,
    now() + i.delay_ms * INTERVAL '1 millisecond' AS due, greatest(now(), h.started_at) AS ended_at, CASE
      WHEN i.outcome = 'done' THEN 'DONE'
      WHEN i.outcome = 'released' THEN 'QUEUED'
      WHEN i.outcome = 'retryable' AND h.attempt < h.max_attempts THEN 'QUEUED'
      ELSE 'ERROR' END AS next
  FROM item i JOIN held h USING (ord)
), recorded AS (
  INSERT INTO scoring_attempts (job_id, lease_epoch, attempt, scorer, started_at, ended_at, outcome, error_code,
    message)
  SELECT id, epoch, attempt, scorer, started_at, ended_at, outcome, code,
    CASE WHEN outcome <> 'done' THEN words END
  FROM decided
), changed AS (
  UPDATE scoring_jobs j SET
    status = next,
    version = version + 1,
    attempt = d.attempt - CASE outcome WHEN 'released' THEN 1 ELSE 0 END,
    score = d.score,
    feedback = CASE WHEN next IN ('DONE', 'ERROR') THEN words END,
    result = d.result,
    error_code = CASE outcome WHEN 'done' THEN NULL WHEN 'released' THEN j.error_code ELSE code END,
    error_message = CASE outcome WHEN 'done' THEN NULL WHEN 'released' THEN j.error_message ELSE words END,
    not_before = CASE WHEN next = 'QUEUED' THEN due ELSE j.not_before END,
    started_at = CASE WHEN next <> 'QUEUED' THEN d.started_at END,
    completed_at = CASE WHEN next <> 'QUEUED' THEN ended_at END,
    resource_kind = CASE WHEN next <> 'QUEUED' THEN coalesce(resource_kind, 'none') ELSE resource_kind END
  FROM decided d WHERE j.id = d.id
)
SELECT d.next, CASE WHEN d.next = 'QUEUED' THEN i.delay_ms END AS retry_ms
FROM item i LEFT JOIN decided d USING (ord)
ORDER BY i.ord
