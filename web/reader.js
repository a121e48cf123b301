// Who reads, for those without an account: a random name that this browser made once and keeps. Nobody learns more
// from it than that somebody came back.

import { newKey } from "./api.js";
import { local } from "./storage.js";

const KEY = "antiphon.reader";
/** What the server takes: 22 to 255 visible characters. */
const NAME = /^[!#-[\]-~]{22,255}$/;

let made = null;

export function readerName(storage = local) {
  const kept = storage.getItem(KEY);
  if (kept !== null && NAME.test(kept)) return kept;
  // Where nothing can be kept, it lives as long as the page.
  made ??= newKey();
  try {
    storage.setItem(KEY, made);
  } catch {
    return made;
  }
  // Another tab may have made one at the same moment: both take the one that stays.
  return storage.getItem(KEY) ?? made;
}
