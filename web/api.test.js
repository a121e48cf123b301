import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { Action } from "./action.js";
import { Problem, call, newKey, retryAfter, useTokens, withQuery } from "./api.js";
import { Memory } from "./storage.js";

afterEach(() => {
  mock.restoreAll();
  useTokens({ current: async () => null, renewed: async () => null });
});

/** Answers the requests one after the other, the last one for ever, and notes what was sent. */
function server(...answers) {
  const sent = [];
  mock.method(globalThis, "fetch", async (path, options) => {
    sent.push({ path, ...options });
    const answer = answers[Math.min(sent.length, answers.length) - 1];
    if (answer instanceof Error) throw answer;
    const { status = 200, body = {}, headers = {} } = answer;
    return new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
  });
  return sent;
}

test("an answer is its JSON, and 204 is null", async () => {
  server({ body: { a: 1 } });
  assert.deepEqual(await call("GET", "/x"), { a: 1 });
  server({ status: 204 });
  assert.equal(await call("POST", "/x"), null);
});

test("a problem document becomes a problem", async () => {
  server({ status: 422, body: { title: "invalid", detail: "the text is empty", field: "text" } });
  await assert.rejects(call("POST", "/x", { key: newKey(), body: {} }), (problem) => {
    assert.ok(problem instanceof Problem);
    assert.deepEqual([problem.status, problem.message, problem.field], [422, "the text is empty", "text"]);
    return true;
  });
});

test("a busy server is asked again after the time that it names, with the same key and body", async () => {
  const sent = server({ status: 503, headers: { "Retry-After": "0" } }, new TypeError("network"), {
    status: 201,
    body: { id: 1 },
  });
  await call("POST", "/x", { key: "k".repeat(32), body: { text: "hello" } });
  assert.equal(sent.length, 3);
  assert.equal(new Set(sent.map(({ headers, body }) => headers["Idempotency-Key"] + body)).size, 1);
});

test("a POST without a key is sent once", async () => {
  const sent = server({ status: 503, headers: { "Retry-After": "0" } });
  await assert.rejects(call("POST", "/x"), { status: 503 });
  assert.equal(sent.length, 1);
});

test("the patience is bounded, in attempts and in time", async () => {
  const sent = server({ status: 503, headers: { "Retry-After": "0" } });
  await assert.rejects(call("GET", "/x"), { status: 503 });
  assert.equal(sent.length, 4);
  const once = server({ status: 503, headers: { "Retry-After": "3600" } });
  await assert.rejects(call("GET", "/x"), { status: 503 });
  assert.equal(once.length, 1);
});

test("what is wrong is not sent again", async () => {
  for (const status of [400, 403, 404, 409, 410, 413, 500]) {
    const sent = server({ status });
    await assert.rejects(call("GET", "/x"), { status });
    assert.equal(sent.length, 1);
  }
});

test("a refused token is renewed, once", async () => {
  useTokens({ current: async () => "old", renewed: async () => "new" });
  const sent = server({ status: 401 }, { body: { ok: true } });
  await call("PUT", "/x", { auth: "required" });
  assert.deepEqual(
    sent.map(({ headers }) => headers.Authorization),
    ["Bearer old", "Bearer new"],
  );
  const refused = server({ status: 401 });
  await assert.rejects(call("PUT", "/x", { auth: "required" }), { status: 401 });
  assert.equal(refused.length, 2);
});

test("what everybody may read is read without a token rather than not at all", async () => {
  useTokens({ current: async () => "old", renewed: async () => Promise.reject(new Problem({ status: 503 })) });
  for (const status of [401, 503]) {
    const sent = server({ status }, { status }, { body: { ok: true } });
    assert.deepEqual(await call("GET", "/x", { auth: "optional" }), { ok: true });
    assert.equal(sent.at(-1).headers.Authorization, undefined);
  }
});

test("leaving the page ends a request", async () => {
  const leave = new AbortController();
  mock.method(
    globalThis,
    "fetch",
    (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  const asked = call("GET", "/x", { signal: leave.signal });
  setTimeout(() => leave.abort(), 5);
  await assert.rejects(asked, { name: "AbortError" });
});

test("Retry-After is seconds or a date", () => {
  const now = Date.parse("2025-01-01T00:00:00Z");
  assert.equal(retryAfter("2", now), 2000);
  assert.equal(retryAfter("Wed, 01 Jan 2025 00:00:05 GMT", now), 5000);
  assert.equal(retryAfter("Tue, 31 Dec 2024 00:00:00 GMT", now), 0);
  for (const nothing of [null, "", "soon"]) assert.equal(retryAfter(nothing, now), null);
});

test("a query leaves out what is null", () => {
  assert.equal(withQuery("/x", { cursor: null }), "/x");
  assert.equal(withQuery("/x", { cursor: "a b&c", limit: 20 }), "/x?cursor=a+b%26c&limit=20");
});

test("an action keeps its key until it is done, over a reload too, and another body has another", () => {
  const storage = new Memory();
  const key = new Action("a", storage).key({ text: "hello" });
  assert.match(key, /^[0-9a-f]{32}$/);
  assert.equal(new Action("a", storage).key({ text: "hello" }), key);
  assert.notEqual(new Action("b", storage).key({ text: "hello" }), key);
  const action = new Action("a", storage);
  assert.notEqual(action.key({ text: "other" }), key);
  const second = action.key({ text: "hello" });
  action.done();
  assert.notEqual(action.key({ text: "hello" }), second);
});
