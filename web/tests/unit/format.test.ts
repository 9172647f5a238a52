import assert from "node:assert/strict";
import { test } from "node:test";

import { duration, integer, isId, rate, relative, shortId } from "../../src/format.ts";

test("numbers have their thousands apart", () => {
  assert.equal(integer(2_000), "2,000");
  assert.equal(integer(0), "0");
});

test("a small rate has one digit more", () => {
  assert.deepEqual([0, 0.04, 0.4, 9.94, 9.96, 12.4, 1_250].map(rate), ["0", "0.0", "0.4", "9.9", "10", "12", "1,250"]);
});

test("durations have the two largest units", () => {
  const shown = [0, 850, 3_210, 12_000, 60_000, 250_000, 7_500_000, 273_600_000].map(duration);
  assert.deepEqual(shown, ["0 ms", "850 ms", "3.2 s", "12 s", "1 min", "4 min 10 s", "2 h 5 min", "3 d 4 h"]);
});

test("how long ago is said in one unit, and what is to come as well", () => {
  const now = new Date("2026-11-25T12:00:00Z");
  const at = (seconds: number): string => relative(new Date(now.getTime() - seconds * 1_000), now);
  assert.deepEqual([0, 1, 12, 90, 7_200, 200_000, -300].map(at),
    ["just now", "just now", "12 s ago", "1 min ago", "2 h ago", "2 d ago", "in 5 min"]);
});

test("ids are told from other texts", () => {
  assert.ok(isId("01a20bfb-22c5-7331-b0f0-2dcaab7c4f6d"));
  assert.ok(!isId("01a20bfb") && !isId("01a20bfb-22c5-7331-b0f0-2dcaab7c4f6dx"));
  assert.equal(shortId("01a20bfb-22c5-7331-b0f0-2dcaab7c4f6d"), "…2dcaab7c4f6d");
});
