// The page of a part: its head with the three counts, its text, its comments.

import { needAccount } from "./account.js";
import { Action } from "./action.js";
import { call } from "./api.js";
import { commentsSection } from "./comments.js";
import { counts } from "./counts.js";
import { ask } from "./dialog.js";
import { arrange, attribute, h, setText } from "./dom.js";
import { editor } from "./editor.js";
import { abbreviated, counted, date, exactTime } from "./format.js";
import { icon } from "./icons.js";
import { menu } from "./menu.js";
import { notice, tell } from "./notice.js";
import { person } from "./people.js";
import { poll } from "./poll.js";
import { readerName } from "./reader.js";
import { navigate, setQuery } from "./router.js";
import { session } from "./session.js";
import { readStatistic, statistic } from "./statistic.js";
import { Memory } from "./storage.js";

/** Who leaves sooner has not read. */
const READ_AFTER_MS = 1_000;

export async function partPage({ id, query, signal }) {
  const load = () => call("GET", `/v1/parts/${id}`, { auth: "optional", signal });
  let part = await load();
  let asked = 0;
  let changes = 0;

  const thread = {
    part: id,
    signal,
    isModerator: () => session.isMe(part.author),
    paragraph: (wanted) => part.paragraphs.find((paragraph) => paragraph.id === wanted) ?? null,
    choose,
  };
  const head = partHead(part, { vote, menuItems, signal });
  const text = partText({ part: id, choose, signal });
  const foot = partFoot(vote);
  const comments = commentsSection(thread);
  const body = h("div", null, text.element, foot.element, comments.element);
  const element = h("article", { class: "part" }, head.element, body);

  function show(told) {
    part = told;
    head.show(part);
    text.show(part);
    foot.show(part);
  }

  async function refresh() {
    const before = changes;
    asked += 1;
    const mine = asked;
    const told = await load();
    // An answer that was asked for before the reader's last change knows nothing of it, but its counts are good.
    joinCounts(told);
    if (before === changes && mine === asked) show(told);
  }

  async function vote() {
    if ((await needAccount()) === null) return;
    const voted = !part.voted;
    changes += 1;
    show({ ...part, voted });
    try {
      const answer = await call(voted ? "PUT" : "DELETE", `/v1/parts/${id}/vote`, { auth: "required" });
      counts.join(answer.votes);
      show({ ...part, voted: answer.voted });
    } catch (problem) {
      show({ ...part, voted: !voted });
      tell(problem);
    }
    changes += 1;
  }

  /** Shows the comments on one paragraph, one comment, or with `{}` all. */
  function choose({ paragraph = null, comment = null }) {
    setQuery({ paragraph, comment });
    comments.show({ paragraph, comment });
    comments.element.scrollIntoView({ behavior: "smooth" });
  }

  function menuItems() {
    if (!session.isMe(part.author)) return [];
    return [
      { label: "Edit", run: edit },
      { label: "Take down", danger: true, run: takeDown },
    ];
  }

  function edit() {
    const save = saver(id);
    const form = editor({ title: part.title, paragraphs: part.paragraphs, action: "Save", send, cancelled: close });
    body.replaceWith(form.element);
    head.element.hidden = true;
    form.focus();

    async function send(change) {
      changes += 1;
      const told = await save(change);
      changes += 1;
      if (told.gone) return leave();
      show(told);
      close();
    }

    function close() {
      head.element.hidden = false;
      form.element.replaceWith(body);
    }
  }

  function takeDown() {
    return ask({
      title: "Take this part down?",
      text: "Its text, its votes and its comments can no longer be seen. It cannot be brought back.",
      action: "Take down",
      danger: true,
      send: async () => {
        await call("DELETE", `/v1/parts/${id}`, { auth: "required" });
        leave();
      },
    });
  }

  function leave() {
    notice("The part was taken down.");
    navigate(`/stories/${part.story.id}`);
  }

  joinCounts(part);
  show(part);
  comments.show({ paragraph: query.get("paragraph"), comment: query.get("comment") });
  countRead(id, signal);
  let me = session.user?.id;
  session.addEventListener(
    "change",
    () => {
      show(part);
      // What may be done here, and whether one voted, depends on who one is.
      if (me !== session.user?.id) refresh().catch(() => {});
      me = session.user?.id;
      comments.refresh()?.catch(() => {});
    },
    { signal },
  );
  poll(() => Promise.all([refresh(), comments.refresh()]), signal);
  return { title: `${part.title} · ${part.story.title}`, element };
}

