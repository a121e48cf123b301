import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { useTokens } from "./api.js";
import { Session } from "./session.js";
import { Memory } from "./storage.js";

afterEach(() => mock.restoreAll());

/** A small Users: accounts by key, tokens that say whose they are. */
function users({ lose = 0, life_s = 3600 } = {}) {
  const accounts = new Map();
  const sent = [];
  let lost = 0;
  let tokens = 0;
  const answer = (status, body) => new Response(JSON.stringify(body), { status });
  const entered = (user) => ({
    user,
    token: `${user.id}.${(tokens += 1)}`,
    expires_at: new Date(Date.now() + life_s * 1000).toISOString(),
  });
  mock.method(globalThis, "fetch", async (path, { method, headers, body }) => {
    const told = body && JSON.parse(body);
    sent.push(`${method} ${path}`);
    if (path === "/v1/users") {
      const key = headers["Idempotency-Key"];
      const known = accounts.get(key);
      if (known && known.body !== body) return answer(409, { detail: "the key was used with another body" });
      if (told.name === "bad") return answer(422, { detail: "not a name", field: "name" });
      const user = known?.user ?? { id: `u${accounts.size}`, name: told.name, avatar: told.avatar ?? null };
      accounts.set(key, { body, user });
      if ((lost += 1) <= lose) throw new TypeError("network");
      return answer(201, entered(user));
    }
    const [, , , id, tail] = path.split("/");
    const account = [...accounts.values()].find(({ user }) => user.id === id);
    if (!account || !headers.Authorization?.startsWith(`Bearer ${id}.`)) return answer(401, {});
    if (tail === "tokens") return answer(201, entered(account.user));
    Object.assign(account.user, told);
    return answer(200, account.user);
  });
  return { accounts, sent };
}

test("a name makes an account, and the browser keeps it", async () => {
  const { accounts } = users();
  const storage = new Memory();
  const session = new Session(storage);
  assert.equal(session.user, null);
  await session.create("Orla", null);
  assert.equal(new Session(storage).user.name, "Orla");
  assert.equal(accounts.size, 1);
});

test("an answer that was lost makes no second account, not even with another name", async () => {
  const { accounts } = users({ lose: 4 });
  const storage = new Memory();
  await assert.rejects(new Session(storage).create("Orla", null));
  const session = new Session(storage);
  useTokens(session);
  assert.equal(session.user, null);
  await session.create("Orla the Second", null);
  assert.equal(accounts.size, 1);
  assert.equal(session.user.name, "Orla the Second");
});

test("a refused name can be followed by another", async () => {
  users();
  const session = new Session(new Memory());
  await assert.rejects(session.create("bad", null), { status: 422, field: "name" });
  assert.equal((await session.create("good", null)).name, "good");
});

test("a token is used while it lasts, and renewed before its end", async () => {
  const { sent } = users();
  const session = new Session(new Memory());
  await session.create("Orla", null);
  assert.equal(await session.current(), await session.current());
  assert.deepEqual(sent, ["POST /v1/users"]);

  const brief = users({ life_s: 60 });
  const other = new Session(new Memory());
  await other.create("Orla", null);
  await Promise.all([other.current(), other.current()]);
  assert.deepEqual(brief.sent, ["POST /v1/users", "POST /v1/users/u0/tokens"], "once for all who wait");
});

test("a refused token is replaced with the account's key", async () => {
  const { sent, accounts } = users();
  const session = new Session(new Memory());
  await session.create("Orla", null);
  const old = await session.current();
  const token = await session.renewed(old);
  assert.notEqual(token, old);
  assert.equal(await session.renewed(old), token, "whoever comes later gets the one made already");
  assert.deepEqual(sent, ["POST /v1/users", "POST /v1/users"]);
  assert.equal(accounts.size, 1);
});

test("a name changed in another tab is known here", async () => {
  users();
  const storage = new Memory();
  const [one, two] = [new Session(storage), new Session(storage)];
  let changes = 0;
  two.addEventListener("change", () => (changes += 1));
  useTokens(one);
  await one.create("Orla", null);
  two.heard();
  await one.update({ name: "Orla B." });
  two.heard();
  assert.equal(two.user.name, "Orla B.");
  assert.equal(two.shown({ id: two.user.id, name: "Orla", avatar: null }).name, "Orla B.");
  assert.equal(two.shown({ id: "x", name: "Ines" }).name, "Ines");
  assert.equal(changes, 2);
});
