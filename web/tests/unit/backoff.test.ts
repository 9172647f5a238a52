import assert from "node:assert/strict";
import { test } from "node:test";

import { pause } from "../../src/backoff.ts";

test("pauses double up to a bound, and vary by half", () => {
  assert.deepEqual([0, 1, 2, 3].map((failures) => pause(failures, 1)), [500, 1_000, 2_000, 4_000]);
  assert.deepEqual([0, 1].map((failures) => pause(failures, 0)), [250, 500]);
  assert.equal(pause(1_000, 1), 15_000);
});

test("a server that names a time is not asked before it", () => {
  assert.equal(pause(0, 0, 3_000), 3_000);
});
