// Questions that need an answer before anything else. The browser's own dialog keeps the focus and closes on Escape.

import { h } from "./dom.js";
import { sentence } from "./notice.js";

/**
 * A form in a dialog. `send(form data)` does the work; while it fails, the dialog stays open and says why. Resolves to
 * what `send` returned, or to null if the reader thought better of it.
 */
export function ask({ title, text, fields = [], action, danger = false, send }) {
  return new Promise((resolve) => {
    let result = null;
    const error = h("p", { class: "error", role: "alert", hidden: true });
    const submit = h("button", { class: danger ? "button danger" : "button primary", type: "submit" }, action);
    const form = h(
      "form",
      { method: "dialog", on: { submit: onSubmit } },
      h("h2", { id: "dialog-title" }, title),
      text ? h("p", { class: "quiet" }, text) : null,
      fields.map(({ label, hint, element }) =>
        h("label", { class: "field" }, h("span", null, label), element, hint ? h("small", null, hint) : null),
      ),
      error,
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { class: "button", type: "button", on: { click: () => dialog.close() } }, "Cancel"),
        submit,
      ),
    );
    const dialog = h("dialog", { "aria-labelledby": "dialog-title", on: { close: onClose } }, form);
    document.body.append(dialog);
    dialog.showModal();

    async function onSubmit(event) {
      event.preventDefault();
      submit.disabled = true;
      error.hidden = true;
      try {
        result = (await send(new FormData(form))) ?? true;
        dialog.close();
      } catch (problem) {
        error.textContent = sentence(problem);
        error.hidden = false;
      } finally {
        submit.disabled = false;
      }
    }

    function onClose() {
      dialog.remove();
      resolve(result);
    }
  });
}
