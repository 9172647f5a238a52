import assert from "node:assert/strict";
import { test } from "node:test";

import { roundUp, sum } from "../../src/parts/chart.ts";

test("a scale ends at a round number that is enough", () => {
  assert.deepEqual([0, 1, 2, 3, 7, 11, 20, 21, 480, 1_001].map(roundUp), [1, 1, 2, 5, 10, 20, 20, 50, 500, 2_000]);
});

test("series of several pools are added up step by step", () => {
  const one = { stepSeconds: 5, accepted: [1, 2], done: [0, 1], error: [0, 0] };
  assert.deepEqual(sum([one, one]), { stepSeconds: 5, accepted: [2, 4], done: [0, 2], error: [0, 0] });
  assert.deepEqual(sum([]), { stepSeconds: 1, accepted: [], done: [], error: [] });
});
