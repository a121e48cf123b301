import assert from "node:assert/strict";
import { afterEach, before, mock, test } from "node:test";
import { session } from "./session.js";
import { inTurns, keeper, merged, storyOf } from "./shelf.js";

const answer = (body, status = 200) => new Response(JSON.stringify(body), { status });

before(async () => {
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  mock.method(globalThis, "fetch", async () => answer({ user: { id: "u", name: "Orla" }, token: "t", expires_at }, 201));
  await session.create("Orla", null);
});

afterEach(() => mock.restoreAll());

/** A shelf, each of whose answers waits until it is let go. */
function users() {
  const on = new Set();
  const waiting = [];
  const sent = [];
  mock.method(globalThis, "fetch", async (path, { method, headers }) => {
    assert.equal(headers.Authorization, "Bearer t");
    const story = path.match(/^\/v1\/users\/u\/shelf\/(.+)$/)[1];
    sent.push(`${method} ${story}`);
    if (method === "PUT") on.add(story);
    if (method === "DELETE") on.delete(story);
    const told = { story, on_shelf: on.has(story) };
    await new Promise((resolve) => waiting.push(resolve));
    return story === "full" ? answer({ detail: "the shelf is full" }, 409) : answer(told);
  });
  const next = async () => {
    while (waiting.length === 0) await new Promise(setImmediate);
    waiting.shift()();
  };
  return { on, sent, next };
}

test("what the reader does is shown at once, and sent once however often they press", async () => {
  const { sent, next } = users();
  const shown = [];
  const keep = keeper("s", (on) => shown.push(on));
  const turned = keep.turn();
  await Promise.all([keep.turn(), next(), turned]);
  assert.deepEqual(shown, [false, true, true]);
  assert.deepEqual(sent, ["PUT s"]);
  await Promise.all([keep.turn(), next()]);
  assert.deepEqual(sent, ["PUT s", "DELETE s"]);
  assert.equal(shown.at(-1), false);
});

test("a refusal is undone and passed on", async () => {
  const { next } = users();
  const shown = [];
  const keep = keeper("full", (on) => shown.push(on));
  await Promise.all([assert.rejects(keep.turn(), { status: 409 }), next()]);
  assert.deepEqual(shown, [false, true, false]);
});

test("an answer asked for before the reader's change says nothing of it", async () => {
  const { on, next } = users();
  const shown = [];
  const keep = keeper("s", (is) => shown.push(is));
  const early = keep.refresh();
  await new Promise(setImmediate);
  const turned = keep.turn();
  await Promise.all([next(), next(), early, turned]);
  assert.equal(shown.at(-1), true);
  const listing = keep.listener();
  on.delete("s");
  await Promise.all([keep.refresh(), next()]);
  assert.equal(shown.at(-1), false, "but one asked for afterwards does");
  listing(true);
  assert.equal(shown.at(-1), true);
});

test("what is new comes first, and what was taken off stays where it was while it is shown", () => {
  const rows = new Map([..."abc"].map((id) => [id, {}]));
  assert.deepEqual(merged([..."abcd"], [..."xac"], rows), [..."xabc"], "b was taken off, and so was d, which nobody saw");
  assert.deepEqual(merged([], [..."ab"], new Map()), [..."ab"]);
});

test("so many at a time, and all of them", async () => {
  let now = 0;
  let most = 0;
  const done = [];
  await inTurns([..."abcdefg"], 3, async (item) => {
    most = Math.max(most, (now += 1));
    await new Promise(setImmediate);
    now -= 1;
    done.push(item);
  });
  assert.equal(most, 3);
  assert.deepEqual(done.sort(), [..."abcdefg"]);
});

test("a story that is not there is settled, and one that cannot be asked for is not", async () => {
  const status = { gone: 410, lost: 404, odd: 400, there: 200 };
  mock.method(globalThis, "fetch", async (path) => {
    const id = path.split("/").at(-1);
    return answer({ id }, status[id]);
  });
  assert.deepEqual(await storyOf("there"), { story: { id: "there" }, settled: true });
  for (const id of ["gone", "lost"]) assert.deepEqual(await storyOf(id), { story: null, settled: true });
  assert.deepEqual(await storyOf("odd"), { story: null, settled: false });
});
