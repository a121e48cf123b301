// Lists of comments: a part's, one paragraph's, or the replies to one comment; and the section that holds them.

import { call, withQuery } from "./api.js";
import { commentView, endUnlisted } from "./comment.js";
import { composer } from "./composer.js";
import { counts } from "./counts.js";
import { arrange, h, setText } from "./dom.js";
import { excerpt } from "./format.js";
import { Listing } from "./listing.js";
import { sentence, tell } from "./notice.js";
import { threadList } from "./thread.js";

const PAGE = 20;
const PAGE_SHORT = 10;
const PAGE_MAX = 100;
/** So many comments of a list may open their replies by themselves. */
const OPEN_MAX = 12;

/** A list with its "Show more". `short` is for replies. */
export function commentList({ order, path, query = {}, thread, depth, short = false, empty = null }) {
  const page = short ? PAGE_SHORT : PAGE;
  const listing = new Listing(order);
  const views = new Map();
  let ended = false;
  const list = h("ol", { class: "comment-list" });
  const none = h("p", { class: "empty", hidden: true }, empty ?? "");
  const more = h(
    "button",
    { class: short ? "link" : "button wide", type: "button", hidden: true, on: { click: showMore } },
    "Show more",
  );
  const element = h("div", null, list, none, more);
  const self = { element, refresh, post, changed, repliesTo, end };

  const get = (address) => call("GET", address, { auth: "optional", signal: thread.signal });
  const ask = (cursor, limit) => get(withQuery(path, { ...query, order, cursor, limit }));

  /** Loads the list, or what changed in it. */
  async function refresh() {
    const ticket = listing.ticket();
    const answer = await ask(null, Math.min(PAGE_MAX, Math.max(page, listing.ids.length)));
    if (ended) return;
    if (answer.count) counts.join(answer.count);
    const held = listing.head(answer, ticket);
    render();
    // A list that is longer than one answer ends out of its sight.
    if (listing.next === null && listing.lastPage !== null && order === "oldest") await load(listing.lastPage);
    await Promise.all([...[...views.values()].map((view) => view.refresh()), ...held.map(askFor)]);
  }

  async function load(cursor) {
    const ticket = listing.ticket();
    listing.more(await ask(cursor, page), cursor, ticket);
    if (!ended) render();
  }

  async function showMore() {
    more.disabled = true;
    const lastBefore = list.lastElementChild;
    try {
      await load(listing.next);
      // For the keyboard: go on where the new ones begin.
      const next = lastBefore?.nextElementSibling;
      if (next && more.hidden) next.querySelector("button:not([hidden])")?.focus({ preventScroll: true });
    } catch (problem) {
      tell(problem);
    }
    more.disabled = false;
  }

  /** A comment that should be listed and is not: it may be deleted, or not known there yet. */
  async function askFor(id) {
    try {
      const comment = await get(`/v1/comments/${id}`);
      changed(comment, !comment.deleted || counts.join(comment.replies) > 0);
    } catch (problem) {
      if (problem.status === 410) changed({ id }, false);
    }
  }

  function repliesTo(id) {
    return commentList({ order: "oldest", path: `/v1/comments/${id}/replies`, thread, depth: depth + 1, short: true });
  }

  function post(comment) {
    listing.post(comment);
    render();
    views.get(comment.id)?.highlight();
  }

  function changed(comment, stays) {
    if (stays) listing.change(comment);
    else listing.leave(comment.id);
    render();
  }

  function render() {
    const first = views.size === 0;
    const elements = listing.items.map((comment, index) => {
      const view = views.get(comment.id);
      if (view) view.show(comment);
      else
        views.set(
          comment.id,
          commentView(comment, { thread, list: self, depth, mayOpen: first && depth === 0 && index < OPEN_MAX }),
        );
      return views.get(comment.id).element;
    });
    endUnlisted(views, listing.ids);
    arrange(list, elements);
    more.hidden = listing.next === null;
    none.hidden = empty === null || elements.length > 0;
  }

  function end() {
    ended = true;
    views.forEach((view) => view.end());
  }

  return self;
}

/** The page's section: heading with the exact count, the box, the switch, the list. */
export function commentsSection(thread) {
  let order = "newest";
  let paragraph = null;
  let only = null;
  let list = null;
  let unwatch = () => {};

  const heading = h("h2", null, "Comments");
  const switches = [
    ["newest", "Newest"],
    ["oldest", "Oldest"],
  ].map(([value, label]) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(value === order),
        "data-order": value,
        on: { click: () => turn(value) },
      },
      label,
    ),
  );
  const orderSwitch = h("div", { class: "switch", role: "group", "aria-label": "Order" }, switches);
  const quote = h("blockquote", { dir: "auto" });
  const all = h(
    "button",
    { class: "link", type: "button", on: { click: () => thread.choose({}) } },
    "All comments of this part",
  );
  const filter = h("div", { class: "filter", hidden: true }, quote, all);
  const box = composer({
    label: "Leave a comment",
    target: () => ({ part: thread.part, paragraph }),
    posted: (comment) => {
      if (only !== null) thread.choose({});
      list.post(comment);
    },
    signal: thread.signal,
  });
  const place = h("div", { class: "comment-place" });
  const element = h(
    "section",
    { id: "comments", class: "comments", "aria-label": "Comments" },
    h("div", { class: "comments-head" }, heading, orderSwitch),
    filter,
    box.element,
    place,
  );
  thread.signal.addEventListener("abort", () => {
    unwatch();
    list?.end();
  });

  function turn(value) {
    order = value;
    for (const button of switches) button.setAttribute("aria-pressed", String(button.dataset.order === order));
    open();
  }

  function open() {
    list?.end();
    unwatch();
    const about = paragraph === null ? "part" : "paragraph";
    list =
      only === null
        ? commentList({
            order,
            path: `/v1/parts/${thread.part}/comments`,
            query: { paragraph },
            thread,
            depth: 0,
            empty: `Nobody has commented on this ${about} yet. The first voice is yours.`,
          })
        : threadList({ comment: only, thread });
    place.replaceChildren(list.element);
    const group = paragraph === null ? `part:${thread.part}` : `paragraph:${thread.part}:${paragraph}`;
    unwatch = counts.watch(group, (number) =>
      setText(heading, number === 1 ? "1 comment" : `${number.toLocaleString()} comments`),
    );
    first();
  }

  async function first() {
    const opened = list;
    try {
      await opened.refresh();
    } catch (problem) {
      if (thread.signal.aborted || opened !== list) return;
      const again = h("button", { class: "button", type: "button", on: { click: open } }, "Try again");
      place.replaceChildren(h("div", { class: "empty" }, h("p", null, sentence(problem)), again));
    }
  }

  return {
    element,
    refresh: () => list?.refresh(),
    /** Shows the comments on one paragraph, the thread around one comment, or all. */
    show({ paragraph: wanted, comment }) {
      const told = wanted === null ? null : thread.paragraph(wanted);
      paragraph = told ? wanted : null;
      only = /^[0-9a-f]{32}$/.test(comment ?? "") ? comment : null;
      filter.hidden = paragraph === null && only === null;
      quote.hidden = paragraph === null;
      orderSwitch.hidden = only !== null;
      if (told) setText(quote, excerpt(told.text, 220));
      box.restore();
      open();
    },
  };
}
