import assert from "node:assert/strict";
import { test } from "node:test";
import { split } from "./editor.js";

test("an empty line begins a new paragraph, and the first keeps the id", () => {
  assert.deepEqual(split("one\nstill one\n\n  \n two \n", "a"), [{ id: "a", text: "one\nstill one" }, { text: "two" }]);
  assert.deepEqual(split("  \n\n ", "a"), []);
  assert.deepEqual(split("new", undefined), [{ text: "new" }]);
});
