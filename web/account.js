// The reader's name: choosing one, changing it, and the corner of the page that shows it.

import { ask } from "./dialog.js";
import { h } from "./dom.js";
import { pictureAddress } from "./format.js";
import { person } from "./people.js";
import { Problem } from "./api.js";
import { session } from "./session.js";

/** Only one question at a time, however many buttons want a name. */
let asking = null;

/** The reader's account, after asking for a name if there is none yet; null if they would rather not. */
export async function needAccount() {
  if (session.user) return session.user;
  asking ??= ask({
    title: "Choose a name",
    text: "It is shown beside what you write. You can change it whenever you like; it then changes everywhere.",
    action: "Continue",
    fields: fields({ name: "", avatar: null }),
    send: (data) => session.create(...chosen(data)),
  }).finally(() => (asking = null));
  await asking;
  return session.user;
}

function changeProfile() {
  return ask({
    title: "Your name and picture",
    text: "Readers see them beside all that you ever wrote, within moments.",
    action: "Save",
    fields: fields(session.user),
    send: (data) => {
      const [name, picture] = chosen(data);
      return session.update({ name, avatar: picture });
    },
  });
}

function fields(user) {
  const name = h("input", { name: "name", required: true, maxlength: 64, autocomplete: "nickname", value: user.name });
  const picture = h("input", {
    name: "avatar",
    type: "url",
    maxlength: 2048,
    placeholder: "https://…",
    autocomplete: "photo",
    value: user.avatar ?? "",
  });
  return [
    { label: "Name", element: name },
    {
      label: "Picture",
      hint: "The address of an image, if you like. Without one, your initials are shown.",
      element: picture,
    },
  ];
}

function chosen(data) {
  const name = data.get("name").trim();
  const address = data.get("avatar").trim();
  if (name === "") throw new Problem({ detail: "please choose a name" });
  if (address !== "" && pictureAddress(address) === null) {
    throw new Problem({ detail: "the picture's address must start with https:// or http://" });
  }
  return [name, address === "" ? null : address];
}

/** Shows the reader's library and name in `corner`, or a button to choose one. */
export function showAccount(corner) {
  const enter = h("button", { class: "button", type: "button", on: { click: needAccount } }, "Choose a name");
  const library = h("a", { class: "library-link", href: "/library" }, "Library");
  let me = null;
  function show() {
    if (!session.user) {
      corner.replaceChildren(enter);
    } else if (me === null) {
      me = person(session.user, "small");
      const label = "Change your name and picture";
      corner.replaceChildren(
        library,
        h(
          "button",
          { class: "account", type: "button", "aria-label": label, title: label, on: { click: changeProfile } },
          me.element,
        ),
      );
    } else {
      me.show(session.user);
    }
  }
  session.addEventListener("change", show);
  show();
}
