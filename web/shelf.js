// The reader's library: the button that puts a story on its shelf, and the page that shows them.
//
// Users keeps the shelf and knows nothing of stories; Stories knows the titles and nothing of shelves. This page is
// where the two meet, so it shows the shelf while Stories is away, and a story that Stories does not know.

import { needAccount } from "./account.js";
import { call } from "./api.js";
import { arrange, attribute, h, setText } from "./dom.js";
import { counted } from "./format.js";
import { icon } from "./icons.js";
import { tell } from "./notice.js";
import { person } from "./people.js";
import { poll } from "./poll.js";
import { reload } from "./router.js";
import { session } from "./session.js";

/** Stories shown before "Show more": each costs a request. */
const PAGE = 20;
/** Requests for titles at a time. */
const TITLES_AT_A_TIME = 4;

const shelf = () => `/v1/users/${session.user.id}/shelf`;

/**
 * Whether one story is on the shelf, and changing it: `show(on)` hears it now, at once when the reader changes it, and
 * again where that failed.
 */
export function keeper(story, show, first = false) {
  let on = first;
  let changes = 0;
  let sending = false;

  function set(wanted) {
    on = wanted;
    show(on);
  }

  /** Takes an answer that was asked for now, unless the reader changed something since. */
  function listener() {
    const [before, me] = [changes, session.user?.id];
    return (told) => {
      if (before === changes && me === session.user?.id && told !== on) set(told);
    };
  }

  async function refresh(signal) {
    const hear = listener();
    if (session.user) hear((await call("GET", `${shelf()}/${story}`, { auth: "required", signal })).on_shelf);
    else hear(false);
  }

  async function turn() {
    if (sending) return;
    sending = true;
    const wanted = !on;
    try {
      if ((await needAccount()) === null) return;
      changes += 1;
      set(wanted);
      const method = wanted ? "PUT" : "DELETE";
      set((await call(method, `${shelf()}/${story}`, { auth: "required" })).on_shelf);
    } catch (problem) {
      if (on === wanted) set(!wanted);
      throw problem;
    } finally {
      changes += 1;
      sending = false;
    }
  }

  show(on);
  return { listener, refresh, turn };
}

/** The button of a story's page. Until the shelf answers it offers to add, which is harmless twice. */
export function shelfButton(story, signal) {
  const label = h("span", null);
  const element = h(
    "button",
    { class: "button shelf-button", type: "button", on: { click: () => keep.turn().catch(tell) } },
    icon("bookmark"),
    label,
  );
  const keep = keeper(story, (on) => {
    setText(label, on ? "In your library" : "Add to library");
    attribute(element, "title", on ? "Take it out of your library" : null);
    attribute(element, "data-on", on);
  });
  // A shelf that does not answer keeps nobody from reading.
  const refresh = () => keep.refresh(signal).catch(() => {});
  session.addEventListener("change", refresh, { signal });
  refresh();
  return element;
}

