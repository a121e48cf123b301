// The page of `antiphon chaos`: asks every second how it stands, and tells the server what is turned.

import { call, Problem } from "./api.js";
import { chart } from "./chaos-chart.js";
import { drift, FAULTS, grouped, HABITS, isNews, joinHistory, lag, linkName, percent, repairs, sameRows, scored, titled, verdict } from "./chaos-model.js";
import { arrange, attribute, h, setText } from "./dom.js";
import { tell } from "./notice.js";

const EVERY_MS = 1_000;
/** What is being turned here is not turned back by an answer that was on its way. */
const HELD_MS = 2_000;
/** A slider is told to the server when it has rested for so long. */
const SETTLE_MS = 120;
/** What a day of trouble left the people who rest: they begin again at this pace. */
const PACE = 12;

const place = (id) => document.getElementById(id);

/** A switch, a slider and a sentence for one dial. `turned(value)` is called when it was turned here. */
function dial({ name, label, says, max = 1, step = 0.05, typical }, written, turned) {
  const id = `dial-${name}`;
  const output = h("output", { for: id, class: "dial-value" });
  const toggle = h("input", { type: "checkbox", role: "switch", class: "toggle", "aria-label": `${label} on` });
  const slider = h("input", { type: "range", id, min: 0, max, step, "aria-describedby": `${id}-says` });
  const element = h(
    "div",
    { class: `dial dial-${name}` },
    h("label", { for: id, class: "dial-label" }, label),
    output,
    toggle,
    slider,
    h("p", { id: `${id}-says`, class: "dial-says" }, says),
  );
  let heldUntil = 0;
  let usual = typical;

  function draw(value) {
    slider.value = String(value);
    toggle.checked = value > 0;
    attribute(element, "data-on", value > 0);
    setText(output, written(value));
    attribute(slider, "aria-valuetext", written(value));
    if (value > 0) usual = value;
  }
  function turn(value) {
    heldUntil = Date.now() + HELD_MS;
    draw(value);
    turned(value);
  }
  slider.addEventListener("input", () => turn(Number(slider.value)));
  toggle.addEventListener("change", () => turn(toggle.checked ? usual : 0));
  return {
    element,
    name,
    value: () => Number(slider.value),
    show(value) {
      if (Date.now() > heldUntil) draw(value);
    },
    release() {
      heldUntil = 0;
    },
  };
}

/** Dials that are told to the server together: all of `path`'s fields at once. */
function board(path, specifications, written) {
  let timer;
  /** What is not on the page goes back as it came. */
  let others = {};
  const dials = specifications.map((one) => dial(one, written(one), send));
  function send() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const body = { ...others, ...Object.fromEntries(dials.map((one) => [one.name, one.value()])) };
      call("PUT", path, { body }).catch(tell);
    }, SETTLE_MS);
  }
  return {
    elements: dials.map((one) => one.element),
    show(values) {
      others = values;
      for (const one of dials) one.show(values[one.name]);
    },
    release() {
      clearTimeout(timer);
      for (const one of dials) one.release();
    },
  };
}

function panel(title, ...children) {
  return h("section", { class: "panel" }, h("h2", null, title), ...children);
}

/** A number in large letters, and what it is made of. */
function score(kind, title) {
  const number = h("p", { class: "score-number" }, "–");
  const parts = h("p", { class: "score-parts" });
  const element = h("section", { class: `score-card score-${kind}`, "aria-label": title }, h("h2", null, title), number, parts);
  return {
    element,
    show(off, text) {
      attribute(element, "data-off", off === null ? "unknown" : off > 0);
      setText(number, scored(kind, off));
      setText(parts, text);
    },
  };
}

const CONDITIONS = { running: "runs", stopping: "is stopping", stopped: "is stopped", killed: "was killed", starting: "is starting" };

