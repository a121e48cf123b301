// A count with its picture: short to look at, exact in the tooltip and for those who listen.

import { attribute, h, setText } from "./dom.js";
import { abbreviated, counted } from "./format.js";
import { icon } from "./icons.js";

/**
 * `element` is what carries it, a link or a button where something happens on a click. `show(count, note)`: the note
 * follows the count in the tooltip.
 */
export function statistic(name, one, many, element = h("span", { role: "img", tabindex: 0 })) {
  const number = h("span", { class: "number" });
  element.classList.add("statistic", `statistic-${name}`);
  element.append(icon(name), number);

  function show(count, note = "") {
    const label = counted(count, one, many) + note;
    setText(number, abbreviated(count));
    attribute(element, "aria-label", label);
    attribute(element, "data-tip", label);
  }
  show(0);
  return { element, show };
}

/** How often a part was read, and by how many: neither goes down on one page, whichever replica answers. */
export function readStatistic(element) {
  const shown = statistic("eye", "Read", "Reads", element);
  let reads = 0;
  let readers = 0;
  return {
    element: shown.element,
    show(told) {
      reads = Math.max(reads, told.reads);
      readers = Math.max(readers, told.readers ?? 0);
      shown.show(reads, byReaders(readers));
    },
  };
}

/** The number of different readers is an estimate, and says so from where it may be off. */
export function byReaders(readers) {
  if (readers === 0) return "";
  return readers < 100 ? ` by ${counted(readers, "reader", "readers")}` : ` by about ${readers} readers`;
}
