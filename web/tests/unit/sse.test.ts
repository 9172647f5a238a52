import assert from "node:assert/strict";
import { test } from "node:test";

import { EventReader } from "../../src/sse.ts";

test("an event is read however it is cut into pieces", () => {
  const text = ": hello\r\nevent: pools\r\nid: 7\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata: next\n\n";
  for (let size = 1; size <= text.length; size += 1) {
    const reader = new EventReader();
    const events = [];
    for (let at = 0; at < text.length; at += size) {
      events.push(...reader.read(text.slice(at, at + size)));
    }
    assert.deepEqual(events, [
      { event: "pools", data: "{\"a\":\n1}", id: "7" },
      { event: "message", data: "next", id: "7" },
    ], `in pieces of ${size}`);
  }
});

test("an event that is not complete is not given", () => {
  const reader = new EventReader();
  assert.deepEqual(reader.read("data: half\n"), []);
  assert.deepEqual(reader.read("\n"), [{ event: "message", data: "half", id: "" }]);
});

test("comments and events without data are none, but their id counts", () => {
  const reader = new EventReader();
  assert.deepEqual(reader.read(":\n\nid: 9\n\n"), []);
  assert.equal(reader.lastId, "9");
});

test("the time to come back is taken over when it is a number", () => {
  const reader = new EventReader();
  reader.read("retry: 1500\n");
  assert.equal(reader.retry, 1_500);
  reader.read("retry: soon\n");
  assert.equal(reader.retry, 1_500);
});
