// Moving one thing of a list up and down, with buttons that keep the keyboard where it was.

import { attribute, h } from "./dom.js";
import { icon } from "./icons.js";

/** The list with `item` one place up (`step` -1) or down (1); null where it stands at that end, or is not there. */
export function stepped(list, item, step) {
  const from = list.indexOf(item);
  const to = from + step;
  if (from === -1 || to < 0 || to >= list.length) return null;
  const moved = [...list];
  moved.splice(from, 1);
  moved.splice(to, 0, item);
  return moved;
}

/** What `item` stands behind; null for the first. */
export function behind(list, item) {
  return list[list.indexOf(item) - 1] ?? null;
}

/** One thing at a time: what is given is run in the order given, each when the one before is done or has failed. */
export function oneByOne() {
  let last = Promise.resolve();
  let waiting = 0;
  return {
    run(task) {
      waiting += 1;
      const mine = last.then(task).finally(() => (waiting -= 1));
      last = mine.catch(() => {});
      return mine;
    },
    /** How many are not done. */
    get waiting() {
      return waiting;
    },
  };
}

/** Two buttons. `move(step)` is told which way; the buttons stay in the list, so the keyboard is given back to them. */
export function upAndDown(move) {
  const tool = (name, step) => {
    const button = h("button", { class: "menu-button", type: "button" }, icon(name));
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      move(step);
      button.focus();
    });
    return button;
  };
  const up = tool("up", -1);
  const down = tool("down", 1);

  /**
   * `what` names the thing, so that its buttons can be told from the others'. One that is disabled would lose the
   * keyboard, so these only say that they do nothing.
   */
  function show(what, { first, last }) {
    nameTool(up, `Move ${what} up`);
    nameTool(down, `Move ${what} down`);
    attribute(up, "aria-disabled", String(first));
    attribute(down, "aria-disabled", String(last));
  }
  return { elements: [up, down], show };
}

/** Names a button that shows only a sign, for those who hear it and those who point at it. */
export function nameTool(button, label) {
  attribute(button, "aria-label", label);
  attribute(button, "title", label);
}
