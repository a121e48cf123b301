// A count with its picture: short to look at, exact in the tooltip and for those who listen.

import { attribute, h, setText } from "./dom.js";
import { abbreviated, counted } from "./format.js";
import { icon } from "./icons.js";

/** `element` is what carries it, a link or a button where something happens on a click. */
export function statistic(name, one, many, element = h("span", { role: "img", tabindex: 0 })) {
  const number = h("span", { class: "number" });
  element.classList.add("statistic", `statistic-${name}`);
  element.append(icon(name), number);

  function show(count) {
    setText(number, abbreviated(count));
    attribute(element, "aria-label", counted(count, one, many));
    attribute(element, "data-tip", counted(count, one, many));
  }
  show(0);
  return { element, show };
}
