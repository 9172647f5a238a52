import assert from "node:assert/strict";
import { test } from "node:test";

import { parseRoute, toJob, toList } from "../../src/route.ts";

test("an address leads to its view", () => {
  assert.deepEqual(parseRoute(""), { view: "pools" });
  assert.deepEqual(parseRoute("#/"), { view: "pools" });
  assert.deepEqual(parseRoute("#/pools"), { view: "pools" });
  assert.deepEqual(parseRoute("#/jobs/7"), { view: "job", id: "7" });
  assert.deepEqual(parseRoute("#/elsewhere/7"), { view: "nowhere", path: "/elsewhere/7" });
  assert.deepEqual(parseRoute("#/jobs/7/8"), { view: "nowhere", path: "/jobs/7/8" });
});

test("a list's filters stand in its address, without what is empty", () => {
  const address = toList("jobs", { status: "ERROR", pool: "", q: "a&b c" });
  const route = parseRoute(address);
  assert.ok(route.view === "jobs");
  assert.deepEqual([...route.query], [["status", "ERROR"], ["q", "a&b c"]]);
  assert.equal(toList("dead-letters", {}), "#/dead-letters");
});

test("an id cannot lead out of its view", () => {
  assert.equal(toJob("../x?y"), "#/jobs/..%2Fx%3Fy");
});
