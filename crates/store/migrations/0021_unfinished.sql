-- no-transaction
-- Two transactions: one that stops writers of the table and then wants readers to leave, too, meets statements that have read it and
-- are to write, and Postgres would end one of them.

-- What waits or runs, in the order in which lists are read (see 0016). An index of rows WHERE completed_at IS NULL serves
-- whoever looks for the one such row of a submission, too: while the table is empty, reading all of it costs no more, and a plan
-- that is made then is kept. So it says the same in words that only the list has.
BEGIN;
CREATE INDEX IF NOT EXISTS scoring_jobs_unfinished ON scoring_jobs (created_at DESC, id DESC)
  WHERE coalesce(completed_at, 'infinity') = 'infinity';
COMMIT;

BEGIN;
DROP INDEX IF EXISTS scoring_jobs_active;
COMMIT;
