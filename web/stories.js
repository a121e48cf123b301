// The front page with all stories, and the page of one story with its parts.

import { needAccount } from "./account.js";
import { Action } from "./action.js";
import { call, withQuery } from "./api.js";
import { counts } from "./counts.js";
import { ask } from "./dialog.js";
import { arrange, h, setText } from "./dom.js";
import { editor } from "./editor.js";
import { date, exactTime } from "./format.js";
import { icon } from "./icons.js";
import { behind, oneByOne, stepped, upAndDown } from "./moving.js";
import { tell } from "./notice.js";
import { person } from "./people.js";
import { poll } from "./poll.js";
import { navigate } from "./router.js";
import { session } from "./session.js";
import { shelfButton } from "./shelf.js";
import { readStatistic, statistic } from "./statistic.js";

const PAGE = 20;
const TITLE_MAX = 200;

export async function frontPage({ signal }) {
  const load = (cursor) => call("GET", withQuery("/v1/stories", { limit: PAGE, cursor }), { signal });
  const rows = new Map();
  let ids = [];
  let next = null;

  const list = h("ul", { class: "cards" });
  const none = h("p", { class: "empty" }, "No story yet. Yours could be the first.");
  const more = h("button", { class: "button wide", type: "button", on: { click: showMore } }, "Show more");
  const write = h(
    "button",
    { class: "button primary", type: "button", on: { click: writeStory } },
    icon("plus"),
    "Write a story",
  );
  const element = h(
    "div",
    { class: "narrow" },
    h("div", { class: "page-head" }, h("h1", null, "Stories"), write),
    list,
    none,
    more,
  );

  function show() {
    arrange(
      list,
      ids.map((id) => rows.get(id).element),
    );
    none.hidden = ids.length > 0;
    more.hidden = next === null;
  }

  function take(items) {
    for (const story of items) {
      if (rows.has(story.id)) rows.get(story.id).show(story);
      else rows.set(story.id, storyCard(story));
    }
    return items.map(({ id }) => id);
  }

  async function refresh() {
    const answer = await load(null);
    const told = take(answer.items);
    const listed = new Set(told);
    const at = ids.indexOf(told.at(-1));
    if (at === -1 || answer.next === null) {
      ids = told;
      next = answer.next;
    } else {
      ids = [...told, ...ids.slice(at + 1).filter((id) => !listed.has(id))];
    }
    show();
  }

  async function showMore() {
    try {
      const answer = await load(next);
      ids = [...new Set([...ids, ...take(answer.items)])];
      next = answer.next;
      show();
    } catch (problem) {
      tell(problem);
    }
  }

  await refresh();
  poll(refresh, signal);
  session.addEventListener("change", () => rows.forEach((row) => row.again()), { signal });
  return { title: null, element };
}

function storyCard(first) {
  let story = first;
  const title = h("span", { class: "card-title", dir: "auto" });
  const author = person(story.author, "small");
  const time = h("time", { datetime: story.created_at, title: exactTime(story.created_at) }, date(story.created_at));
  const link = h(
    "a",
    { class: "card", href: `/stories/${story.id}` },
    title,
    h("span", { class: "card-foot" }, author.element, time),
  );
  const element = h("li", null, link);
  function show(told) {
    story = told;
    setText(title, story.title);
    author.show(story.author);
  }
  show(story);
  return { element, show, again: () => show(story) };
}

async function writeStory() {
  if ((await needAccount()) === null) return;
  const action = new Action("story");
  const title = h("input", { name: "title", required: true, maxlength: TITLE_MAX, dir: "auto" });
  await ask({
    title: "A new story",
    action: "Begin",
    fields: [{ label: "Title", element: title }],
    send: async (data) => {
      const body = { title: data.get("title").trim() };
      const story = await call("POST", "/v1/stories", { body, key: action.key(body), auth: "required" });
      action.done();
      navigate(`/stories/${story.id}`);
    },
  });
}

