// The pages' few pictures, drawn on a grid of 24.

import { svg } from "./dom.js";

const SHAPES = {
  eye: ["M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Z", "M15 12a3 3 0 1 1-6 0 3 3 0 0 1 6 0Z"],
  star: ["m12 3.2 2.7 5.6 6.1.8-4.5 4.3 1.1 6.1L12 17.1 6.6 20l1.1-6.1-4.5-4.3 6.1-.8L12 3.2Z"],
  bubble: [
    "M20.5 11.5a7.8 7.8 0 0 1-8.3 7.6 9.2 9.2 0 0 1-3-.5L4 20.5l1.5-4.1a7.2 7.2 0 0 1-2-4.9c0-4.2 3.8-7.6 8.5-7.6s8.5 3.4 8.5 7.6Z",
  ],
  plus: ["M12 5v14", "M5 12h14"],
  left: ["m14.5 5-7 7 7 7"],
  right: ["m9.5 5 7 7-7 7"],
  up: ["m5 14.5 7-7 7 7"],
  down: ["m5 9.5 7 7 7-7"],
  cross: ["m6 6 12 12", "M18 6 6 18"],
  bookmark: ["M6.5 3.8h11v16.4L12 16.4l-5.5 3.8V3.8Z"],
};

export function icon(name) {
  const shapes = SHAPES[name].map((d) => svg("path", { d }));
  return svg("svg", { class: `icon icon-${name}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, shapes);
}

/** The three dots of a menu. */
export function dots() {
  const circles = [5, 12, 19].map((cx) => svg("circle", { cx, cy: 12, r: 1.9 }));
  return svg("svg", { class: "icon icon-dots", viewBox: "0 0 24 24", "aria-hidden": "true" }, circles);
}
