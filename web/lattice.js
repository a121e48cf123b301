// The part of the algebra that a browser needs: tallies, and their join.
//
// It is the same rule as in `crates/lattice/src/tally.rs`. The greater epoch (generation, then owner) wins whole;
// within an epoch each number takes its maximum. A group's tallies are joined replica by replica, and its count is the sum of
// added − removed, never below 0. Everything here is pure: nothing is changed in place, nothing is read from outside.

const ID = /^[0-9a-f]{32}$/;

/** Negative, zero or positive, as `a` is before, at or after `b`. Owners are hex, so text order is byte order. */
export function compareEpochs(a, b) {
  if (a.generation !== b.generation) return a.generation < b.generation ? -1 : 1;
  if (a.owner !== b.owner) return a.owner < b.owner ? -1 : 1;
  return 0;
}

/** The least tally that covers both. */
export function joinTally(a, b) {
  const order = compareEpochs(a.epoch, b.epoch);
  if (order !== 0) return order > 0 ? a : b;
  return { epoch: a.epoch, added: Math.max(a.added, b.added), removed: Math.max(a.removed, b.removed) };
}

export function sameTally(a, b) {
  return compareEpochs(a.epoch, b.epoch) === 0 && a.added === b.added && a.removed === b.removed;
}

/** The join of two groups' tallies. A replica that one of them has not heard of is taken from the other. */
export function joinTallies(a, b) {
  const joined = { ...a };
  for (const [replica, tally] of Object.entries(b)) {
    joined[replica] = Object.hasOwn(joined, replica) ? joinTally(joined[replica], tally) : tally;
  }
  return joined;
}

/** Whether joining `b` into `a` would change nothing. */
export function covers(a, b) {
  return Object.entries(b).every(
    ([replica, tally]) => Object.hasOwn(a, replica) && sameTally(joinTally(a[replica], tally), a[replica]),
  );
}

/** The count of a group. */
export function total(tallies) {
  return Object.values(tallies).reduce((sum, tally) => sum + Math.max(0, tally.added - tally.removed), 0);
}

/**
 * The tallies that a value of unknown origin holds; what is not a tally is left out.
 *
 * Storage can hold what an older page, or a person, wrote there. One bad number would poison the maximum for ever, so
 * nothing enters a join without passing here.
 */
export function talliesIn(value) {
  const found = {};
  if (typeof value !== "object" || value === null) return found;
  for (const [replica, tally] of Object.entries(value)) {
    if (ID.test(replica) && isTally(tally)) {
      const { generation, owner } = tally.epoch;
      found[replica] = { epoch: { generation, owner }, added: tally.added, removed: tally.removed };
    }
  }
  return found;
}

function isTally(value) {
  return (
    isNumber(value?.added) &&
    isNumber(value.removed) &&
    isNumber(value.epoch?.generation) &&
    typeof value.epoch.owner === "string" &&
    ID.test(value.epoch.owner)
  );
}

function isNumber(value) {
  // Above 2⁵³ numbers are rounded, all in the same direction, so the maximum stays one.
  return Number.isInteger(value) && value >= 0;
}