/** A service and what can be done to it. */
function service(name) {
  const condition = h("span", { class: "condition" });
  const outbox = h("span", { class: "quiet" });
  const act = (action) => () =>
    call("PUT", `/chaos/services/${name}`, { body: { action } }).then(() => refresh(), tell);
  const button = (action, text, label) =>
    h("button", { type: "button", class: "button", "aria-label": label, on: { click: act(action) } }, text);
  const stop = button("stop", "Stop", `Stop ${titled(name)}`);
  const kill = button("kill", "kill -9", `Kill ${titled(name)} without warning`);
  const start = button("start", "Start", `Start ${titled(name)}`);
  const element = h(
    "li",
    { class: "service" },
    h("span", { class: "service-name" }, titled(name), " ", condition),
    outbox,
    h("span", { class: "service-actions" }, stop, kill, start),
  );
  return {
    element,
    show(told) {
      const runs = told.condition === "running";
      attribute(element, "data-away", !runs);
      setText(condition, CONDITIONS[told.condition] ?? told.condition);
      setText(outbox, told.outbox === null ? "" : `${grouped(told.outbox)} to announce`);
      for (const one of [stop, kill]) attribute(one, "hidden", !runs);
      attribute(start, "hidden", runs);
      attribute(start, "disabled", told.condition === "starting" || told.condition === "stopping");
    },
  };
}

/** A table whose rows are kept by a key. `cells(item)` gives texts; those after the first are numbers. */
function table(caption, heads, keyOf, cells) {
  const body = h("tbody");
  const rows = new Map();
  const head = h("thead", null, h("tr", null, heads.map((text) => h("th", { scope: "col" }, text))));
  const element = h("div", { class: "table" }, h("table", null, h("caption", { class: "unseen" }, caption), head, body));
  return {
    element,
    show(items) {
      const wanted = items.map((item) => {
        const key = keyOf(item);
        if (!rows.has(key)) rows.set(key, h("tr", null, heads.map((_, column) => h(column === 0 ? "th" : "td"))));
        const row = rows.get(key);
        cells(item).forEach(({ text, state }, column) => {
          const cell = row.children[column];
          if (column === 0) attribute(cell, "scope", "row");
          setText(cell, text);
          attribute(cell, "data-state", state);
        });
        return row;
      });
      arrange(body, wanted);
    },
  };
}

const same = (link) => {
  const text = sameRows(link);
  return { text, state: text === "the same" ? "right" : null };
};
const judged = (text) => ({ text, state: text === "exact" ? "right" : text === "?" ? null : "wrong" });
const plain = (text) => ({ text });

const exactScore = score("exact", "Antiphon’s counts");
const plainScore = score("plain", "Counts by “+1” messages");
const drawing = chart(place("chart"));
const faults = board("/chaos/faults", FAULTS, () => percent);
const habits = board("/chaos/people", HABITS, ({ name }) => (name === "rate" ? (value) => `${value} / s` : percent));
const services = new Map();
const serviceList = h("ul", { class: "services" });
const partTable = table(
  "The parts of the story",
  ["Part", "In the list", "Antiphon", "“+1”"],
  (part) => part.id,
  (part) => [
    plain(part.title),
    plain(part.listed === null ? "?" : grouped(part.listed)),
    judged(drift(part.shown, part.listed)),
    judged(drift(part.plain, part.listed)),
  ],
);
const linkTable = table(
  "Who hears what",
  ["Link", "On the way", "Lag", "Rows"],
  (link) => `${link.topic}/${link.service}`,
  (link) => [plain(linkName(link)), plain(grouped(link.waiting)), plain(lag(link.lag_ms)), same(link)],
);
const playedTable = table(
  "What the queue did so far",
  ["What the queue did", "Times"],
  ([name]) => name,
  ([name, times]) => [plain(name), plain(grouped(times))],
);

const repairTable = table(
  "What anti-entropy did so far",
  ["What was told", "Times"],
  ([name]) => name,
  ([name, times]) => [plain(name), plain(times)],
);

const PLAYED = [
  ["duplicated", "delivered twice"],
  ["dropped", "lost"],
  ["reordered", "overtaken"],
  ["delayed", "put off"],
  ["acks_lost", "acks lost"],
  ["refused_before", "publishes refused"],
  ["refused_after", "publishes falsely refused"],
];