export async function storyPage({ id, signal }) {
  const load = () => call("GET", `/v1/stories/${id}`, { signal });
  let story = await load();
  const rows = new Map();
  const moves = oneByOne();
  let asked = 0;

  const title = h("h1", { dir: "auto" });
  const author = person(story.author, "medium");
  const time = h("time", { datetime: story.created_at, title: exactTime(story.created_at) }, date(story.created_at));
  const add = h(
    "button",
    { class: "button primary", type: "button", on: { click: addPart } },
    icon("plus"),
    "Add a part",
  );
  const list = h("ol", { class: "cards" });
  const moved = h("p", { class: "unseen", role: "status" });
  const none = h("p", { class: "empty" });
  const element = h(
    "div",
    { class: "narrow" },
    h("p", { class: "crumb" }, h("a", { href: "/" }, "Stories")),
    h("div", { class: "page-head" }, title, add),
    h("p", { class: "byline" }, author.element, time, shelfButton(id, signal)),
    list,
    moved,
    none,
  );

  function show() {
    setText(title, story.title);
    author.show(story.author);
    const mine = session.isMe(story.author);
    add.hidden = !mine;
    setText(none, mine ? "Your story has no parts yet." : "This story has no parts yet.");
    none.hidden = story.parts.length > 0;
    const elements = story.parts.map((part, index) => {
      if (!rows.has(part.id)) rows.set(part.id, partCard(part, (step) => move(part.id, step), signal));
      rows.get(part.id).show(part, { mine, first: index === 0, last: index === story.parts.length - 1 });
      return rows.get(part.id).element;
    });
    arrange(list, elements);
  }

  async function refresh() {
    asked += 1;
    const mine = asked;
    const told = await load();
    // An answer that was asked for before the last move shows an order that is no more.
    if (mine === asked && moves.waiting === 0) take(told);
  }

  function take(told) {
    story = told;
    show();
  }

  /** Shown at once; the server is told in the order of the clicks, and what it says in the end is shown. */
  async function move(part, step) {
    const order = stepped(
      story.parts.map((one) => one.id),
      part,
      step,
    );
    if (order === null) return;
    const byId = new Map(story.parts.map((one) => [one.id, one]));
    asked += 1;
    take({ ...story, parts: order.map((one) => byId.get(one)) });
    moved.textContent = `“${byId.get(part).title}” is part ${order.indexOf(part) + 1} of ${order.length}`;
    const body = { behind: behind(order, part) };
    try {
      const told = await moves.run(() => call("PUT", `/v1/parts/${part}/place`, { body, auth: "required" }));
      // What was asked for meanwhile may have been read before the move.
      asked += 1;
      if (moves.waiting === 0) take(told);
    } catch (problem) {
      tell(problem);
      refresh().catch(() => {});
    }
  }

  function addPart() {
    const action = new Action(`part.${id}`);
    const form = editor({ action: "Publish", send, cancelled: () => form.element.replaceWith(add) });
    add.replaceWith(form.element);
    form.focus();

    async function send({ title: name, paragraphs }) {
      const body = { title: name, paragraphs: paragraphs.map(({ text }) => text) };
      const part = await call("POST", `/v1/stories/${id}/parts`, { body, key: action.key(body), auth: "required" });
      action.done();
      navigate(`/parts/${part.id}`);
    }
  }

  show();
  poll(refresh, signal);
  session.addEventListener("change", show, { signal });
  return { title: story.title, element };
}

function partCard(first, move, signal) {
  const title = h("span", { class: "card-title", dir: "auto" });
  const reads = readStatistic(h("span", { role: "img" }));
  const votes = statistic("star", "Vote", "Votes", h("span", { role: "img" }));
  const comments = statistic("bubble", "Comment", "Comments", h("span", { role: "img" }));
  const time = h("time", { datetime: first.created_at, title: exactTime(first.created_at) }, date(first.created_at));
  const row = h("span", { class: "card-foot" }, reads.element, votes.element, comments.element, time);
  const arrows = upAndDown(move);
  const tools = h("span", { class: "card-tools" }, arrows.elements);
  const element = h("li", { class: "part-row" }, h("a", { class: "card", href: `/parts/${first.id}` }, title, row), tools);
  if (typeof first.counts.votes === "object")
    signal.addEventListener("abort", counts.watch(`votes:${first.id}`, votes.show));
  if (typeof first.counts.comments === "object")
    signal.addEventListener("abort", counts.watch(`part:${first.id}`, comments.show));

  function show(part, { mine, ...ends }) {
    setText(title, part.title);
    tools.hidden = !mine || (ends.first && ends.last);
    arrows.show(`“${part.title}”`, ends);
    reads.show(part.counts);
    // A count with its tallies is joined with what is known; a bare number can only be shown.
    votes.show(counts.joinOrNumber(part.counts.votes));
    comments.show(counts.joinOrNumber(part.counts.comments));
  }
  return { element, show };
}
