// The "…" menu: a button that opens a short list of actions, usable from the keyboard.

import { h } from "./dom.js";
import { dots } from "./icons.js";

/** `actions()` is asked each time it opens: `[{label, danger, run}]`. */
export function menu(label, actions) {
  const list = h("div", {
    class: "menu-list",
    role: "menu",
    "aria-label": label,
    hidden: true,
    on: { keydown: onKey },
  });
  const button = h(
    "button",
    {
      class: "menu-button",
      type: "button",
      "aria-label": label,
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      on: { click: () => (list.hidden ? open() : close()) },
    },
    dots(),
  );
  const element = h("div", { class: "menu", on: { focusout: onFocusOut } }, button, list);

  function open() {
    list.replaceChildren(
      ...actions().map(({ label: text, danger, run }) =>
        h(
          "button",
          {
            type: "button",
            role: "menuitem",
            tabindex: -1,
            class: danger ? "danger" : null,
            on: { click: () => choose(run) },
          },
          text,
        ),
      ),
    );
    list.hidden = false;
    button.setAttribute("aria-expanded", "true");
    document.addEventListener("pointerdown", onOutside);
    list.firstElementChild?.focus();
  }

  function close() {
    list.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", onOutside);
  }

  function choose(run) {
    close();
    button.focus();
    run();
  }

  function onOutside(event) {
    if (!element.contains(event.target)) close();
  }

  function onFocusOut(event) {
    if (!list.hidden && event.relatedTarget !== null && !element.contains(event.relatedTarget)) close();
  }

  function onKey(event) {
    const items = [...list.children];
    const at = items.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) items.at((at + step) % items.length).focus();
    else if (event.key === "Home") items[0]?.focus();
    else if (event.key === "End") items.at(-1)?.focus();
    else if (event.key === "Escape" || event.key === "Tab") {
      close();
      button.focus();
    } else return;
    if (event.key !== "Tab") event.preventDefault();
  }

  return {
    element,
    /** A menu without actions is not shown. */
    update: () => (element.hidden = actions().length === 0),
  };
}
