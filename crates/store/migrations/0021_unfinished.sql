-- What waits or runs, in the order in which lists are read (see 0016). An index of rows WHERE completed_at IS NULL serves
-- whoever looks for the one such row of a submission, too: while the table is empty, reading all of it costs no more, and a plan
-- that is made then is kept. So it says the same in words that only the list has.
CREATE INDEX scoring_jobs_unfinished ON scoring_jobs (created_at DESC, id DESC)
  WHERE coalesce(completed_at, 'infinity') = 'infinity';
DROP INDEX scoring_jobs_active;
