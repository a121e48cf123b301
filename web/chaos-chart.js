// The chart: by how much each counter is off, over time. Plain SVG.

import { h, svg } from "./dom.js";
import { grouped } from "./chaos-model.js";

const HEIGHT = 230;
const MARGIN = { top: 14, right: 92, bottom: 26, left: 44 };
/** At least so much time is shown, and at most. */
const SPAN_MS_MIN = 60_000;
const SPAN_MS_MAX = 300_000;
/** Two numbers at the ends of lines keep so far apart. */
const LABEL_APART = 18;

/** The smallest of 5, 10, 20, 50, 100, … that is not below `number`. */
export function ceiling(number) {
  for (let unit = 5; ; unit *= 10) {
    for (const factor of [1, 2, 4]) if (unit * factor >= number) return unit * factor;
  }
}

/** The stretch of time to be shown, [from, to] in milliseconds: up to the last sample, and not less than a minute. */
export function span(samples) {
  const to = samples.at(-1)?.at_ms ?? 0;
  const whole = to - (samples[0]?.at_ms ?? 0);
  return [to - Math.min(Math.max(whole, SPAN_MS_MIN), SPAN_MS_MAX), to];
}

/** An SVG path through points [x, y]; where y is null the line is broken. */
export function path(points) {
  let drawn = "";
  let pen = "M";
  for (const [x, y] of points) {
    if (y === null) {
      pen = "M";
    } else {
      drawn += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
    }
  }
  return drawn;
}

/** Stretches of trouble, [[from, to], …] in milliseconds: each ends where the next sample is free of it. */
export function troubles(samples) {
  const stretches = [];
  let began = null;
  for (const { at_ms: at, trouble } of samples) {
    if (trouble) {
      began ??= at;
    } else if (began !== null) {
      stretches.push([began, at]);
      began = null;
    }
  }
  if (began !== null) stretches.push([began, samples.at(-1).at_ms]);
  return stretches;
}

/** Where the two labels stand, in pixels: beside the ends of their lines, and not on each other. */
export function labels(plainY, exactY) {
  if (Math.abs(plainY - exactY) >= LABEL_APART) return [plainY, exactY];
  const middle = Math.max((plainY + exactY) / 2, MARGIN.top + LABEL_APART / 2);
  return [middle - LABEL_APART / 2, middle + LABEL_APART / 2];
}

/** "4 min ago", "30 s ago", "now". */
export function ago(ms) {
  if (ms < 1000) return "now";
  return ms < 60_000 ? `${Math.round(ms / 1000)} s ago` : `${Math.round(ms / 60_000)} min ago`;
}

/** A chart in `panel`: `show(samples)` draws it as wide as the panel is. */
export function chart(panel) {
  const legend = h(
    "p",
    { class: "chart-legend" },
    h("span", { class: "swatch swatch-plain" }, "“+1” messages"),
    h("span", { class: "swatch swatch-exact" }, "Antiphon"),
    h("span", { class: "swatch swatch-trouble" }, "something is broken"),
  );
  const drawing = svg("svg", { role: "img", height: HEIGHT });
  panel.replaceChildren(h("h2", null, "How many comments the count is off by"), legend, drawing);
  let latest = [];

  function draw() {
    const width = Math.max(drawing.clientWidth || panel.clientWidth - 40, 280);
    const [from, to] = span(latest);
    const shown = latest.filter(({ at_ms: at }) => at >= from);
    const highest = Math.max(0, ...shown.map((sample) => Math.max(sample.plain_off ?? 0, sample.exact_off ?? 0)));
    const top = ceiling(highest);
    const bottom = HEIGHT - MARGIN.bottom;
    const right = width - MARGIN.right;
    const x = (at) => MARGIN.left + ((at - from) / (to - from)) * (right - MARGIN.left);
    const y = (off) => (off === null ? null : bottom - (off / top) * (bottom - MARGIN.top));
    const line = (name) => path(shown.map((sample) => [x(sample.at_ms), y(sample[name])]));
    const bands = troubles(shown).map(([began, ended]) =>
      svg("rect", {
        class: "band",
        x: x(began),
        y: MARGIN.top,
        width: Math.max(x(ended) - x(began), 1),
        height: bottom - MARGIN.top,
      }),
    );
    const rules = [0, top / 2, top].filter(Number.isInteger).flatMap((off) => [
      svg("line", { class: "rule", x1: MARGIN.left, x2: right, y1: y(off), y2: y(off) }),
      svg("text", { class: "tick", x: MARGIN.left - 8, y: y(off) + 4, "text-anchor": "end" }, grouped(off)),
    ]);
    const times = [from, (from + to) / 2, to].map((at, place) =>
      svg("text", { class: "tick", x: x(at), y: HEIGHT - 6, "text-anchor": ["start", "middle", "end"][place] }, ago(to - at)),
    );
    drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    drawing.replaceChildren(
      ...bands,
      ...rules,
      ...times,
      svg("path", { class: "line line-plain", d: line("plain_off") }),
      svg("path", { class: "line line-exact", d: line("exact_off") }),
      ...ends(shown.at(-1), right, y),
    );
    drawing.setAttribute("aria-label", spoken(shown.at(-1)));
  }

  new ResizeObserver(draw).observe(panel);
  return {
    show(samples) {
      latest = samples;
      draw();
    },
  };
}

/** The numbers at the right ends of the lines. */
function ends(last, right, y) {
  if (!last) return [];
  const [plainY, exactY] = labels(y(last.plain_off ?? 0), y(last.exact_off ?? 0));
  const end = (kind, at, text) => svg("text", { class: `end end-${kind}`, x: right + 8, y: at + 4 }, text);
  return [end("plain", plainY, `“+1”: ${last.plain_off ?? "?"}`), end("exact", exactY, `exact: ${last.exact_off ?? "?"}`)];
}

/** The chart in words. */
export function spoken(last) {
  if (!last) return "Nothing was measured yet.";
  const off = (number) => (number === null ? "unknown" : number === 0 ? "exact" : `off by ${number}`);
  return `Now: the counts of Antiphon are ${off(last.exact_off)}, those of “+1” messages are ${off(last.plain_off)}.`;
}
