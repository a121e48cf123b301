import assert from "node:assert/strict";
import { test } from "node:test";
import { behind, oneByOne, stepped } from "./moving.js";

test("one place up or down, and no further than the ends", () => {
  const list = ["a", "b", "c"];
  assert.deepEqual(stepped(list, "b", -1), ["b", "a", "c"]);
  assert.deepEqual(stepped(list, "b", 1), ["a", "c", "b"]);
  assert.equal(stepped(list, "a", -1), null);
  assert.equal(stepped(list, "c", 1), null);
  assert.equal(stepped(list, "x", 1), null);
  assert.deepEqual(list, ["a", "b", "c"]);
});

test("a place is told by what stands before it", () => {
  assert.equal(behind(["a", "b"], "b"), "a");
  assert.equal(behind(["a", "b"], "a"), null);
});

test("moves are sent one by one, in their order, also after one that failed", async () => {
  const moves = oneByOne();
  const done = [];
  const move = (name, fails) => async () => {
    await new Promise((resolve) => setTimeout(resolve, name === "a" ? 10 : 0));
    done.push(name);
    if (fails) throw new Error(name);
    return name;
  };
  const answers = [moves.run(move("a", false)), moves.run(move("b", true)), moves.run(move("c", false))];
  assert.equal(moves.waiting, 3);
  const settled = await Promise.allSettled(answers);
  assert.deepEqual(done, ["a", "b", "c"]);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.equal(moves.waiting, 0);
});
