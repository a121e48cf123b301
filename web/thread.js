// The thread around one comment: what it answers, the comment, and all that is below it, in one list and one request.

import { call, withQuery } from "./api.js";
import { commentView, endUnlisted } from "./comment.js";
import { counts } from "./counts.js";
import { arrange, attribute, h } from "./dom.js";
import { ThreadListing } from "./listing.js";
import { tell } from "./notice.js";
import { redirect } from "./router.js";

const PAGE = 50;
/** What the server gives at once. */
const PAGE_MAX = 500;

/** It is for the section what a `commentList` is. `comment` is the id of the one that stands out. */
export function threadList({ comment: chosen, thread }) {
  /** What is asked for: the thread around the chosen comment, or the whole one from its top. */
  let around = chosen;
  let page = PAGE;
  let listing = new ThreadListing();
  let ended = false;
  const views = new Map();

  const up = h("button", { class: "link", type: "button", hidden: true, on: { click: goUp } }, "Earlier in this thread");
  const whole = h(
    "button",
    { class: "link", type: "button", hidden: true, on: { click: showWhole } },
    "Show the whole thread",
  );
  const list = h("ol", { class: "comment-list thread-list" });
  const more = h(
    "button",
    { class: "button wide", type: "button", hidden: true, on: { click: showMore } },
    "Show more",
  );
  const element = h("div", null, h("div", { class: "thread-links" }, up, whole), list, more);
  const self = { element, refresh, post, changed, end, inPlace: true, isCut: (id) => listing.isCut(id) };

  const get = (address) => call("GET", address, { auth: "optional", signal: thread.signal });
  const ask = (cursor, limit) => get(withQuery(`/v1/comments/${around}/thread`, { cursor, limit }));

  /** Loads the thread, or what changed in it. */
  async function refresh() {
    const into = listing;
    const ticket = into.ticket();
    const answer = await ask(null, Math.min(PAGE_MAX, Math.max(page, into.ids.length)));
    if (ended || into !== listing) return;
    const elsewhere = addressElsewhere(answer, chosen, thread.part);
    if (elsewhere !== null) return redirect(elsewhere);
    const first = !into.loaded;
    const held = into.thread(answer, ticket);
    render();
    if (first) showChosen();
    await Promise.all(held.map(askFor));
  }

  async function showMore() {
    more.disabled = true;
    const into = listing;
    const { next } = into;
    const ticket = into.ticket();
    try {
      const answer = await ask(next, page);
      if (!ended && into === listing) {
        into.page(answer, next, ticket);
        render();
      }
    } catch (problem) {
      tell(problem);
    }
    more.disabled = false;
  }

  async function showWhole() {
    const before = { around, page, listing };
    around = listing.ids[0];
    page = PAGE_MAX;
    listing = new ThreadListing();
    whole.disabled = true;
    try {
      await refresh();
      // The button is gone: for the keyboard, go on at the comment.
      views.get(chosen)?.element.querySelector("a, button")?.focus({ preventScroll: true });
    } catch (problem) {
      ({ around, page, listing } = before);
      tell(problem);
    }
    whole.disabled = false;
  }

  function goUp() {
    thread.choose({ comment: listing.above });
  }

  /** A comment that should be listed and is not: it may be deleted, or not known there yet. */
  async function askFor(id) {
    try {
      const comment = await get(`/v1/comments/${id}`);
      changed(comment, !comment.deleted || counts.join(comment.replies) > 0);
    } catch (problem) {
      if (problem.status !== 410) return;
      listing.leave(id);
      render();
    }
  }

  function post(comment) {
    // What is above the comment is a way, and has no room for other answers: those are in a thread of their own.
    if (listing.ids.indexOf(comment.parent) < listing.ancestors) return thread.choose({ comment: comment.id });
    listing.post(comment);
    render();
    views.get(comment.id)?.highlight();
  }

  function changed(comment, stays) {
    if (stays || comment.id === chosen) listing.change(comment);
    else listing.leave(comment.id);
    render();
  }

  function render() {
    const elements = listing.items.map((comment) => {
      // The first one looks as on the top level, and says which paragraph it is on.
      const level = comment.id === listing.ids[0] ? 0 : 1;
      if (views.has(comment.id)) views.get(comment.id).show(comment);
      else views.set(comment.id, commentView(comment, { thread, list: self, depth: level, mayOpen: false }));
      const { element: row, answers } = views.get(comment.id);
      answers(listing.answered(comment.id));
      row.style.setProperty("--indent", listing.indent(comment.id));
      attribute(row, "aria-level", listing.depth(comment.id) + 1);
      attribute(row, "aria-current", comment.id === chosen ? "true" : null);
      return row;
    });
    endUnlisted(views, listing.ids);
    arrange(list, elements);
    more.hidden = listing.next === null;
    up.hidden = listing.above === null;
    whole.hidden = listing.ancestors === 0;
  }

  function showChosen() {
    const row = views.get(chosen)?.element;
    if (row?.isConnected) row.scrollIntoView({ block: "center" });
  }

  function end() {
    ended = true;
    views.forEach((view) => view.end());
  }

  return self;
}

/** Where a comment of this answer is to be seen, if that is under another part than `part`; else null. */
export function addressElsewhere({ items }, id, part) {
  const found = items.find(({ comment }) => comment.id === id);
  return !found || found.comment.part === part ? null : `/parts/${found.comment.part}?comment=${id}#comments`;
}
