// Writing a part: its title, and a box for each paragraph, so that a paragraph keeps its comments while it changes.

import { attribute, h } from "./dom.js";
import { icon } from "./icons.js";
import { nameTool, upAndDown } from "./moving.js";
import { sentence } from "./notice.js";

const TITLE_MAX = 200;
const PARAGRAPH_MAX = 20_000;

/** `send({title, paragraphs})` stores it and may throw; a paragraph that had an id keeps it. */
export function editor({ title = "", paragraphs = [], action, send, cancelled }) {
  const name = h("input", {
    name: "title",
    required: true,
    maxlength: TITLE_MAX,
    placeholder: "Chapter 1.",
    value: title,
    dir: "auto",
  });
  const boxes = h("div", { class: "editor-paragraphs" });
  const moved = h("p", { class: "unseen", role: "status" });
  const rows = new Map();
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const submit = h("button", { class: "button primary", type: "submit" }, action);
  const element = h(
    "form",
    { class: "editor", on: { submit: onSubmit } },
    h("label", { class: "field" }, h("span", null, "Title"), name),
    h(
      "div",
      { class: "field" },
      h("span", null, "Text"),
      boxes,
      moved,
      h("small", null, "An empty line begins a new paragraph. Alt with ↑ or ↓ moves the one you are in."),
    ),
    h(
      "button",
      { class: "button", type: "button", on: { click: () => add({ text: "" }, null).focus() } },
      icon("plus"),
      "Paragraph",
    ),
    error,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button plain", type: "button", on: { click: cancelled } }, "Cancel"),
      submit,
    ),
  );
  for (const paragraph of paragraphs.length > 0 ? paragraphs : [{ text: "" }]) add(paragraph, null);
  if (paragraphs.length === 0) attribute(boxes, "data-first", true);

  function add({ id, text }, before) {
    const box = h("textarea", { rows: 3, dir: "auto", on: { input: () => grow(box), keydown: onKey } });
    box.value = text;
    const arrows = upAndDown(move);
    const remove = h("button", { class: "menu-button", type: "button", on: { click: onRemove } }, icon("cross"));
    const tools = h("div", { class: "editor-tools" }, arrows.elements, remove);
    const row = h("div", { class: "editor-paragraph", "data-id": id ?? null }, box, tools);
    rows.set(row, { box, arrows, remove });
    boxes.insertBefore(row, before);
    number();
    requestAnimationFrame(() => grow(box));
    return box;

    function move(step) {
      if (step < 0) row.previousElementSibling?.before(row);
      else row.nextElementSibling?.after(row);
      number();
      row.scrollIntoView({ block: "nearest" });
      moved.textContent = box.getAttribute("aria-label");
    }

    function onKey(event) {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step || !event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const { selectionStart, selectionEnd } = box;
      move(step);
      box.focus();
      box.setSelectionRange(selectionStart, selectionEnd);
    }

    function onRemove() {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      rows.delete(row);
      number();
      // The keyboard goes where it would have gone, and not to the top of the page.
      if (next) rows.get(next).box.focus();
      else name.focus();
    }
  }

  /** Tells each box and its buttons where it stands. */
  function number() {
    const all = [...boxes.children];
    for (const [index, row] of all.entries()) {
      const { box, arrows, remove } = rows.get(row);
      attribute(box, "aria-label", `Paragraph ${index + 1} of ${all.length}`);
      arrows.show(`paragraph ${index + 1}`, { first: index === 0, last: index === all.length - 1 });
      nameTool(remove, `Remove paragraph ${index + 1}`);
    }
  }

  async function onSubmit(event) {
    event.preventDefault();
    const written = [...boxes.children].flatMap((row) => split(row.querySelector("textarea").value, row.dataset.id));
    const long = written.findIndex(({ text }) => [...text].length > PARAGRAPH_MAX);
    if (written.length === 0) return say("A part needs some text.");
    if (long !== -1) return say(`Paragraph ${long + 1} is longer than ${PARAGRAPH_MAX} characters.`);
    submit.disabled = true;
    error.hidden = true;
    try {
      await send({ title: name.value.trim(), paragraphs: written });
    } catch (problem) {
      say(sentence(problem));
    }
    submit.disabled = false;
  }

  function say(text) {
    error.textContent = text;
    error.hidden = false;
  }

  return { element, focus: () => name.focus() };
}

/** The paragraphs in a box; the first keeps the box's id, and with it the comments on it. */
export function split(text, id) {
  const texts = text
    .split(/\n[ \t]*\n/u)
    .map((piece) => piece.trim())
    .filter((piece) => piece !== "");
  return texts.map((piece, index) => (index === 0 && id ? { id, text: piece } : { text: piece }));
}

function grow(box) {
  box.style.height = "";
  if (box.scrollHeight > box.clientHeight) box.style.height = `${box.scrollHeight + 2}px`;
}
