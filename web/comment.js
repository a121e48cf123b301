// One comment: who, when, what, its menu, and the replies below it.

import { call } from "./api.js";
import { composer } from "./composer.js";
import { counts } from "./counts.js";
import { ask } from "./dialog.js";
import { attribute, h, setText } from "./dom.js";
import { abbreviated, counted, dateTime, exactTime, excerpt } from "./format.js";
import { menu } from "./menu.js";
import { tell } from "./notice.js";
import { avatar, personName } from "./people.js";
import { session } from "./session.js";

/** Few replies are shown without asking. */
const REPLIES_OPEN_MAX = 3;
/** A text longer than this is shown in part, until the reader asks for the rest. */
const TEXT_SHOWN = 900;
const LINES_SHOWN = 12;

/**
 * `thread` is what all comments of the page share: `{part, isModerator(), paragraph(id), choose(what), signal}`.
 * `list` is the list that it stands in, which is told of changes and can make the list of replies to a comment. Where
 * it is `inPlace`, it lists the replies itself.
 */
export function commentView(first, { thread, list, depth, mayOpen }) {
  const { id } = first;
  const group = `replies:${id}`;
  let comment = first;
  let replies = null;
  let replyBox = null;
  let editBox = null;
  let whole = false;

  const picture = avatar(comment.author, depth === 0 ? "medium" : "small");
  const name = personName(comment.author);
  const link = h(
    "a",
    { href: `/parts/${thread.part}?comment=${id}#comments`, on: { click: onLink } },
    dateTime(comment.posted_at),
  );
  const time = h("time", { datetime: comment.posted_at, title: exactTime(comment.posted_at) }, link);
  const edited = h("span", { class: "quiet" });
  const answeredName = personName(null);
  const answered = h("span", { class: "quiet", hidden: true }, "answering ", answeredName.element);
  const place = h("button", {
    class: "place",
    type: "button",
    hidden: true,
    on: { click: () => thread.choose({ paragraph: comment.paragraph }) },
  });
  const actions = menu("More about this comment", menuItems);
  const text = h("p", { class: "text", dir: "auto" });
  const rest = h("button", { class: "link", type: "button", hidden: true, on: { click: showWhole } }, "Read more");
  const reply = h("button", { class: "link", type: "button", on: { click: openReply } }, "Reply");
  const toggle = h("button", {
    class: "link replies-toggle",
    type: "button",
    "aria-expanded": "false",
    on: { click: toggleReplies },
  });
  const below = h("div", { class: "replies" });
  const content = h("div", { class: "comment-content" }, text, rest);
  const element = h(
    "li",
    { class: "comment", id: `comment-${id}`, "data-depth": Math.min(depth, 3) },
    picture.element,
    h(
      "div",
      { class: "comment-body" },
      h("div", { class: "comment-head" }, name.element, answered, time, edited, place, actions.element),
      content,
      h("div", { class: "comment-foot" }, reply, toggle),
      below,
    ),
  );

  function show(told) {
    comment = told;
    const gone = isGone(comment);
    attribute(element, "data-gone", gone);
    picture.show(gone ? {} : comment.author);
    name.show(comment.author);
    name.element.hidden = gone;
    setText(edited, comment.edited_at && !gone ? "edited" : "");
    attribute(edited, "title", comment.edited_at ? exactTime(comment.edited_at) : null);
    showText();
    const paragraph = comment.paragraph && depth === 0 && !gone ? thread.paragraph(comment.paragraph) : null;
    place.hidden = !paragraph;
    if (paragraph) setText(place, `“${excerpt(paragraph.text, 40)}”`);
    reply.hidden = gone || depth >= 8;
    actions.update();
    if (comment.deleted) closeEdit();
    counts.join(comment.replies);
  }

  function showText() {
    const words = goneText(comment) ?? comment.text ?? "";
    const long = words.length > TEXT_SHOWN || words.split("\n").length > LINES_SHOWN;
    setText(text, long && !whole ? excerptOf(words) : words);
    rest.hidden = !long || whole;
  }

  function showWhole() {
    whole = true;
    showText();
  }

  function onLink(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    thread.choose({ comment: id });
  }

  function menuItems() {
    if (comment.deleted) return [];
    const items = [{ label: "Show its thread", run: () => thread.choose({ comment: id }) }];
    if (session.isMe(comment.author)) {
      if (!comment.hidden) items.push({ label: "Edit", run: openEdit });
      items.push({ label: "Delete", danger: true, run: askDelete });
    } else if (thread.isModerator()) {
      items.push({ label: comment.hidden ? "Show again" : "Hide", run: () => setVisible(comment.hidden) });
      items.push({ label: "Delete", danger: true, run: askDelete });
    }
    return items;
  }

  async function askDelete() {
    await ask({
      title: "Delete this comment?",
      text: "It cannot be brought back. Replies to it stay.",
      action: "Delete",
      danger: true,
      send: async () => {
        const answer = await call("DELETE", `/v1/comments/${id}`, { auth: "required" });
        answer.counts.forEach((count) => counts.join(count));
        counts.join(answer.comment.replies);
        list.changed(answer.comment, counts.value(group) > 0);
      },
    });
  }

  async function setVisible(visible) {
    try {
      const answer = await call("PUT", `/v1/comments/${id}/visibility`, { body: { visible }, auth: "required" });
      answer.counts.forEach((count) => counts.join(count));
      list.changed(answer.comment, true);
    } catch (problem) {
      tell(problem);
    }
  }

  function openEdit() {
    if (editBox) return;
    const box = h("textarea", { "aria-label": "Edit your comment", maxlength: 10_000, dir: "auto", rows: 4 });
    box.value = comment.text ?? "";
    const save = h("button", { class: "button primary", type: "submit" }, "Save");
    const cancel = h("button", { class: "button plain", type: "button", on: { click: closeEdit } }, "Cancel");
    editBox = h(
      "form",
      { class: "edit", on: { submit: onSave } },
      box,
      h("div", { class: "composer-foot" }, cancel, save),
    );
    content.hidden = true;
    content.after(editBox);
    box.focus();

    async function onSave(event) {
      event.preventDefault();
      if (box.value.trim() === "") return;
      save.disabled = true;
      try {
        const body = { text: box.value.trim() };
        list.changed(await call("PATCH", `/v1/comments/${id}`, { body, auth: "required" }), true);
        closeEdit();
      } catch (problem) {
        save.disabled = false;
        tell(problem);
      }
    }
  }

  function closeEdit() {
    editBox?.remove();
    editBox = null;
    content.hidden = false;
  }

  function openReply() {
    replyBox ??= composer({
      label: "Write a reply",
      small: true,
      target: () => ({ part: thread.part, paragraph: comment.paragraph, parent: id }),
      signal: thread.signal,
      cancelled: closeReply,
      posted: (posted) => {
        closeReply();
        if (list.inPlace) list.post(posted);
        else openReplies().post(posted);
      },
    });
    below.prepend(replyBox.element);
    replyBox.restore();
    replyBox.focus();
  }

  function closeReply() {
    replyBox?.element.remove();
    reply.focus();
  }

  function openReplies() {
    if (replies === null) {
      replies = list.repliesTo(id);
      replies.refresh().catch(tell);
    }
    below.append(replies.element);
    toggle.setAttribute("aria-expanded", "true");
    return replies;
  }

  function toggleReplies() {
    if (list.inPlace) {
      thread.choose({ comment: id });
    } else if (replies?.element.isConnected) {
      replies.element.remove();
      toggle.setAttribute("aria-expanded", "false");
    } else {
      openReplies();
    }
  }

  if (list.inPlace) toggle.removeAttribute("aria-expanded");
  const unwatch = counts.watch(group, (number) => {
    toggle.hidden = number === 0 || (list.inPlace && !list.isCut(id));
    setText(toggle, number < 1000 ? counted(number, "Reply", "Replies") : `${abbreviated(number)} Replies`);
    if (replies?.element.isConnected) replies.refresh().catch(() => {});
  });
  show(comment);
  const number = counts.value(group);
  if (mayOpen && number > 0 && number <= REPLIES_OPEN_MAX) openReplies();

  return {
    element,
    show,
    /** Says whom it answers; null where its place says it. Who wrote what is gone is told to nobody. */
    answers(parent) {
      answered.hidden = parent === null || isGone(parent);
      if (!answered.hidden) answeredName.show(parent.author);
    },
    /** Names and texts of open replies that are in view. */
    async refresh() {
      if (replies?.element.isConnected && inView(element)) await replies.refresh();
    },
    highlight() {
      element.classList.add("new");
      element.scrollIntoView({ block: "nearest" });
    },
    end() {
      unwatch();
      replies?.end();
    },
  };
}

function isGone({ deleted, hidden }) {
  return deleted || hidden;
}

function goneText(comment) {
  if (comment.deleted) return "This comment was deleted.";
  return comment.hidden ? "This comment was hidden by the story’s author." : null;
}

/** Ends the views of comments that a list no longer has. */
export function endUnlisted(views, ids) {
  const listed = new Set(ids);
  for (const [id, view] of views) {
    if (!listed.has(id)) {
      view.end();
      views.delete(id);
    }
  }
}

function excerptOf(text) {
  const lines = text.split("\n").slice(0, LINES_SHOWN).join("\n");
  return `${lines.slice(0, TEXT_SHOWN).trimEnd()}…`;
}

function inView(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > -innerHeight && top < 2 * innerHeight;
}
