// Which page an address shows, and moving between them without loading the shell again.

import { h } from "./dom.js";
import { sentence } from "./notice.js";

/** A page that loads faster than this shows no "loading" in between. */
const PATIENCE_MS = 250;

let pages = [];
let leave = new AbortController();
let shown = null;
let moved = false;

/**
 * `routes`: pairs of a pattern for the path and a page. A page is an async function of `{id, query, signal}` that
 * returns `{title, element}`; `signal` ends with the page, and with it all that the page does.
 */
export function start(routes) {
  pages = routes;
  history.scrollRestoration = "manual";
  document.addEventListener("click", onClick);
  addEventListener("popstate", () => addressOf() !== shown && open(history.state?.scroll ?? 0));
  addEventListener("scroll", throttled(keepScroll, 500), { passive: true });
  open(history.state?.scroll ?? null);
}

/** Goes to another page of ours. */
export function navigate(address) {
  history.pushState(null, "", address);
  return open(null);
}

/** Goes to where the present page should have been, which leaves no entry in the history. */
export function redirect(address) {
  history.replaceState(null, "", address);
  return open(null);
}

/** Loads the present page again. */
export function reload() {
  return open(scrollY);
}

/** Notes a state of the page in its address, without a new entry in the history. */
export function setQuery(query) {
  const given = Object.entries(query).filter(([, value]) => value !== null);
  const text = given.length > 0 ? `?${new URLSearchParams(given)}` : "";
  history.replaceState(history.state, "", location.pathname + text);
  shown = addressOf();
}

function addressOf() {
  return location.pathname + location.search;
}

async function open(scroll) {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  shown = addressOf();
  const place = document.getElementById("page");
  const waiting = setTimeout(() => place.replaceChildren(h("p", { class: "loading" }, "Loading…")), PATIENCE_MS);
  const { title, element } = await load(signal);
  clearTimeout(waiting);
  if (signal.aborted) return;
  document.title = title === null ? "Antiphon" : `${title} · Antiphon`;
  place.replaceChildren(element);
  // Those who listen are taken to the new page, as after a click on any link.
  if (moved) place.focus({ preventScroll: true });
  moved = true;
  const anchor = scroll === null && location.hash ? document.getElementById(location.hash.slice(1)) : null;
  if (anchor) anchor.scrollIntoView();
  else scrollTo(0, scroll ?? 0);
}

async function load(signal) {
  for (const [pattern, page] of pages) {
    const found = pattern.exec(location.pathname);
    if (found) {
      try {
        return await page({ id: found[1], query: new URLSearchParams(location.search), signal });
      } catch (error) {
        return signal.aborted ? {} : failed(error);
      }
    }
  }
  return message("There is no such page", "The address may be mistyped.", null);
}

function failed(error) {
  if (error.status === 404)
    return message("Not found", "Nothing is known here under this address. It may take a moment to arrive.", reload);
  if (error.status === 410) return message("Taken down", "Its author took this part down.", null);
  if (error.status === undefined) console.error(error);
  return message("That did not work", sentence(error), reload);
}

function message(title, text, retry) {
  const again = retry
    ? h("button", { class: "button primary", type: "button", on: { click: retry } }, "Try again")
    : null;
  const home = h("a", { class: "button", href: "/" }, "All stories");
  return {
    title,
    element: h("div", { class: "message" }, h("h1", null, title), h("p", null, text), h("p", null, again, " ", home)),
  };
}

function onClick(event) {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.target || link.origin !== location.origin) return;
  const onlyHash = link.hash !== "" && link.pathname === location.pathname && link.search === location.search;
  if (onlyHash || !pages.some(([pattern]) => pattern.test(link.pathname))) return;
  event.preventDefault();
  keepScroll();
  navigate(link.pathname + link.search + link.hash);
}

function keepScroll() {
  history.replaceState({ scroll: scrollY }, "");
}

function throttled(run, ms) {
  let timer = null;
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      run();
    }, ms);
  };
}
