-- Requests that clients gave a key, so that repeating one does nothing twice. A row outlives its request by a day or so.
CREATE TABLE idempotency_keys (
  tenant TEXT COLLATE "C" NOT NULL,
  subject TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  -- A hash of all that was asked for: the same key means the same request.
  request BYTEA NOT NULL,
  -- The id of what comes of it. Whoever repeats the request after a crash makes it under the same id, and so finds out
  -- whether it was made.
  new_id UUID NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- Who is at work on it, and since when.
  claim UUID,
  claimed_at TIMESTAMPTZ,
  -- What was answered.
  status SMALLINT,
  content_type TEXT,
  location TEXT,
  body BYTEA,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant, subject, key),
  CONSTRAINT idempotency_keys_claim_is_whole CHECK ((claim IS NULL) = (claimed_at IS NULL)),
  CONSTRAINT idempotency_keys_answer_is_whole CHECK ((status IS NULL) = (body IS NULL)),
  CONSTRAINT idempotency_keys_answered_is_free CHECK (status IS NULL OR claim IS NULL)
);

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
