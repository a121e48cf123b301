// The first module of every page: routes, and the corner with the reader's name.

import { showAccount } from "./account.js";
import { partPage } from "./part.js";
import { start } from "./router.js";
import { shelfPage } from "./shelf.js";
import { frontPage, storyPage } from "./stories.js";

showAccount(document.getElementById("account"));
start([
  [/^\/$/, frontPage],
  [/^\/library$/, shelfPage],
  [/^\/stories\/([0-9a-f]{32})$/, storyPage],
  [/^\/parts\/([0-9a-f]{32})$/, partPage],
]);
