// Asks again and again while somebody is looking.

const EVERY_MS = 10_000;
const EVERY_MS_MAX = 120_000;

/**
 * Calls `refresh` about every ten seconds while the page is visible, and at once when it becomes so. After failures it
 * asks less often, so that a server in trouble is not asked by everybody at once. Ends with `signal`.
 */
export function poll(refresh, signal) {
  let timer;
  let failures = 0;
  let running = false;

  async function turn() {
    clearTimeout(timer);
    if (signal.aborted || document.hidden || running) return;
    running = true;
    try {
      await refresh();
      failures = 0;
    } catch {
      failures += 1;
    }
    running = false;
    wait();
  }

  function wait() {
    clearTimeout(timer);
    const pause = Math.min(EVERY_MS * 2 ** failures, EVERY_MS_MAX) * (0.85 + 0.3 * Math.random());
    if (!signal.aborted) timer = setTimeout(turn, pause);
  }

  document.addEventListener("visibilitychange", turn, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  wait();
}
