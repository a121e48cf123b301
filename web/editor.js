// Writing a part: its title, and a box for each paragraph, so that a paragraph keeps its comments while it changes.

import { attribute, h } from "./dom.js";
import { icon } from "./icons.js";
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
      h("small", null, "An empty line begins a new paragraph."),
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
    const box = h("textarea", { rows: 3, "aria-label": "Paragraph", dir: "auto", on: { input: () => grow(box) } });
    box.value = text;
    const tool = (name, label, run) =>
      h(
        "button",
        { class: "menu-button", type: "button", "aria-label": label, title: label, on: { click: run } },
        icon(name),
      );
    const row = h(
      "div",
      { class: "editor-paragraph", "data-id": id ?? null },
      box,
      h(
        "div",
        { class: "editor-tools" },
        tool("up", "Move up", () => row.previousElementSibling?.before(row)),
        tool("down", "Move down", () => row.nextElementSibling?.after(row)),
        tool("cross", "Remove this paragraph", () => row.remove()),
      ),
    );
    boxes.insertBefore(row, before);
    requestAnimationFrame(() => grow(box));
    return box;
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
