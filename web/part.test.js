import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { saver } from "./part.js";

afterEach(() => mock.restoreAll());

/** Loses so many answers, then gives them; notes the key of every request. */
function server(lose) {
  const keys = [];
  mock.method(globalThis, "fetch", async (path, { method, headers }) => {
    assert.deepEqual([method, path], ["PATCH", "/v1/parts/p"]);
    keys.push(headers["Idempotency-Key"]);
    if (keys.length <= lose) return new Response("{}", { status: 503, headers: { "Retry-After": "0" } });
    return new Response(JSON.stringify({ id: "p" }));
  });
  return keys;
}

test("an edit is one edit however often it is sent, and saved again by hand", async () => {
  const keys = server(5);
  const save = saver("p");
  const change = { title: "a", paragraphs: [{ text: "new" }] };
  await assert.rejects(save(change), { status: 503 });
  assert.deepEqual(await save(change), { id: "p" });
  assert.equal(keys.length, 6);
  assert.match(keys[0], /^[0-9a-f]{32}$/);
  assert.equal(new Set(keys).size, 1);
});

test("another text, and the same in an editor opened later, is another edit", async () => {
  const keys = server(4);
  const save = saver("p");
  await assert.rejects(save({ title: "a", paragraphs: [] }), { status: 503 });
  await save({ title: "b", paragraphs: [] });
  await saver("p")({ title: "a", paragraphs: [] });
  assert.equal(keys.length, 6);
  assert.equal(new Set(keys).size, 3);
});
