import assert from "node:assert/strict";
import { test } from "node:test";
import { drift, FAULTS, faultsOn, grouped, isNews, joinHistory, lag, linkName, percent, repairs, sameRows, scored, size, verdict } from "./chaos-model.js";

const calm = Object.fromEntries(FAULTS.map(({ name }) => [name, 0]));
const state = (other) => ({
  faults: calm,
  habits: { rate: 12, impatience: 0 },
  services: [{ name: "stories", condition: "running" }],
  exact_off: 0,
  plain_off: 0,
  on_way: 0,
  quiet: false,
  ...other,
});

test("a count is off by a number with its sign, and what is not known is not called exact", () => {
  for (const [count, listed, said] of [
    [5, 5, "exact"],
    [1239, 5, "+1,234"],
    [3, 5, "−2"],
    [null, 5, "?"],
    [5, null, "?"],
  ]) {
    assert.equal(drift(count, listed), said);
  }
  assert.equal(scored("exact", 3), "off by 3 for now");
  assert.equal(scored("plain", 1234), "off by 1,234");
  assert.equal(scored("plain", 0), "exact");
  assert.equal(scored("exact", null), "unknown");
});

test("numbers are written for people", () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
  assert.deepEqual([0, 0.29999, 1].map(percent), ["0 %", "30 %", "100 %"]);
  assert.deepEqual([undefined, 12.4, 999, 4740].map(lag), ["–", "12 ms", "999 ms", "4.7 s"]);
  assert.equal(linkName({ topic: "signing-keys", service: "stories" }), "signing keys → Stories");
});

test("history goes on where it was, each sample once, and forgets the oldest", () => {
  const samples = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => ({ number: from + index }));
  assert.deepEqual(joinHistory([], samples(3, 5), 10), samples(3, 5));
  assert.deepEqual(joinHistory(samples(1, 4), samples(3, 6), 10), samples(1, 6));
  assert.deepEqual(joinHistory(samples(1, 4), samples(5, 9), 5), samples(5, 9));
  assert.deepEqual(joinHistory(samples(1, 4), [], 10), samples(1, 4));
});

test("the verdict names what is broken, and nothing that is not", () => {
  assert.deepEqual(faultsOn({ ...calm, drop: 0.5, duplicate: 0.2 }), ["Duplicates 20 %", "Loss 50 %"]);
  assert.equal(verdict(state({})).mood, "calm");
  const broken = verdict(state({ faults: { ...calm, drop: 0.5 }, plain_off: 7 }));
  assert.equal(broken.mood, "broken");
  assert.equal(broken.text, "Broken now: Loss 50 %. “+1” is off by 7.");
  assert.equal(broken.spoken, "Broken now: Loss 50 %.", "not every number is read out");
  const away = verdict(state({ services: [{ name: "stories", condition: "killed" }] }));
  assert.equal(away.text, "Broken now: Stories is away.");
});

test("it is healed when nothing is on its way and every count is exact, and not before", () => {
  const rests = { habits: { rate: 0, impatience: 0 }, plain_off: 3 };
  assert.equal(verdict(state({ ...rests, quiet: true })).mood, "healed");
  assert.equal(verdict(state({ ...rests, quiet: true })).text, "Every count is exact. “+1” is off by 3, for ever.");
  assert.equal(verdict(state({ ...rests, quiet: true, exact_off: 1 })).mood, "healing");
  assert.equal(verdict(state({ ...rests, quiet: true, exact_off: null })).mood, "healing");
  assert.equal(verdict(state({ ...rests, quiet: false, on_way: 2 })).text, "Healing: 2 messages are still on the way. “+1” is off by 3.");
  assert.equal(verdict(state({ quiet: true })).mood, "calm", "while people write it may be off again at once");
});

test("links that only ask are not among those that carry news", () => {
  assert.deepEqual([{ topic: "tallies" }, { topic: "wants.tallies" }].map(isNews), [true, false]);
});

test("what repairs is told in words", () => {
  assert.equal(sameRows({ same: null, differing_ranges: 0 }), "–");
  assert.equal(sameRows({ same: true, differing_ranges: 0 }), "the same");
  assert.equal(sameRows({ same: false, differing_ranges: 0 }), "differ");
  assert.equal(sameRows({ same: false, differing_ranges: 1 }), "1 range differs");
  assert.equal(sameRows({ same: false, differing_ranges: 1200 }), "1,200 ranges differ");
  assert.deepEqual([0, 999, 131072, 6_100_000].map(size), ["0 B", "999 B", "131 kB", "6.1 MB"]);
  const rows = repairs({ digests: 1234, wants: 5, rows: 6, bytes: 7 });
  assert.deepEqual(rows.map(([, times]) => times), ["1,234", "5", "6", "7 B"]);
});
