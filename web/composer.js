// The "Leave a comment" box, for a part, a paragraph or a reply.

import { needAccount } from "./account.js";
import { Action } from "./action.js";
import { call } from "./api.js";
import { counts } from "./counts.js";
import { attribute, h } from "./dom.js";
import { sentence } from "./notice.js";
import { avatar } from "./people.js";
import { session } from "./session.js";
import { tab } from "./storage.js";

const TEXT_MAX = 10_000;
/** From here on, the reader is told how much room is left. */
const TEXT_TELL = 9_000;

/**
 * `target()` tells where the comment goes, `{part, paragraph, parent}`; `posted(comment)` gets it once it is stored.
 * What was typed is kept in this tab until then.
 */
export function composer({ label, target, posted, cancelled, start = "", signal, small = false }) {
  const room = h("span", { class: "room", hidden: true });
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const text = h("textarea", {
    rows: small ? 1 : 2,
    placeholder: label,
    "aria-label": label,
    dir: "auto",
    on: { input: onInput, keydown: onKey },
  });
  const submit = h("button", { class: "button primary", type: "submit", disabled: true }, small ? "Reply" : "Post");
  const me = avatar(session.user ?? {}, small ? "small" : "medium");
  const element = h(
    "form",
    { class: small ? "composer small" : "composer", on: { submit: onSubmit } },
    me.element,
    h(
      "div",
      { class: "composer-box" },
      text,
      error,
      h(
        "div",
        { class: "composer-foot" },
        room,
        cancelled ? h("button", { class: "button plain", type: "button", on: { click: cancelled } }, "Cancel") : null,
        submit,
      ),
    ),
  );
  session.addEventListener("change", () => me.show(session.user ?? {}), { signal });

  const name = () => Object.values(target()).filter(Boolean).join(".");
  const draft = () => `antiphon.draft.${name()}`;
  restore();

  /** Shows what was typed for the present target. */
  function restore() {
    text.value = tab.getItem(draft()) ?? start;
    onInput();
  }

  function onInput() {
    const length = [...text.value].length;
    submit.disabled = text.value.trim() === "" || length > TEXT_MAX;
    room.hidden = length < TEXT_TELL;
    room.textContent = `${TEXT_MAX - length} characters left`;
    attribute(element, "data-over", length > TEXT_MAX);
    attribute(element, "data-filled", text.value !== "");
    // Grows with its text. An unset height first, since a box never asks for less than it has.
    text.style.height = "";
    if (text.scrollHeight > text.clientHeight) text.style.height = `${text.scrollHeight + 2}px`;
    if (text.value === start || text.value === "") tab.removeItem(draft());
    else keep(draft(), text.value);
  }

  function onKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element.requestSubmit();
    if (event.key === "Escape") cancelled?.();
  }

  async function onSubmit(event) {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    error.hidden = true;
    try {
      if ((await needAccount()) !== null) await send();
    } catch (problem) {
      error.textContent = sentence(problem);
      error.hidden = false;
    }
    onInput();
  }

  async function send() {
    const { part, ...place } = target();
    const given = Object.entries(place).filter(([, id]) => id);
    const body = { text: text.value.trim(), ...Object.fromEntries(given) };
    const sentDraft = draft();
    const action = new Action(`comment.${name()}`);
    const answer = await call("POST", `/v1/parts/${part}/comments`, { body, key: action.key(body), auth: "required" });
    action.done();
    answer.counts.forEach((count) => counts.join(count));
    tab.removeItem(sentDraft);
    if (sentDraft === draft()) text.value = "";
    posted(answer.comment);
  }

  return { element, restore, focus: () => focusEnd(text) };
}

function keep(key, value) {
  try {
    tab.setItem(key, value);
  } catch {
    // No room: then the draft lives as long as the page.
  }
}

function focusEnd(text) {
  text.focus();
  text.setSelectionRange(text.value.length, text.value.length);
}