/**
 * Stores what an editor of this part made, and answers the part. One for each time that the editor is opened, which its
 * keys do not outlive: the same text saved after other changes is to undo them, and is no repetition.
 */
export function saver(id) {
  const action = new Action(`edit.${id}`, new Memory());
  return async (change) => {
    const part = await call("PATCH", `/v1/parts/${id}`, { body: change, key: action.key(change), auth: "required" });
    action.done();
    return part;
  };
}

function joinCounts(part) {
  counts.join(part.counts.votes);
  counts.join(part.counts.comments);
  part.paragraphs.forEach(({ comments }) => counts.join(comments));
}

/** Once for each time that the page is opened and looked at. */
function countRead(id, signal) {
  const timer = setInterval(() => {
    if (document.hidden) return;
    clearInterval(timer);
    // Who has an account is known by it wherever they read, and everybody else by this browser.
    const body = { reader: readerName() };
    call("POST", `/v1/parts/${id}/reads`, { body, auth: "optional", signal }).catch(() => {});
  }, READ_AFTER_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function partHead(part, { vote, menuItems, signal }) {
  const story = h("a", { href: `/stories/${part.story.id}`, dir: "auto" });
  const title = h("h1", { dir: "auto" });
  const reads = readStatistic();
  const votes = statistic("star", "Vote", "Votes", h("button", { type: "button", on: { click: vote } }));
  const comments = statistic("bubble", "Comment", "Comments", h("a", { href: "#comments" }));
  const author = person(part.author, "medium");
  const time = h("time", { datetime: part.created_at, title: exactTime(part.created_at) }, date(part.created_at));
  const actions = menu("More about this part", menuItems);
  const element = h(
    "header",
    { class: "part-head" },
    h("p", { class: "crumb" }, story),
    title,
    h("div", { class: "statistics" }, reads.element, votes.element, comments.element),
    h("p", { class: "byline" }, author.element, time, actions.element),
  );
  watched(`votes:${part.id}`, votes.show, signal);
  watched(`part:${part.id}`, comments.show, signal);

  function show(told) {
    setText(story, told.story.title);
    setText(title, told.title);
    reads.show(told.counts);
    attribute(votes.element, "aria-pressed", String(told.voted === true));
    author.show(told.author);
    actions.update();
  }
  return { element, show };
}

function watched(group, show, signal) {
  signal.addEventListener("abort", counts.watch(group, show));
}

function partText({ part, choose, signal }) {
  const views = new Map();
  const element = h("div", { class: "prose" });

  function view(paragraph) {
    const text = h("span", null);
    const number = h("span", null);
    const bubble = h(
      "button",
      { class: "paragraph-bubble", type: "button", on: { click: () => choose({ paragraph: paragraph.id }) } },
      icon("bubble"),
      number,
    );
    watched(
      `paragraph:${part}:${paragraph.id}`,
      (count) => {
        setText(number, count === 0 ? "+" : abbreviated(count));
        const label = count === 0 ? "Comment on this paragraph" : counted(count, "Comment", "Comments");
        attribute(bubble, "aria-label", label);
        attribute(bubble, "data-tip", label);
        attribute(bubble, "data-none", count === 0);
      },
      signal,
    );
    return { element: h("p", { class: "paragraph", dir: "auto" }, text, bubble), text };
  }

  function show(told) {
    const elements = told.paragraphs.map((paragraph) => {
      if (!views.has(paragraph.id)) views.set(paragraph.id, view(paragraph));
      const shown = views.get(paragraph.id);
      setText(shown.text, paragraph.text);
      return shown.element;
    });
    arrange(element, elements);
  }
  return { element, show };
}

function partFoot(vote) {
  const star = h("button", { class: "button vote", type: "button", on: { click: vote } });
  const label = h("span", null);
  star.append(icon("star"), label);
  const previous = h("a", { class: "button" }, icon("left"), "Previous part");
  const next = h("a", { class: "button primary" }, "Next part", icon("right"));
  const element = h("nav", { class: "part-foot", "aria-label": "Parts" }, previous, star, next);

  function show({ voted, previous: before, next: after }) {
    setText(label, voted ? "Voted" : "Vote");
    attribute(star, "aria-pressed", String(voted === true));
    for (const [link, id] of [
      [previous, before],
      [next, after],
    ]) {
      link.hidden = id === null;
      attribute(link, "href", id === null ? null : `/parts/${id}`);
    }
  }
  return { element, show };
}
