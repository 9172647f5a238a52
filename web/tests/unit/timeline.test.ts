import assert from "node:assert/strict";
import { test } from "node:test";

import type { Course, JobDetail } from "../../src/model.ts";
import { moments } from "../../src/views/timeline.ts";

const JOB: JobDetail = {
  job_id: "j", submissionId: "s", status: "ERROR", score: null, feedback: "no", error: { code: "timeout", message: "no" }, attempts: 1,
  rubric: "default", rubricVersion: "1", pool: "default", priority: 5, createdAt: "2026-11-25T12:00:00Z",
  startedAt: "2026-11-25T12:00:01Z", completedAt: "2026-11-25T12:00:02Z", result: null,
};

const COURSE: Course = {
  tenant: "default", batchId: null, traceId: null, notBefore: null, suspended: false, queuedAt: null, scorer: "scorer-1", maxAttempts: 4,
  timeoutSeconds: 60,
  attempts: [{
    attempt: 1, epoch: 7, scorer: "scorer-1", startedAt: "2026-11-25T12:00:01Z", endedAt: "2026-11-25T12:00:02Z", outcome: "permanent",
    errorCode: "timeout", message: "no",
  }],
  actions: [{ action: "redrive", by: "ada", at: "2026-11-25T12:01:00Z", reason: null, newJobId: "n" }],
};

test("what happened is told in its order, causes before what comes of them", () => {
  assert.deepEqual(moments(JOB, COURSE).map((moment) => moment.what),
    ["Accepted", "Attempt 1 began", "Attempt 1: permanent", "Ended without a score", "Redriven by ada"]);
});

test("an attempt that is running is told of, too", () => {
  const running: JobDetail = { ...JOB, status: "RUNNING", attempts: 2, startedAt: "2026-11-25T12:00:05Z", completedAt: null };
  assert.equal(moments(running, { ...COURSE, actions: [] }).at(-1)?.what, "Attempt 2 began");
});
