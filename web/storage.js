// A place that survives the page. Where the browser forbids that (private windows, blocked cookies), a stand-in with
// the same methods that lives as long as the page does, so that nothing else needs to ask.

class Memory {
  #items = new Map();
  get length() {
    return this.#items.size;
  }
  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#items.set(key, String(value));
  }
  removeItem(key) {
    this.#items.delete(key);
  }
}

function usable(name) {
  try {
    const storage = globalThis[name];
    const probe = "antiphon.probe";
    storage.setItem(probe, probe);
    storage.removeItem(probe);
    return storage;
  } catch {
    return new Memory();
  }
}

export { Memory };

/** Shared by this browser's tabs, and kept. */
export const local = usable("localStorage");

/** This tab's own, gone with it. */
export const tab = usable("sessionStorage");

/** The JSON stored under a key, or null where there is none, or none that can be read. */
export function readJson(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}
