import assert from "node:assert/strict";
import { test } from "node:test";
import { addressElsewhere } from "./thread.js";

test("a comment is shown under its own part, whatever part its address names", () => {
  const answer = { ancestors: [], items: [{ depth: 0, comment: { id: "c", part: "a" } }], next: null };
  assert.equal(addressElsewhere(answer, "c", "a"), null);
  assert.equal(addressElsewhere(answer, "c", "b"), "/parts/a?comment=c#comments");
  assert.equal(addressElsewhere(answer, "lost", "b"), null);
});
