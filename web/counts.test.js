import assert from "node:assert/strict";
import { test } from "node:test";
import { Counts } from "./counts.js";
import { Memory } from "./storage.js";

const id = (number) => number.toString(16).padStart(32, "0");
const tally = (added, removed = 0, generation = 0, owner = id(1)) => ({ epoch: { generation, owner }, added, removed });
const count = (tallies, group = "part:x") => ({ group, tallies });

test("a late answer does not turn a count back", () => {
  const counts = new Counts(new Memory());
  assert.equal(counts.join(count({ [id(1)]: tally(14, 2) })), 12);
  assert.equal(counts.join(count({ [id(1)]: tally(13, 0) })), 12);
  assert.equal(counts.join(count({})), 12);
  assert.equal(counts.join(count({ [id(2)]: tally(1) })), 13, "another replica's is added");
  assert.equal(counts.join(count({ [id(1)]: tally(14, 3), [id(2)]: tally(1) })), 12, "a deletion counts");
});

test("answers in any order, any number of times, end in one number", () => {
  const answers = [
    { [id(1)]: tally(1) },
    { [id(1)]: tally(5, 1) },
    { [id(1)]: tally(5, 3), [id(2)]: tally(2) },
    { [id(2)]: tally(4, 4, 1) },
    {},
  ];
  for (const order of permutations(answers)) {
    const counts = new Counts(new Memory());
    for (const answer of [...order, order[0], order[2]]) counts.join(count(answer));
    assert.equal(counts.value("part:x"), 2);
  }
});

test("after a reload the page begins where it was", () => {
  const storage = new Memory();
  new Counts(storage).join(count({ [id(1)]: tally(9) }));
  const counts = new Counts(storage);
  assert.equal(counts.value("part:x"), 9);
  assert.equal(counts.join(count({ [id(1)]: tally(8) })), 9);
});

test("whoever watches is told of changes only", () => {
  const counts = new Counts(new Memory());
  const heard = [];
  const unwatch = counts.watch("part:x", (number) => heard.push(number));
  for (const added of [3, 3, 2, 4]) counts.join(count({ [id(1)]: tally(added) }));
  unwatch();
  counts.join(count({ [id(1)]: tally(5) }));
  assert.deepEqual(heard, [0, 3, 4]);
});

test("two tabs that write at once come to the same", () => {
  const storage = new Memory();
  const [one, two] = [new Counts(storage), new Counts(storage)];
  one.join(count({ [id(1)]: tally(3) }));
  const first = storage.getItem("antiphon.count.part:x");
  two.join(count({ [id(2)]: tally(2) }));
  const second = storage.getItem("antiphon.count.part:x");
  // As if the first tab's write had come last and hidden the second's.
  storage.setItem("antiphon.count.part:x", first);
  two.heard({ key: "antiphon.count.part:x", newValue: first });
  one.heard({ key: "antiphon.count.part:x", newValue: second });
  assert.equal(one.value("part:x"), 5);
  assert.equal(two.value("part:x"), 5);
  assert.equal(new Counts(storage).value("part:x"), 5);
});

test("what another tab forgets, or somebody scribbles, changes nothing", () => {
  const storage = new Memory();
  const counts = new Counts(storage);
  counts.join(count({ [id(1)]: tally(3) }));
  for (const newValue of [null, "", "{", "7", '{"tallies":{"x":1}}'])
    counts.heard({ key: "antiphon.count.part:x", newValue });
  counts.heard({ key: null, newValue: null });
  counts.heard({ key: "something.else", newValue: "1" });
  storage.setItem("antiphon.count.part:y", "not json");
  assert.equal(counts.value("part:y"), 0);
  assert.equal(counts.join(count({ [id(1)]: tally(1) }, "part:y")), 1);
  assert.equal(counts.value("part:x"), 3);
});

test("the store is bounded, and keeps what was used last", () => {
  const storage = new Memory();
  let now = 0;
  const counts = new Counts(storage, { groupsMax: 10, now: () => (now += 1) });
  for (let group = 0; group < 100; group += 1) counts.join(count({ [id(1)]: tally(group + 1) }, `part:${group}`));
  assert.ok(storage.length <= 10);
  assert.equal(new Counts(storage).value("part:99"), 100);
});

test("what is on show is not forgotten, even when the store is full", () => {
  const storage = new Memory();
  const counts = new Counts(storage, { groupsMax: 5 });
  counts.watch("part:x", () => {});
  counts.join(count({ [id(1)]: tally(7) }));
  for (let group = 0; group < 50; group += 1) counts.join(count({ [id(1)]: tally(1) }, `part:${group}`));
  assert.equal(counts.join(count({ [id(1)]: tally(6) })), 7);
});

test("a browser that stores nothing still never goes backwards", () => {
  const broken = {
    length: 0,
    key: () => null,
    getItem: () => null,
    removeItem() {},
    setItem() {
      throw new Error("no room");
    },
  };
  const counts = new Counts(broken);
  assert.equal(counts.join(count({ [id(1)]: tally(7) })), 7);
  assert.equal(counts.join(count({ [id(1)]: tally(6) })), 7);
});

test("a bare number is shown as it is", () => {
  const counts = new Counts(new Memory());
  assert.equal(counts.joinOrNumber(5), 5);
  assert.equal(counts.joinOrNumber(count({ [id(1)]: tally(6) })), 6);
});

function permutations(list) {
  if (list.length === 0) return [[]];
  return list.flatMap((item, index) => permutations(list.toSpliced(index, 1)).map((rest) => [item, ...rest]));
}
