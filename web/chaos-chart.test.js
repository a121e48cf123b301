import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, ceiling, labels, path, span, spoken, troubles } from "./chaos-chart.js";

test("the scale ends at a round number that is not below the line", () => {
  for (const [highest, top] of [
    [0, 5],
    [5, 5],
    [6, 10],
    [11, 20],
    [21, 50],
    [58, 100],
    [401, 500],
  ]) {
    assert.equal(ceiling(highest), top, String(highest));
  }
});

test("time ends at the last sample, and is a minute at least and five at most", () => {
  const samples = (...times) => times.map((at) => ({ at_ms: at }));
  assert.deepEqual(span([]), [-60_000, 0]);
  assert.deepEqual(span(samples(0, 10_000)), [-50_000, 10_000]);
  assert.deepEqual(span(samples(0, 120_000)), [0, 120_000]);
  assert.deepEqual(span(samples(0, 900_000)), [600_000, 900_000]);
});

test("a line is broken where a count is not known", () => {
  assert.equal(path([[0, 1], [1, 2], [2, null], [3, 4], [4, 5]]), "M0.0 1.0L1.0 2.0M3.0 4.0L4.0 5.0");
  assert.equal(path([]), "");
});

test("stretches of trouble end where it is over", () => {
  const samples = [..."..xx.x"].map((sign, second) => ({ at_ms: second * 1000, trouble: sign === "x" }));
  assert.deepEqual(troubles(samples), [[2000, 4000], [5000, 5000]]);
  assert.deepEqual(troubles([]), []);
});

test("labels do not stand on each other", () => {
  assert.deepEqual(labels(20, 200), [20, 200]);
  const [plain, exact] = labels(200, 204);
  assert.ok(exact - plain >= 18);
});

test("the chart is told in words", () => {
  assert.equal(spoken(undefined), "Nothing was measured yet.");
  const last = { exact_off: 0, plain_off: 58 };
  assert.equal(spoken(last), "Now: the counts of Antiphon are exact, those of “+1” messages are off by 58.");
  assert.match(spoken({ exact_off: null, plain_off: 1 }), /are unknown/);
  assert.deepEqual([0, 30_000, 240_000].map(ago), ["now", "30 s ago", "4 min ago"]);
});
