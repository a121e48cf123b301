// Presses what a reader would press in a real browser, through Chromium's own pipe: no package is needed.
//
//     node press.mjs BROWSER PROFILE URL STEP…
//
// A step is, with tabs between its words, `click SELECTOR`, `keys SELECTOR KEY,KEY…`, `wait SELECTOR TEXT` (until an element's text contains it), or
// `picture FILE WIDTH HEIGHT`. Ends with an error where a step cannot be done.

import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";

const WAIT_MS_MAX = 100_000;
const LOOK_EVERY_MS = 100;

const [browser, profile, url, ...steps] = process.argv.slice(2);
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
const chromium = spawn(
  browser,
  [...flags, "--disable-component-update", "--disable-sync", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);
const [, , , sink, source] = chromium.stdio;

let number = 0;
const waiting = new Map();
let unread = "";
source.on("data", (bytes) => {
  const messages = (unread + bytes).split("\0");
  unread = messages.pop();
  for (const { id, result, error } of messages.map((text) => JSON.parse(text))) {
    const answer = waiting.get(id);
    waiting.delete(id);
    if (error) answer?.reject(new Error(error.message));
    else answer?.resolve(result);
  }
});
chromium.on("exit", () => {
  for (const { reject } of waiting.values()) reject(new Error("the browser ended"));
});

function ask(method, params = {}, sessionId = undefined) {
  number += 1;
  const id = number;
  sink.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const { targetInfos } = await ask("Target.getTargets");
const { targetId } = targetInfos.find(({ type }) => type === "page");
const { sessionId } = await ask("Target.attachToTarget", { targetId, flatten: true });
const page = (method, params) => ask(method, params, sessionId);

async function evaluate(expression) {
  const { result, exceptionDetails } = await page("Runtime.evaluate", { expression, returnByValue: true });
  if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
  return result.value;
}

async function until(expression, what) {
  for (const began = Date.now(); Date.now() - began < WAIT_MS_MAX; await pause(LOOK_EVERY_MS)) {
    if (await evaluate(expression)) return;
  }
  throw new Error(`${what} did not come; the page says: ${await evaluate("document.body.innerText")}`);
}

const element = (selector) => `document.querySelector(${JSON.stringify(selector)})`;

async function resize(width, height) {
  await page("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
}

const actions = {
  async click(selector) {
    await until(`${element(selector)} !== null`, selector);
    await evaluate(`${element(selector)}.click()`);
  },
  async keys(selector, keys) {
    await until(`${element(selector)} !== null`, selector);
    await evaluate(`${element(selector)}.focus()`);
    for (const key of keys.split(",")) {
      const params = key === "Space" ? { key: " ", code: "Space", text: " ", windowsVirtualKeyCode: 32 } : codes[key];
      await page("Input.dispatchKeyEvent", { type: "keyDown", ...params });
      await page("Input.dispatchKeyEvent", { type: "keyUp", ...params });
    }
  },
  async wait(selector, text) {
    await until(`(${element(selector)}?.innerText ?? "").includes(${JSON.stringify(text)})`, `${selector}: ${text}`);
  },
  async picture(file, width, height) {
    await resize(Number(width), Number(height));
    // Until it is drawn in its new size.
    await pause(1500);
    const { data } = await page("Page.captureScreenshot", { format: "png" });
    await writeFile(file, data, "base64");
  },
};

const codes = {
  ArrowRight: { key: "ArrowRight", code: "ArrowRight", windowsVirtualKeyCode: 39 },
  ArrowLeft: { key: "ArrowLeft", code: "ArrowLeft", windowsVirtualKeyCode: 37 },
  Enter: { key: "Enter", code: "Enter", text: "\r", windowsVirtualKeyCode: 13 },
};

try {
  await page("Page.enable");
  await resize(1100, 1400);
  await page("Page.navigate", { url });
  for (const step of steps) {
    const [action, ...words] = step.split("\t");
    await actions[action](...words);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  chromium.kill();
}
