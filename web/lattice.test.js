import assert from "node:assert/strict";
import { test } from "node:test";
import { compareEpochs, covers, joinTallies, joinTally, sameTally, talliesIn, total } from "./lattice.js";

const id = (number) => number.toString(16).padStart(32, "0");

/** The same values as in the laws of the Rust crate: epochs that differ in generation, in owner, and not at all. */
const EPOCHS = [
  [0, 0],
  [0, 1],
  [1, 0],
].map(([generation, owner]) => ({ generation, owner: id(owner) }));
const NUMBERS = [
  [0, 0],
  [1, 0],
  [0, 1],
  [2, 1],
  [3, 3],
  [Number.MAX_SAFE_INTEGER, 5],
];
const TALLIES = EPOCHS.flatMap((epoch) => NUMBERS.map(([added, removed]) => ({ epoch, added, removed })));

const least = TALLIES[0];
const SETS = [
  {},
  ...TALLIES.filter((_, index) => index % 4 === 0).flatMap((tally) => [{ [id(7)]: tally }, { [id(8)]: tally }]),
  { [id(7)]: TALLIES[3], [id(8)]: TALLIES[9] },
  { [id(7)]: TALLIES[13], [id(8)]: TALLIES[2], [id(9)]: TALLIES[4] },
];

function laws(values, join) {
  for (const a of values) {
    assert.deepEqual(join(a, a), a, "idempotent");
    for (const b of values) {
      assert.deepEqual(join(a, b), join(b, a), "commutative");
      const both = join(a, b);
      assert.deepEqual(join(a, both), both, "grows");
      for (const c of values) assert.deepEqual(join(both, c), join(a, join(b, c)), "associative");
    }
  }
}

test("the join of two tallies obeys the laws", () => laws(TALLIES, joinTally));

test("the join of two groups' tallies obeys the laws", () => {
  laws(SETS, joinTallies);
  for (const set of SETS) assert.deepEqual(joinTallies({}, set), set, "nothing known is the least");
});

test("the least tally is the least", () => {
  for (const tally of TALLIES) assert.ok(sameTally(joinTally(least, tally), tally));
});

test("epochs are ordered by generation, then by owner", () => {
  const sorted = [
    [0, 1],
    [0, 2],
    [0, 0xf],
    [0, 0x10],
    [1, 0],
    [1, 9],
    [10, 0],
  ].map(([generation, owner]) => ({ generation, owner: id(owner) }));
  sorted.forEach((a, i) => sorted.forEach((b, j) => assert.equal(compareEpochs(a, b), Math.sign(i - j))));
});

test("a greater epoch wins whole, a smaller count with it", () => {
  const lost = { epoch: { generation: 0, owner: id(9) }, added: 100, removed: 1 };
  const healed = { epoch: { generation: 1, owner: id(1) }, added: 40, removed: 2 };
  assert.deepEqual(joinTally(lost, healed), healed);
  assert.deepEqual(joinTally(healed, lost), healed);
});

test("of two heirs in one generation the greater owner wins", () => {
  const [one, two] = [1, 2].map((owner) => ({
    epoch: { generation: 3, owner: id(owner) },
    added: 10 - owner,
    removed: 0,
  }));
  assert.deepEqual(joinTally(one, two), two);
  assert.deepEqual(joinTally(two, one), two);
});

test("within an epoch each number takes its maximum", () => {
  const epoch = EPOCHS[1];
  assert.deepEqual(joinTally({ epoch, added: 5, removed: 1 }, { epoch, added: 3, removed: 2 }), {
    epoch,
    added: 5,
    removed: 2,
  });
});

test("the count is the sum over replicas, each never below 0", () => {
  const epoch = EPOCHS[0];
  assert.equal(total({}), 0);
  assert.equal(total({ [id(1)]: { epoch, added: 5, removed: 1 }, [id(2)]: { epoch, added: 3, removed: 0 } }), 7);
  assert.equal(total({ [id(1)]: { epoch, added: 1, removed: 4 }, [id(2)]: { epoch, added: 2, removed: 0 } }), 2);
});

test("one set covers another exactly when joining changes nothing", () => {
  for (const a of SETS) {
    for (const b of SETS)
      assert.equal(covers(a, b), JSON.stringify(sorted(joinTallies(a, b))) === JSON.stringify(sorted(a)));
  }
});

test("joining changes neither side", () => {
  const [a, b] = [structuredClone(SETS.at(-1)), structuredClone(SETS.at(-2))];
  joinTallies(a, b);
  assert.deepEqual([a, b], [SETS.at(-1), SETS.at(-2)]);
});

test("what is not a tally is left out", () => {
  const good = { epoch: { generation: 0, owner: id(1) }, added: 3, removed: 1 };
  assert.deepEqual(talliesIn({ [id(1)]: good, extra: good }), { [id(1)]: good });
  const bad = [
    null,
    3,
    {},
    { ...good, added: -1 },
    { ...good, added: "3" },
    { ...good, removed: NaN },
    { ...good, added: 1.5 },
    { ...good, epoch: null },
    { ...good, epoch: { generation: 0, owner: "me" } },
  ];
  for (const tally of bad) assert.deepEqual(talliesIn({ [id(1)]: tally }), {});
  for (const value of [null, undefined, "x", 7, []]) assert.deepEqual(talliesIn(value), {});
  assert.deepEqual(talliesIn(JSON.parse(`{"__proto__": ${JSON.stringify(good)}}`)), {});
});

test("the greatest numbers of the Rust side are read, though rounded", () => {
  const row = `{"${id(1)}":{"epoch":{"generation":4294967295,"owner":"${"f".repeat(32)}"},"added":18446744073709551615,"removed":0}}`;
  assert.equal(total(talliesIn(JSON.parse(row))), 2 ** 64);
});

function sorted(set) {
  return Object.entries(set).sort(([a], [b]) => (a < b ? -1 : 1));
}