function build() {
  place("score").replaceChildren(plainScore.element, exactScore.element);
  place("controls").replaceChildren(
    panel("The queue", h("div", { class: "dials" }, faults.elements)),
    panel("The people", h("div", { class: "dials" }, habits.elements)),
    panel("The services", serviceList),
  );
  place("sights").replaceChildren(
    panel("Part by part", partTable.element),
    panel("On the way", linkTable.element),
    panel(
      "What was lost is found",
      h("p", { class: "quiet" }, "Services tell each other in digests what they have. Who lacks something wants it, and it is announced again: through the same bad queue."),
      repairTable.element,
    ),
    panel("Played so far", playedTable.element),
  );
}

const healButton = h("button", { type: "button", class: "button primary heal", on: { click: heal } }, "Heal everything");
const goOn = h("button", { type: "button", class: "button heal", hidden: true, on: { click: write } }, "Let people write again");
const days = new Map();

/** The buttons of the days, once they are known. */
function offer(presets) {
  for (const { id, title, says } of presets) {
    if (days.has(id)) continue;
    const click = () => {
      faults.release();
      habits.release();
      return change(`/chaos/presets/${id}`, {}).then(() => (latest?.habits.rate === 0 ? write() : null));
    };
    const button = h("button", { type: "button", class: "day", on: { click } }, h("strong", null, title), h("span", null, says));
    days.set(id, button);
  }
  arrange(place("days"), [...days.values(), healButton, goOn]);
}

function change(path, body) {
  return call("PUT", path, { body }).then(() => refresh(), tell);
}

function heal() {
  faults.release();
  habits.release();
  return change("/chaos/heal", {});
}

function write() {
  habits.release();
  return change("/chaos/people", { rate: PACE, impatience: latest?.habits.impatience ?? 0 });
}

let latest = null;
let history = [];
let asking = false;

function show(state) {
  latest = state;
  history = joinHistory(history, state.history, state.history_max);
  const said = verdict(state);
  attribute(place("verdict"), "data-mood", said.mood);
  setText(place("verdict"), said.text);
  setText(place("spoken"), said.spoken);
  const total = state.listed === null ? "?" : grouped(state.listed);
  const counted = (count) =>
    count === null ? "Stories is away: nobody sees them" : `${grouped(count)} counted, ${total} in the lists of ${state.parts.length} parts`;
  exactScore.show(state.exact_off, counted(state.shown));
  plainScore.show(state.plain_off, counted(state.plain));
  drawing.show(history);
  faults.show(state.faults);
  habits.show(state.habits);
  for (const told of state.services) {
    if (!services.has(told.name)) services.set(told.name, service(told.name));
    services.get(told.name).show(told);
  }
  arrange(serviceList, [...services.values()].map((one) => one.element));
  offer(state.presets);
  const rests = said.mood === "healed" || said.mood === "healing";
  attribute(goOn, "hidden", !rests);
  attribute(healButton, "hidden", rests);
  partTable.show(state.parts);
  linkTable.show(state.links.filter(isNews));
  repairTable.show(repairs(state.repair));
  playedTable.show(PLAYED.map(([name, words]) => [words, state.played[name]]));
}

async function refresh() {
  if (asking) return;
  asking = true;
  try {
    const after = history.at(-1)?.number ?? 0;
    const state = await call("GET", `/chaos/state?after=${after}`);
    // The server began anew: its numbers are smaller than ours.
    if (state.number < after) {
      history = [];
      setTimeout(refresh);
    }
    show(state);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    attribute(place("verdict"), "data-mood", "gone");
    for (const id of ["verdict", "spoken"]) setText(place(id), "The game is over, or cannot be reached: start `antiphon chaos` again.");
  } finally {
    asking = false;
  }
}

build();
refresh();
setInterval(() => {
  if (!document.hidden) refresh();
}, EVERY_MS);
