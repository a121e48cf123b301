// Short messages at the foot of the page, read out by screen readers.

import { Problem } from "./api.js";
import { h } from "./dom.js";

const SHOWN_MS = 7_000;

export function notice(text) {
  const line = h("p", { class: "notice" }, text);
  document.getElementById("notices").append(line);
  setTimeout(() => line.remove(), SHOWN_MS);
}

/** What went wrong, as a sentence. Servers answer with fragments. */
export function sentence(error) {
  if (!(error instanceof Problem)) return "Something went wrong in this page.";
  const text = error.field ? `${error.field}: ${error.message}` : error.message;
  const whole = text.charAt(0).toLocaleUpperCase() + text.slice(1);
  return /[.!?…]$/u.test(whole) ? whole : `${whole}.`;
}

/** Tells the reader of a failure, unless it is only that they left the page. */
export function tell(error) {
  if (error?.name === "AbortError") return;
  if (!(error instanceof Problem)) console.error(error);
  notice(sentence(error));
}
