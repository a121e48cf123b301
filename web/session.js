// Who the reader is.
//
// An account is made by sending a name with a random key. The key is the account's secret: it stays in this browser,
// and whoever sends it again gets a token of the same account. So it is stored before it is first sent, together with what
// was sent with it, and an account is never lost to an answer that did not arrive.

import { Problem, call, newKey, useTokens } from "./api.js";
import { local, readJson } from "./storage.js";

const KEY = "antiphon.session";
/** Renew when less than a third of the token's life remains, and never later than this before its end. */
const RENEW_MS_MIN = 120_000;
/** With less life than this it may end on the way. */
const EXPIRED_MS = 5_000;

export class Session extends EventTarget {
  #storage;
  #state;
  #renewing = null;

  constructor(storage = local) {
    super();
    this.#storage = storage;
    this.#state = readJson(storage, KEY) ?? {};
  }

  /** `{id, name, avatar}`, or null while the reader has chosen no name. */
  get user() {
    return this.#state.user ?? null;
  }

  isMe(author) {
    return this.user !== null && author?.id === this.user.id;
  }

  /** The author as this page should show them: the reader's own name is known here first. */
  shown(author) {
    return this.isMe(author) ? this.user : author;
  }

  /** Makes the account, or finishes making it. */
  async create(name, avatar) {
    // Another tab may have made one while this one asked for a name.
    this.heard();
    if (this.user) return this.update({ name, avatar });
    if (!this.#state.born) this.#put({ key: newKey() + newKey(), born: { name, avatar } });
    const { born } = this.#state;
    try {
      await this.#enter();
    } catch (problem) {
      // Refused, so nothing was made of it, and the next attempt may be another name.
      if (problem instanceof Problem && !problem.passing) this.#put({});
      throw problem;
    }
    if (born.name !== name || born.avatar !== avatar) await this.update({ name, avatar });
    return this.user;
  }

  async update(change) {
    const user = await call("PATCH", `/v1/users/${this.user.id}`, { body: change, auth: "required" });
    this.#put({ ...this.#state, user });
    return user;
  }

  /** A token that is good for a while, or null where there is no account. */
  async current() {
    if (!this.#state.token) return this.#state.key && this.user ? this.renewed() : null;
    const left = Date.parse(this.#state.expires_at) - Date.now();
    if (left < Math.max(RENEW_MS_MIN, (this.#state.life_ms ?? 0) / 3)) {
      const renewal = this.renewed().catch(() => this.#state.token);
      // Nobody waits for Users while the old one is still good.
      if (left < EXPIRED_MS) return renewal;
    }
    return this.#state.token;
  }

  /** A new token: from the one we have while it is good, otherwise from the account's key. */
  async renewed(refused) {
    if (!this.#state.key) return null;
    // Somebody else's request, or another tab, may have renewed it already.
    if (refused && refused !== this.#state.token) return this.#state.token;
    this.#renewing ??= this.#renew(refused).finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renew(refused) {
    const { token, user } = this.#state;
    if (token && !refused) {
      try {
        const answer = await call("POST", `/v1/users/${user.id}/tokens`, {
          auth: "none",
          key: newKey(),
          bearer: token,
        });
        this.#enterWith(answer);
        return answer.token;
      } catch (problem) {
        if (!(problem instanceof Problem) || ![401, 403, 404].includes(problem.status)) throw problem;
      }
    }
    return this.#enter();
  }

  async #enter() {
    const { key, born } = this.#state;
    const body = born.avatar ? born : { name: born.name };
    const answer = await call("POST", "/v1/users", { body, key });
    this.#enterWith(answer);
    return answer.token;
  }

  #enterWith({ user, token, expires_at }) {
    const life_ms = Date.parse(expires_at) - Date.now();
    this.#put({ ...this.#state, user, token, expires_at, life_ms });
  }

  /** For the window's `storage` event: another tab changed the account. */
  heard() {
    const told = readJson(this.#storage, KEY);
    if (told !== null) this.#take(told);
  }

  #put(state) {
    try {
      this.#storage.setItem(KEY, JSON.stringify(state));
    } catch {
      // No room: then the account lives as long as the page.
    }
    this.#take(state);
  }

  /** Tells of a change only where others can see one. */
  #take(state) {
    const before = JSON.stringify(this.user);
    this.#state = state;
    if (JSON.stringify(this.user) !== before) this.dispatchEvent(new Event("change"));
  }
}

export const session = new Session();
useTokens(session);
globalThis.window?.addEventListener("storage", ({ key }) => key === KEY && session.heard());
