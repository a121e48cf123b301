// What the page of `antiphon chaos` knows and says. Pure: no DOM, no network.

/** The faults of the queue, in the order of the page. `typical` is what the switch turns on. */
export const FAULTS = [
  { name: "duplicate", label: "Duplicates", says: "A message is delivered twice.", typical: 0.3 },
  { name: "drop", label: "Loss", says: "A message vanishes, and its sender is told that all went well.", typical: 0.3 },
  { name: "reorder", label: "Reordering", says: "Messages overtake each other.", typical: 0.5 },
  { name: "delay", label: "Delay", says: "A message is put off, by up to five seconds.", typical: 0.3 },
  { name: "ack_lost", label: "Lost acks", says: "“I have it” gets lost, so the message comes again.", typical: 0.3 },
  {
    name: "publish_fails_before",
    label: "Refused publishes",
    says: "The queue refuses a message; its sender tries again.",
    typical: 0.2,
  },
  {
    name: "publish_fails_after_accept",
    label: "False refusals",
    says: "The queue takes a message, and says that it did not.",
    typical: 0.2,
  },
];

/** What people do, in the order of the page. */
export const HABITS = [
  { name: "rate", label: "Pace", says: "What all people do together, in a second.", max: 50, step: 1, typical: 12 },
  { name: "impatience", label: "Impatience", says: "One presses the button a second time.", typical: 0.2 },
];

/** 0.3 → "30 %". */
export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** A lag in words: "25 ms", "4.7 s"; "–" where none was measured. */
export function lag(ms) {
  if (ms === undefined || ms === null) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** 12345 → "12,345". */
export function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/gu, ",");
}

/** By how much a count is off, with its sign: "exact", "+3", "−2"; "?" where one of the two is not known. */
export function drift(count, listed) {
  if (count === null || count === undefined || listed === null || listed === undefined) return "?";
  const off = count - listed;
  if (off === 0) return "exact";
  return off > 0 ? `+${grouped(off)}` : `−${grouped(-off)}`;
}

/** What a counter is off by, in large letters. What is on its way or lost comes to one of them, and never to the other. */
export function scored(kind, off) {
  if (off === null || off === undefined) return "unknown";
  if (off === 0) return "exact";
  return kind === "exact" ? `off by ${grouped(off)} for now` : `off by ${grouped(off)}`;
}

/** The samples of before with those that came and are younger, the oldest forgotten. */
export function joinHistory(before, came, max) {
  const last = before.at(-1)?.number ?? 0;
  return [...before, ...came.filter((sample) => sample.number > last)].slice(-max);
}

/** Which faults are on, in words: ["Duplicates 20 %", …]. */
export function faultsOn(faults) {
  return FAULTS.filter(({ name }) => faults[name] > 0).map(({ name, label }) => `${label} ${percent(faults[name])}`);
}

/**
 * In a sentence, what one looks at: {mood, text, spoken}. Moods: calm, broken, healing, healed. `spoken` is for those who
 * listen: it changes when something happens, and not with every number.
 */
export function verdict(state) {
  const away = state.services.filter(({ condition }) => condition !== "running").map(({ name }) => titled(name));
  const broken = [...faultsOn(state.faults), ...away.map((name) => `${name} is away`)];
  const wrong = state.plain_off > 0 ? ` “+1” is off by ${grouped(state.plain_off)}` : "";
  const said = (mood, spoken, more = wrong && `${wrong}.`) => ({ mood, spoken, text: `${spoken}${more}` });
  if (broken.length > 0) return said("broken", `Broken now: ${broken.join(", ")}.`);
  if (state.habits.rate > 0) {
    if (!wrong) return said("calm", "Nothing is broken yet. Choose a day, or turn something on.");
    return said("calm", "Nothing is broken now.", `${wrong}, and stays so.`);
  }
  if (state.quiet && state.exact_off === 0) {
    return said("healed", "Every count is exact.", wrong && `${wrong}, for ever.`);
  }
  if (!state.on_way) return said("healing", "Healing: what was lost is being found.");
  const messages = state.on_way === 1 ? "1 message is" : `${grouped(state.on_way)} messages are`;
  return { ...said("healing", "Healing."), text: `Healing: ${messages} still on the way.${wrong && `${wrong}.`}` };
}

/** "stories" → "Stories". */
export function titled(name) {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** Services that are no services of the platform, in words. */
const NAMES = { "plain-counter": "the “+1” counter" };

/** Where messages of a topic go to, in words. */
export function linkName({ topic, service }) {
  return `${topic.replaceAll("-", " ")} → ${NAMES[service] ?? titled(service)}`;
}

/** Whether both ends of a link have the same rows, in words; "–" where nobody compared. */
export function sameRows({ same, differing_ranges: ranges }) {
  if (same === null || same === undefined) return "–";
  if (same) return "the same";
  return ranges === 0 ? "differ" : `${grouped(ranges)} ${ranges === 1 ? "range differs" : "ranges differ"}`;
}

/** What anti-entropy did, as rows of a table. */
export function repairs({ digests, wants, rows, bytes }) {
  return [
    ["digests: “this is what I have”", grouped(digests)],
    ["wants: “this is what I lack”", grouped(wants)],
    ["rows announced again", grouped(rows)],
    ["sent for all of that", size(bytes)],
  ];
}

/** 512 → "512 B", 131072 → "131 kB". */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Whether a link carries news; the others carry what is asked for. */
export function isNews({ topic }) {
  return !topic.startsWith("wants.");
}
