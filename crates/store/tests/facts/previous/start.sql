-- As the version before migration 0009 had it.
WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[])
  WITH ORDINALITY AS t (job, epoch, expired, scorer, ord)
), held AS (
  SELECT j.id, j.submission_id, j.status, j.suspended, j.attempt, j.max_attempts, j.lease_epoch,
    j.scorer AS holder, j.created_at, j.started_at, j.timeout_seconds, j.priority, j.rubric, j.rubric_version
  FROM item i JOIN scoring_jobs j ON j.id = i.job
  ORDER BY j.id FOR NO KEY UPDATE OF j
), seen AS (
  SELECT i.*, h.*, h.status = 'RUNNING' AND h.lease_epoch <= i.expired AS lost,
    h.attempt + CASE WHEN h.status = 'RUNNING' AND h.lease_epoch > i.expired THEN 0 ELSE 1 END AS next_attempt
  FROM item i LEFT JOIN held h ON h.id = i.job
), decided AS (
  SELECT *, CASE
    WHEN id IS NULL THEN 'unknown'
    WHEN status IN ('DONE', 'ERROR') THEN 'ended'
    WHEN status = 'RUNNING' AND epoch = lease_epoch THEN 'already_started'
    WHEN epoch <= lease_epoch THEN 'stale'
    WHEN lost AND attempt >= max_attempts THEN 'exhausted'
    WHEN status = 'QUEUED' AND suspended THEN 'suspended'
    ELSE 'started' END AS decision
  FROM seen
), taken_over AS (
  INSERT INTO scoring_attempts (job_id, lease_epoch, attempt, scorer, started_at, ended_at, outcome, error_code,
    message)
  SELECT job, lease_epoch, attempt, holder, started_at, greatest(now(), started_at),
    CASE WHEN lost THEN 'lease_lost' ELSE 'released' END, CASE WHEN lost THEN 'lease_lost' END,
    format(CASE WHEN lost THEN '%s went unheard until its lease ran out; %s took over'
      ELSE '%s no longer had a lease on the queue; %s took over' END, holder, scorer)
  FROM decided WHERE status = 'RUNNING' AND decision IN ('started', 'exhausted')
), changed AS (
  UPDATE scoring_jobs j SET
    status = CASE decision WHEN 'started' THEN 'RUNNING' ELSE 'ERROR' END,
    lease_epoch = d.epoch,
    version = version + 1,
    attempt = CASE decision WHEN 'started' THEN d.next_attempt ELSE d.attempt END,
    scorer = CASE decision WHEN 'started' THEN d.scorer ELSE holder END,
    started_at = CASE decision WHEN 'started' THEN greatest(now(), d.created_at) ELSE d.started_at END,
    completed_at = CASE decision WHEN 'exhausted' THEN greatest(now(), d.started_at) END,
    resource_kind = CASE decision WHEN 'exhausted' THEN coalesce(resource_kind, 'none') ELSE resource_kind END,
    error_code = CASE WHEN lost THEN 'lease_lost' ELSE error_code END,
    error_message = CASE WHEN lost
      THEN format('%s went unheard in attempt %s until its lease ran out', holder, d.attempt)
      ELSE error_message END,
    feedback = CASE decision WHEN 'exhausted' THEN format(
      'Not scored: the scorer (%s) went unheard in attempt %s of %s, the last one. Something about the submission '
      'may be stopping scorers.', holder, d.attempt, d.max_attempts) END
  FROM decided d WHERE j.id = d.job AND decision IN ('started', 'exhausted')
), content AS MATERIALIZED (
  SELECT d.ord, s.content::text AS words
  FROM decided d JOIN submissions s ON s.id = d.submission_id WHERE decision IN ('started', 'already_started')
)
SELECT d.job, d.decision, d.lost, d.status, d.lease_epoch,
  CASE decision WHEN 'started' THEN next_attempt ELSE attempt END AS attempt, d.timeout_seconds, d.priority,
  d.created_at, d.rubric, d.rubric_version,
  CASE WHEN sum(octet_length(c.words)) OVER (ORDER BY d.ord) <= $5 THEN c.words END AS content
FROM decided d LEFT JOIN content c USING (ord)
ORDER BY d.ord
