import assert from "node:assert/strict";
import { test } from "node:test";
import { byReaders } from "./statistic.js";

test("how many read it: nothing where it is not known, and about where it is an estimate", () => {
  for (const [readers, note] of [
    [0, ""],
    [1, " by 1 reader"],
    [99, " by 99 readers"],
    [1234, " by about 1234 readers"],
  ]) {
    assert.equal(byReaders(readers), note);
  }
});
