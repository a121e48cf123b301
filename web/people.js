// How a person is shown: the avatar, the name, and both again when either changes.

import { h, setText, svg } from "./dom.js";
import { colourOf, initials, pictureAddress } from "./format.js";
import { session } from "./session.js";

/** Shown for an author whose name has not reached this service yet. */
const UNNAMED = "Somebody";

/** An element that shows a person's avatar; call its `show(author)` when they may have changed. */
export function avatar(author, size = "medium") {
  const frame = h("span", { class: `avatar avatar-${size}`, "aria-hidden": "true" });
  let shown;
  function show(told) {
    const { id, name, avatar: address } = session.shown(told) ?? {};
    const wanted = JSON.stringify([id, name, address]);
    if (wanted === shown) return;
    shown = wanted;
    const drawn = letters(id, name);
    const picture = pictureAddress(address);
    if (picture === null) {
      frame.replaceChildren(drawn);
      return;
    }
    const image = h("img", {
      alt: "",
      width: 40,
      height: 40,
      loading: "lazy",
      decoding: "async",
      referrerpolicy: "no-referrer",
      on: { error: () => image.replaceWith(drawn) },
    });
    image.src = picture;
    frame.replaceChildren(image);
  }
  show(author);
  return { element: frame, show };
}

function letters(id, name) {
  if (!id) return nobody();
  return svg(
    "svg",
    { viewBox: "0 0 40 40" },
    svg("rect", { width: 40, height: 40, fill: colourOf(id) }),
    svg("text", { x: 20, y: 20, dy: ".35em", "text-anchor": "middle", fill: "#fff" }, initials(name)),
  );
}

/** For a reader without a name yet, and where there is nobody to show. */
function nobody() {
  return svg(
    "svg",
    { class: "nobody", viewBox: "0 0 40 40" },
    svg("circle", { cx: 20, cy: 15.5, r: 6.5 }),
    svg("path", { d: "M7 40a13 13 0 0 1 26 0z" }),
  );
}

/** An element with a person's name, kept apart from the text around it whatever its script. */
export function personName(author) {
  const element = h("bdi", { class: "name" });
  function show(told) {
    setText(element, session.shown(told)?.name ?? UNNAMED);
  }
  show(author);
  return { element, show };
}

/** Avatar and name side by side. */
export function person(author, size) {
  const picture = avatar(author, size);
  const name = personName(author);
  const element = h("span", { class: "person" }, picture.element, name.element);
  const show = (told) => {
    picture.show(told);
    name.show(told);
  };
  return { element, show };
}
