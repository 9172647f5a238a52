-- Which definitions of the custom resources the recorded resources were made under. When a definition is deleted, or the
-- API server is emptied, every resource goes with it and nobody meant to cancel anything: another uid tells.
CREATE TABLE resource_definitions (
  name TEXT CONSTRAINT resource_definitions_pkey PRIMARY KEY,
  uid UUID NOT NULL,
  since TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT resource_definitions_name_known CHECK (name IN ('job', 'batch'))
);
