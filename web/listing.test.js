import assert from "node:assert/strict";
import { test } from "node:test";
import { Listing, newer, ThreadListing } from "./listing.js";

const comment = (id, more = {}) => ({ id, text: id, edited_at: null, deleted: false, hidden: false, ...more });
const page = (ids, next = null) => ({ items: [...ids].map((id) => comment(id)), next });
const shown = (listing) => listing.ids.join("");

function listingOf(order, ids, next = null) {
  const listing = new Listing(order);
  listing.head(page(ids, next), listing.ticket());
  return listing;
}

test("an own comment is there at once, first or last", () => {
  for (const [order, expected] of [
    ["newest", "xab"],
    ["oldest", "abx"],
  ]) {
    const listing = listingOf(order, "ab");
    listing.post(comment("x"));
    listing.post(comment("x"));
    assert.equal(shown(listing), expected);
  }
});

test("an answer asked for before a post does not take it away", () => {
  const listing = listingOf("newest", "ab");
  const ticket = listing.ticket();
  listing.post(comment("x"));
  assert.deepEqual(listing.head(page("ab"), ticket), ["x"]);
  assert.equal(shown(listing), "xab");
});

test("an own comment stays while answers lack it, and takes its place when they have it", () => {
  const listing = listingOf("newest", "ab");
  listing.post(comment("x"));
  assert.deepEqual(listing.head(page("cab"), listing.ticket()), ["x"]);
  assert.equal(shown(listing), "xcab");
  assert.deepEqual(listing.head(page("cxab"), listing.ticket()), []);
  assert.equal(shown(listing), "cxab");
});

test("what others deleted goes", () => {
  const listing = listingOf("newest", "abc");
  listing.head(page("ac"), listing.ticket());
  assert.equal(shown(listing), "ac");
});

test("pages behind the first stay when the first is asked for again", () => {
  const listing = listingOf("newest", "abc", "3");
  listing.more(page("def", "6"), "3", listing.ticket());
  listing.head(page("xyab", "2"), listing.ticket());
  assert.equal(shown(listing), "xyabcdef");
  assert.equal(listing.next, "6");
});

test("more news than fit into an answer begin the list anew, without a gap", () => {
  const listing = listingOf("newest", "abc", "3");
  listing.head(page("uvw", "9"), listing.ticket());
  assert.equal(shown(listing), "uvw");
  assert.equal(listing.next, "9");
});

test("an own comment at the end of an answer proves nothing about what follows", () => {
  const listing = listingOf("newest", "ab", "2");
  listing.post(comment("x"));
  listing.head(page("uvx", "3"), listing.ticket());
  assert.equal(shown(listing), "uvx");
  assert.equal(listing.next, "3");
});

test("oldest first, the end grows", () => {
  const listing = listingOf("oldest", "ab");
  listing.head(page("abc", "4"), listing.ticket());
  assert.equal(shown(listing), "abc");
  assert.equal(listing.next, "4");
});

test("a page twice lists nothing twice", () => {
  const listing = listingOf("oldest", "ab", "2");
  listing.more(page("cd"), "2", listing.ticket());
  listing.more(page("cde"), "2", listing.ticket());
  assert.equal(shown(listing), "abcde");
});

test("a deleted comment does not come back with a late answer", () => {
  const listing = listingOf("newest", "ab");
  const ticket = listing.ticket();
  listing.leave("a");
  listing.head(page("ab"), ticket);
  assert.equal(shown(listing), "b");
  listing.head(page("ab"), listing.ticket());
  assert.equal(shown(listing), "b", "nor with one from a replica that has not heard of it");
});

test("it comes back as a placeholder once somebody replied", () => {
  const listing = listingOf("newest", "ab");
  listing.leave("a");
  listing.head({ items: [comment("a", { deleted: true, text: null }), comment("b")], next: null }, listing.ticket());
  assert.equal(shown(listing), "ab");
  assert.equal(listing.items[0].deleted, true);
});

test("an edit is not undone by an answer asked for before", () => {
  const listing = listingOf("newest", "ab");
  const ticket = listing.ticket();
  listing.change(comment("a", { text: "new", edited_at: "2025-01-01T00:00:00.000Z" }));
  listing.head(page("ab"), ticket);
  assert.equal(listing.items[0].text, "new");
  listing.head(page("ab"), listing.ticket());
  assert.equal(listing.items[0].text, "new");
});

