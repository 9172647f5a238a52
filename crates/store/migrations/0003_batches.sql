-- Up to 1,000 jobs with the same knobs and one custom resource. Counts are never kept here: they come from one
-- grouped query over the members.
CREATE TABLE scoring_batches (
  id UUID CONSTRAINT scoring_batches_pkey PRIMARY KEY,
  tenant TEXT COLLATE "C" NOT NULL DEFAULT 'default',
  origin TEXT NOT NULL,
  rubric TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority SMALLINT NOT NULL,
  max_attempts INTEGER NOT NULL,
  timeout_seconds INTEGER NOT NULL,
  ttl_seconds INTEGER NOT NULL,
  not_before TIMESTAMPTZ,
  suspended BOOLEAN NOT NULL DEFAULT FALSE,
  -- How many submissions were asked for, members and rejected ones together.
  total INTEGER NOT NULL,
  -- [{submission_id, code, active_job}]
  rejected JSONB NOT NULL DEFAULT '[]',
  -- NULL: the resource is still to be made; 'batch': it exists; 'none': it is gone.
  resource_kind TEXT,
  resource_namespace TEXT,
  resource_name TEXT,
  resource_uid UUID,
  -- What the resource's status showed last; NULL: nothing yet.
  mirrored_digest TEXT,
  mirrored_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- When the last member ended, written once the status shows it.
  completed_at TIMESTAMPTZ,
  CONSTRAINT scoring_batches_origin_known CHECK (origin IN ('api', 'overflow', 'kubectl')),
  CONSTRAINT scoring_batches_priority_range CHECK (priority BETWEEN 0 AND 9),
  CONSTRAINT scoring_batches_max_attempts_range CHECK (max_attempts BETWEEN 1 AND 1000),
  CONSTRAINT scoring_batches_timeout_range CHECK (timeout_seconds > 0),
  CONSTRAINT scoring_batches_ttl_range CHECK (ttl_seconds >= 0),
  CONSTRAINT scoring_batches_total_range CHECK (total BETWEEN 0 AND 1000),
  CONSTRAINT scoring_batches_rejected_is_array CHECK (jsonb_typeof(rejected) = 'array'),
  CONSTRAINT scoring_batches_resource_kind_known CHECK (resource_kind IN ('batch', 'none')),
  CONSTRAINT scoring_batches_resource_complete CHECK
    (resource_kind IS DISTINCT FROM 'batch' OR (resource_namespace IS NOT NULL AND resource_name IS NOT NULL)),
  CONSTRAINT scoring_batches_completed_after_created CHECK (completed_at >= created_at)
) WITH (fillfactor = 70);

CREATE INDEX scoring_batches_unmirrored ON scoring_batches (created_at, id) WHERE resource_kind IS NULL;
CREATE INDEX scoring_batches_live ON scoring_batches (id) WHERE resource_kind = 'batch';
