-- How submissions are scored. A version is the hash of its canonical spec, so a row never changes, and none goes
-- away while a job may name it.
CREATE TABLE rubrics (
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  spec JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT rubrics_pkey PRIMARY KEY (name, version),
  CONSTRAINT rubrics_named CHECK (name <> '' AND version <> '')
);

CREATE FUNCTION refuse_change_of_rubric() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'version % of rubric % is immutable', OLD.version, OLD.name
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'rubrics_immutable';
END $$;

CREATE TRIGGER rubrics_immutable BEFORE UPDATE OR DELETE ON rubrics
  FOR EACH ROW EXECUTE FUNCTION refuse_change_of_rubric();

-- The version that new jobs get. Not simply the youngest: whoever takes back an edit wants the older version again.
CREATE TABLE current_rubrics (
  name TEXT CONSTRAINT current_rubrics_pkey PRIMARY KEY,
  version TEXT NOT NULL,
  since TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT current_rubrics_exist FOREIGN KEY (name, version) REFERENCES rubrics (name, version)
);