export async function shelfPage({ signal }) {
  const me = session.user?.id;
  session.addEventListener("change", () => me !== session.user?.id && reload(), { signal });
  const title = "Your library";
  if (me === undefined) return { title, element: nobodys(title) };

  const rows = new Map();
  const stories = new Map();
  let ids = [];
  let shownMax = PAGE;
  const list = h("ul", { class: "cards" });
  const none = h("p", { class: "empty" }, "Nothing here yet. The page of a story has a button that puts it here.");
  const more = h("button", { class: "button wide", type: "button", on: { click: showMore } }, "Show more");
  const element = h("div", { class: "narrow" }, h("h1", null, title), list, none, more);

  function show() {
    const shown = ids.slice(0, shownMax);
    for (const id of shown) if (!rows.has(id)) rows.set(id, shelfRow(id));
    arrange(
      list,
      shown.map((id) => rows.get(id).element),
    );
    none.hidden = ids.length > 0;
    more.hidden = ids.length <= shownMax;
    return shown;
  }

  async function refresh() {
    const listeners = [...rows].map(([id, row]) => [id, row.listener()]);
    const { items } = await call("GET", shelf(), { auth: "required", signal });
    const told = items.map(({ story }) => story);
    ids = merged(ids, told, rows);
    const there = new Set(told);
    for (const [id, hear] of listeners) hear(there.has(id));
    return show();
  }

  /** Asks for what is not known yet, and again for what could not be answered. */
  function askTitles(shown) {
    const wanted = shown.filter((id) => stories.get(id)?.settled !== true);
    return inTurns(wanted, TITLES_AT_A_TIME, async (id) => {
      stories.set(id, { settled: true });
      const answer = await storyOf(id, signal);
      if (signal.aborted) return;
      stories.set(id, answer);
      rows.get(id).show(answer);
    });
  }

  function showMore() {
    const from = shownMax;
    shownMax += PAGE;
    askTitles(show());
    list.children[from]?.querySelector("a, button")?.focus();
  }

  askTitles(await refresh());
  poll(async () => askTitles(await refresh()), signal);
  return { title, element };
}

/**
 * What to show after the shelf answered: what is new there first, then what was shown. What has been taken off since
 * stays in its place until the page is left, so that it can be put back.
 */
export function merged(ids, told, shown) {
  const there = new Set(told);
  const known = new Set(ids);
  return [...told.filter((id) => !known.has(id)), ...ids.filter((id) => there.has(id) || shown.has(id))];
}

/** Runs `work` on each item, at most so many at a time. */
export async function inTurns(items, atATime, work) {
  const rest = items.values();
  async function worker() {
    for (const item of rest) await work(item);
  }
  await Promise.all(Array.from({ length: atATime }, worker));
}

/**
 * What Stories says of a story: `{story, settled}`, without a story where there is none to show; `settled` is false where
 * it is worth asking again.
 */
export async function storyOf(id, signal) {
  try {
    return { story: await call("GET", `/v1/stories/${id}`, { signal }), settled: true };
  } catch (problem) {
    return { story: null, settled: problem.status === 404 || problem.status === 410 };
  }
}

function shelfRow(id) {
  const title = h("span", { class: "card-title", id: `story-${id}`, dir: "auto" }, "…");
  const foot = h("span", { class: "card-foot" });
  const link = h("a", { class: "card", href: `/stories/${id}` }, title, foot);
  const label = h("span", null);
  // Many buttons of one name: the title tells whose each is.
  const button = h(
    "button",
    {
      class: "link shelf-turn",
      type: "button",
      "aria-describedby": `story-${id}`,
      on: { click: () => keep.turn().catch(tell) },
    },
    label,
  );
  const element = h("li", { class: "shelf-row" }, link, button);
  let author = null;

  const keep = keeper(
    id,
    (on) => {
      setText(label, on ? "Take off" : "Put back");
      attribute(element, "data-off", !on);
    },
    true,
  );

  function show({ story, settled }) {
    if (story === null) {
      setText(title, settled ? "A story that is not here" : "A story whose title cannot be shown now");
      setText(foot, settled ? "It may have been taken down, or has not arrived yet." : "It will be asked for again.");
    } else {
      setText(title, story.title);
      author ??= person(story.author, "small");
      author.show(story.author);
      foot.replaceChildren(author.element, h("span", null, counted(story.parts.length, "part", "parts")));
    }
    attribute(link, "href", story === null && settled ? null : `/stories/${id}`);
  }
  return { element, show, listener: keep.listener };
}

function nobodys(title) {
  const enter = h("button", { class: "button primary", type: "button", on: { click: needAccount } }, "Choose a name");
  return h(
    "div",
    { class: "message" },
    h("h1", null, title),
    h("p", null, "It keeps the stories that you want to come back to. It is yours alone, and needs a name."),
    h("p", null, enter),
  );
}
