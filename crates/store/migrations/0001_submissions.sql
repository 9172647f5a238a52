-- What is to be scored. Rows may also be loaded with plain SQL, hence the defaults.
CREATE TABLE submissions (
  id UUID CONSTRAINT submissions_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
  -- Compared byte by byte, here and wherever it is copied to: it is a name, not prose.
  tenant TEXT COLLATE "C" NOT NULL DEFAULT 'default',
  status TEXT NOT NULL DEFAULT 'IN_PROGRESS',
  content JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT submissions_status_known CHECK (status IN ('IN_PROGRESS', 'SUBMITTED')),
  CONSTRAINT submissions_tenant_given CHECK (tenant <> ''),
  CONSTRAINT submissions_content_is_object CHECK (jsonb_typeof(content) = 'object')
);

-- A score belongs to the content that was scored, so nothing of a submitted row may change. An update that changes
-- nothing is let through: submitting twice is harmless.
CREATE FUNCTION refuse_change_of_submitted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'submission % is SUBMITTED and can no longer change', OLD.id
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'submissions_submitted_is_final';
END $$;

CREATE TRIGGER submissions_submitted_is_final BEFORE UPDATE ON submissions
  FOR EACH ROW WHEN (OLD.status = 'SUBMITTED' AND OLD.* IS DISTINCT FROM NEW.*)
  EXECUTE FUNCTION refuse_change_of_submitted();