test("of two states of one comment, gone wins, then the later edit", () => {
  const [early, late] = ["2025-01-01T00:00:00.000Z", "2025-01-02T00:00:00.000Z"];
  const gone = comment("a", { deleted: true, text: null });
  assert.equal(newer(gone, comment("a")).deleted, true);
  assert.equal(newer(comment("a"), gone).deleted, true);
  const [one, two] = [comment("a", { text: "1", edited_at: early }), comment("a", { text: "2", edited_at: late })];
  assert.equal(newer(one, two).text, "2");
  assert.equal(newer(two, one).text, "2");
  assert.equal(newer(undefined, one), one);
});

/** A thread from its lines, `".b"` for a comment `b` one below. */
const thread = (ancestors, lines, next = null) => ({
  ancestors: [...ancestors].map((id) => comment(id)),
  above: null,
  items: lines.map((line) => ({ depth: line.length - 1, cut: false, comment: comment(line.at(-1)) })),
  next,
});
const deep = (listing) => listing.ids.map((id) => ".".repeat(listing.depth(id)) + id);

function threadOf(...told) {
  const listing = new ThreadListing();
  listing.thread(thread(...told), listing.ticket());
  return listing;
}

test("a thread is what the comment answers, the comment, and what is below it", () => {
  const listing = threadOf("ab", ["c", ".d", "..e", ".f"]);
  assert.deepEqual(deep(listing), ["a", "b", "c", ".d", "..e", ".f"]);
  assert.equal(listing.ancestors, 2);
});

test("an own reply stands below all that is below what it answers, until an answer tells its place", () => {
  const listing = threadOf("", ["a", ".b", "..c", ".d"]);
  listing.post(comment("x", { parent: "b" }));
  listing.post(comment("y", { parent: "a" }));
  listing.post(comment("z", { parent: "x" }));
  const own = ["a", ".b", "..c", "..x", "...z", ".d", ".y"];
  assert.deepEqual(deep(listing), own);
  const held = listing.thread(thread("", ["a", ".b", "..c", ".d"]), listing.ticket());
  assert.deepEqual([held, deep(listing)], [["x", "z", "y"], own], "an answer that lacks them takes none away");
  listing.thread(thread("", ["a", ".b", "..c", "..x", "..w", "...v", ".d"]), listing.ticket());
  assert.deepEqual(deep(listing), ["a", ".b", "..c", "..x", "...z", "..w", "...v", ".d", ".y"]);
});

test("pages of a thread go on where the one before ended, and stay when it is asked for again", () => {
  const listing = threadOf("", ["a", ".b"], "2");
  listing.page(thread("", ["..c", ".d"]), "2", listing.ticket());
  assert.deepEqual(deep(listing), ["a", ".b", "..c", ".d"]);
  listing.thread(thread("", ["a", ".b"], "2"), listing.ticket());
  assert.deepEqual(deep(listing), ["a", ".b", "..c", ".d"]);
  assert.equal(listing.next, null);
});

test("what is cut is cut until an answer says otherwise", () => {
  const listing = threadOf("", ["a", ".b"]);
  const cut = thread("", ["a", ".b"]);
  cut.items[1].cut = true;
  listing.thread(cut, listing.ticket());
  assert.deepEqual([listing.isCut("a"), listing.isCut("b")], [false, true]);
  listing.thread(thread("", ["a", ".b"]), listing.ticket());
  assert.equal(listing.isCut("b"), false);
});

test("what stands deeper than a page shows tells what it answers", () => {
  const listing = threadOf("", ["a", ".b", "..c", "...d", "....e", ".....f", "......g", ".......h", "........i"]);
  listing.post(comment("x", { parent: "g" }));
  listing.change(comment("h", { parent: "g" }));
  listing.change(comment("i", { parent: "lost" }));
  const indents = [..."afghix"].map((id) => listing.indent(id));
  const answered = [..."ghix"].map((id) => listing.answered(id)?.id ?? null);
  assert.deepEqual(indents, [0, 5, 6, 6, 6, 6]);
  assert.deepEqual(answered, [null, "g", null, "g"]);
});
