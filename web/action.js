// One thing that the reader does, however often it has to be sent.
//
// The key is made with the first attempt and kept, over a reload of the tab too, until the action succeeded. Another
// body is another action, for the server refuses a key that it knows with a body that it does not.

import { newKey } from "./api.js";
import { readJson, tab } from "./storage.js";

const PREFIX = "antiphon.action.";

export class Action {
  #name;
  #storage;
  #begun = null;

  /** `name` tells the tab's unfinished actions apart, for example the parts commented on. */
  constructor(name, storage = tab) {
    this.#name = PREFIX + name;
    this.#storage = storage;
  }

  /** The key to send this body with. */
  key(body) {
    const wanted = JSON.stringify(body);
    this.#begun ??= readJson(this.#storage, this.#name);
    if (this.#begun?.body !== wanted || typeof this.#begun.key !== "string") {
      this.#begun = { key: newKey(), body: wanted };
      this.#keep();
    }
    return this.#begun.key;
  }

  /** It succeeded: the next one is a new one. */
  done() {
    this.#begun = null;
    this.#storage.removeItem(this.#name);
  }

  #keep() {
    try {
      this.#storage.setItem(this.#name, JSON.stringify(this.#begun));
    } catch {
      // No room: then the key lives as long as the page.
    }
  }
}
