// What this browser knows of every count: a replica like the others.
//
// Every answer that shows a count carries the tallies behind it. Here they are joined with all that was known, in this
// tab, in the others and before the last reload, so a count shown never returns to an older state, whichever server, or
// cache, the next answer comes from.

import { covers, joinTallies, talliesIn, total } from "./lattice.js";
import { local, readJson } from "./storage.js";

const PREFIX = "antiphon.count.";
/** About 300 bytes each; a browser grants some 5 MB. */
const GROUPS_MAX = 2000;
/** The time of use is only for choosing what to forget, so it is written rarely. */
const USED_STEP_MS = 3_600_000;

export class Counts {
  #storage;
  #groupsMax;
  #now;
  #known = new Map();
  #watchers = new Map();

  constructor(storage, { groupsMax = GROUPS_MAX, now = Date.now } = {}) {
    this.#storage = storage;
    this.#groupsMax = groupsMax;
    this.#now = now;
  }

  /** Joins a count from an answer, `{group, tallies}`, and returns the number to show. */
  join({ group, tallies }) {
    return this.#take(group, talliesIn(tallies));
  }

  /** Joins the count if it carries tallies; a bare number, which nothing can be joined with, is returned as it is. */
  joinOrNumber(count) {
    return typeof count === "object" && count !== null ? this.join(count) : Number(count) || 0;
  }

  /** The number to show for a group: 0 until something was heard of it. */
  value(group) {
    return total(this.#load(group));
  }

  /** Calls `changed(number)` now and whenever the group's number changes, until the function returned is called. */
  watch(group, changed) {
    if (!this.#watchers.has(group)) this.#watchers.set(group, new Set());
    this.#watchers.get(group).add(changed);
    changed(this.value(group));
    return () => {
      const watchers = this.#watchers.get(group);
      watchers?.delete(changed);
      if (watchers?.size === 0) this.#watchers.delete(group);
    };
  }

  /** For the window's `storage` event: another tab learned something, or forgot what it should not have. */
  heard({ key, newValue }) {
    if (!key?.startsWith(PREFIX) || newValue === null) return;
    const group = key.slice(PREFIX.length);
    const known = this.#load(group);
    const told = parse(newValue);
    this.#take(group, told);
    // Two tabs can write at once, and the later write then hides the other's. Whoever still knows more says it again.
    if (!covers(told, known)) this.#save(group, this.#known.get(group));
  }

  #take(group, told) {
    const known = this.#load(group);
    if (covers(known, told)) {
      this.#touch(group);
      return total(known);
    }
    const joined = joinTallies(known, told);
    this.#remember(group, joined);
    this.#save(group, joined);
    const number = total(joined);
    if (number !== total(known)) this.#watchers.get(group)?.forEach((changed) => changed(number));
    return number;
  }

  #load(group) {
    const known = this.#known.get(group) ?? parse(this.#read(group));
    this.#remember(group, known);
    return known;
  }

  /** The map's order is the order of use; what the page shows is never forgotten. */
  #remember(group, tallies) {
    this.#known.delete(group);
    this.#known.set(group, tallies);
    if (this.#known.size <= this.#groupsMax) return;
    for (const other of this.#known.keys()) {
      if (other !== group && !this.#watchers.has(other)) {
        this.#known.delete(other);
        return;
      }
    }
  }

  #read(group) {
    try {
      return this.#storage.getItem(PREFIX + group);
    } catch {
      return null;
    }
  }

  #save(group, tallies) {
    if (Object.keys(tallies).length === 0) return;
    const before = this.#read(group);
    const kept = joinTallies(parse(before), tallies);
    const row = JSON.stringify({ used: this.#now(), tallies: kept });
    if (before === null) this.#makeRoom(this.#groupsMax - 1);
    for (const groupsKept of [this.#groupsMax, this.#groupsMax >> 1, 0]) {
      try {
        this.#storage.setItem(PREFIX + group, row);
        return;
      } catch {
        // The browser grants less than we hoped for: halve what is kept, then give up and know it in memory only.
        this.#makeRoom(groupsKept >> 1);
      }
    }
  }

  #touch(group) {
    const row = readJson(this.#storage, PREFIX + group);
    if (row !== null && this.#now() - (row.used ?? 0) > USED_STEP_MS) this.#save(group, this.#known.get(group));
  }

  /** Forgets the least recently used groups until at most so many are stored. */
  #makeRoom(groupsKept) {
    const keys = [];
    for (let index = 0; index < this.#storage.length; index += 1) {
      const key = this.#storage.key(index);
      if (key?.startsWith(PREFIX)) keys.push(key);
    }
    if (keys.length <= groupsKept) return;
    const used = new Map(keys.map((key) => [key, readJson(this.#storage, key)?.used ?? 0]));
    keys.sort((a, b) => used.get(a) - used.get(b));
    // A tenth more than needed, so that a full store is not sorted for every new group.
    const spare = groupsKept - Math.floor(groupsKept / 10);
    for (const key of keys.slice(0, keys.length - spare)) this.#storage.removeItem(key);
  }
}

function parse(row) {
  if (row === null) return {};
  try {
    return talliesIn(JSON.parse(row)?.tallies);
  } catch {
    return {};
  }
}

export const counts = new Counts(local);
globalThis.window?.addEventListener("storage", (event) => counts.heard(event));
