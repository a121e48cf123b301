// How numbers, dates and people are written. Pure, but for the reader's own language and time zone.

const UNITS = [
  [1_000_000_000, "B"],
  [1_000_000, "M"],
  [1_000, "K"],
];

/** 9.2M, 74.9K, 50.3K, 999. Cut, not rounded: a number that has not been reached is never shown. */
export function abbreviated(number) {
  for (const [unit, letter] of UNITS) {
    if (number >= unit) {
      const step = unit / 10;
      // Remainder first: the division is then exact, where floor(number / step) can round up for large numbers.
      const tenths = (number - (number % step)) / step;
      return `${tenths / 10}${letter}`;
    }
  }
  return String(number);
}

/** "50358 Comments", "1 Comment". */
export function counted(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** A time from the server in the reader's words; "" where it is not a time. */
export function dateTime(text) {
  return written(DATE_TIME, text);
}

export function date(text) {
  return written(DATE, text);
}

export function exactTime(text) {
  return written(EXACT, text);
}

function written(format, text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? "" : format.format(time);
}

/** One or two letters for a person: "Maren Holt" → "MH", "orla" → "O". */
export function initials(name) {
  const words = (name ?? "").split(/[\s._-]+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = words.map((word) => word.match(/[\p{L}\p{N}]/u)[0]);
  const chosen = letters.length > 1 ? [letters[0], letters.at(-1)] : letters;
  return chosen.join("").toLocaleUpperCase() || "?";
}

/** A colour that is always the same for the same id, dark enough for white letters. */
export function colourOf(id) {
  let hash = 0;
  for (const letter of id ?? "") hash = (Math.imul(hash, 31) + letter.codePointAt(0)) >>> 0;
  return `hsl(${hash % 360}, 42%, 36%)`;
}

/** The start of a text, at most so many characters, cut at a word where there is one. */
export function excerpt(text, lengthMax) {
  const line = text.replace(/\s+/gu, " ").trim();
  const letters = [...line];
  if (letters.length <= lengthMax) return line;
  const cut = letters.slice(0, lengthMax - 1).join("");
  const space = cut.lastIndexOf(" ");
  const whole = space > lengthMax / 2 ? cut.slice(0, space) : cut;
  return `${whole.replace(/[\s,;:.–—-]+$/u, "")}…`;
}

/** An address that may be shown as a picture, or null. */
export function pictureAddress(text) {
  if (typeof text !== "string") return null;
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}
