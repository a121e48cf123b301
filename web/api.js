// The HTTP API, as functions that either answer or throw a `Problem`.
//
// What may be repeated without harm is repeated: reads, PUT, PATCH and DELETE, and a POST that carries an
// Idempotency-Key. A repetition has the same key and body, so it is the same action however often it arrives.

const TIMEOUT_MS = 15_000;
const ATTEMPTS_MAX = 4;
const PAUSE_MS = 400;
const TOKEN_MS_MAX = 2_000;
/** A server that wants us to wait longer than this is better asked again by the reader. */
const RETRY_AFTER_MS_MAX = 10_000;

/** Why a request failed. `status` is 0 where no answer came. */
export class Problem extends Error {
  constructor({ status = 0, title = "", detail = "", field = null, retryAfterMs = null }) {
    super(detail || title || `the server answered ${status}`);
    this.name = "Problem";
    this.status = status;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed a little later. */
  get passing() {
    return this.status === 0 || [408, 429, 502, 503, 504].includes(this.status);
  }
}

/** 32 random hex digits. `crypto.randomUUID` is missing where a page is served over plain HTTP. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Who knows the reader's token; `session.js` puts itself here. */
let tokens = { current: async () => null, renewed: async () => null };
export function useTokens(source) {
  tokens = source;
}

/**
 * One request, with repetitions.
 *
 * `auth`: "none" (or the one token given as `bearer`), "required", or "optional": the reader's token goes along, but
 * an answer without it is better than none.
 */
export async function call(method, path, { body, key, auth = "none", bearer = null, signal } = {}) {
  const repeatable = method !== "POST" || key !== undefined;
  // A reader who could do without a token does not wait long for one: Users may be down, and this asks another service.
  const soon = (promise) => (auth === "optional" ? Promise.race([promise, pause(TOKEN_MS_MAX, signal)]) : promise);
  let token = auth === "none" ? bearer : ((await soon(tokens.current())) ?? null);
  let renewed = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(method, path, { body, key, token, signal });
    } catch (problem) {
      if (signal?.aborted || !(problem instanceof Problem)) throw problem;
      // 503 can mean that this token's signing key is not known there. A newer token may help, and so may patience.
      const tokenRefused = auth !== "none" && token !== null && (problem.status === 401 || problem.status === 503);
      if (tokenRefused && !renewed && (auth === "optional" || problem.status === 401 || attempt > 1)) {
        renewed = true;
        token = (await soon(tokens.renewed(token).catch(() => token))) ?? null;
        continue;
      }
      if (tokenRefused && auth === "optional") {
        token = null;
        continue;
      }
      const wait = problem.retryAfterMs ?? PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
      if (!problem.passing || !repeatable || attempt >= ATTEMPTS_MAX || wait > RETRY_AFTER_MS_MAX) throw problem;
      await pause(wait, signal);
    }
  }
}

async function once(method, path, { body, key, token, signal }) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key !== undefined) headers["Idempotency-Key"] = key;
  if (token) headers.Authorization = `Bearer ${token}`;

  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  const leave = () => stop.abort();
  signal?.addEventListener("abort", leave);
  if (signal?.aborted) stop.abort();
  try {
    const response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      // Asks the server each time, which may answer that nothing has changed.
      cache: "no-cache",
      credentials: "omit",
      redirect: "error",
      signal: stop.signal,
    });
    if (!response.ok) throw await problemOf(response);
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (error instanceof Problem || signal?.aborted) throw error;
    const detail = stop.signal.aborted ? "the server took too long to answer" : "the server cannot be reached";
    throw new Problem({ detail });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", leave);
  }
}

async function problemOf(response) {
  const document = await response.json().catch(() => null);
  const told = typeof document === "object" && document !== null ? document : {};
  const text = (value) => (typeof value === "string" ? value : "");
  return new Problem({
    status: response.status,
    title: text(told.title),
    detail: text(told.detail),
    field: text(told.field) || null,
    retryAfterMs: retryAfter(response.headers.get("Retry-After"), Date.now()),
  });
}

/** A Retry-After header, seconds or a date, in milliseconds from now. */
export function retryAfter(header, now) {
  if (header === null || header.trim() === "") return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    }
  });
}

/** A path with its query; what is null is left out. */
export function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
