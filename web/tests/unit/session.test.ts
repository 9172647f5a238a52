import assert from "node:assert/strict";
import { test } from "node:test";

import { cleaned } from "../../src/session.ts";

test("a token is found in whatever was pasted with it", () => {
  for (const pasted of ["a.b.c", "  a.b.c\n", "Bearer a.b.c", "Authorization: bearer a.b.c", "a.b\n  .c"]) {
    assert.equal(cleaned(pasted), "a.b.c", pasted);
  }
});
