import assert from "node:assert/strict";
import { test } from "node:test";
import { abbreviated, colourOf, counted, dateTime, excerpt, initials, pictureAddress } from "./format.js";

test("numbers are cut to one digit behind the point, never rounded up", () => {
  const cases = [
    [0, "0"],
    [1, "1"],
    [999, "999"],
    [1_000, "1K"],
    [1_099, "1K"],
    [1_100, "1.1K"],
    [1_999, "1.9K"],
    [50_358, "50.3K"],
    [50_399, "50.3K"],
    [50_400, "50.4K"],
    [74_900, "74.9K"],
    [74_999, "74.9K"],
    [75_000, "75K"],
    [999_999, "999.9K"],
    [1_000_000, "1M"],
    [9_200_000, "9.2M"],
    [9_299_999, "9.2M"],
    [999_999_999, "999.9M"],
    [1_000_000_000, "1B"],
    [1_090_000_000, "1B"],
  ];
  for (const [number, text] of cases) assert.equal(abbreviated(number), text, String(number));
});

test("a number that has not been reached is never shown", () => {
  const unit = { K: 1e3, M: 1e6, B: 1e9 };
  const numbers = [Number.MAX_SAFE_INTEGER, 2 ** 53 - 1_000];
  for (let number = 1; number < 2 ** 50; number = Math.ceil(number * 1.013))
    numbers.push(number - 1, number, number + 1);
  for (const number of numbers) {
    const text = abbreviated(number);
    const shown = parseFloat(text) * (unit[text.at(-1)] ?? 1);
    assert.ok(shown <= number && number - shown <= number / 10, `${number} is shown as ${text}`);
  }
});

test("exact numbers carry their noun", () => {
  assert.equal(counted(50_358, "Comment", "Comments"), "50358 Comments");
  assert.equal(counted(1, "Reply", "Replies"), "1 Reply");
  assert.equal(counted(0, "Vote", "Votes"), "0 Votes");
});

test("initials come from the first and the last word", () => {
  const cases = [
    ["Maren Holt", "MH"],
    ["orla", "O"],
    ["quiet_reader", "QR"],
    ["Ana María de la Luz", "AL"],
    ["élan", "É"],
    ["李 雷", "李雷"],
    ["★ 42", "4"],
    ["…", "?"],
    ["", "?"],
    [null, "?"],
  ];
  for (const [name, letters] of cases) assert.equal(initials(name), letters, String(name));
});

test("a colour depends on the id alone", () => {
  assert.equal(colourOf("ab"), colourOf("ab"));
  assert.match(colourOf(undefined), /^hsl\(\d+, 42%, 36%\)$/);
});

test("only http and https addresses are pictures", () => {
  assert.equal(pictureAddress("https://a.example/b.png"), "https://a.example/b.png");
  for (const bad of [null, 7, "", "b.png", "//a.example/b.png", "javascript:alert(1)", "data:image/png;base64,AA"])
    assert.equal(pictureAddress(bad), null);
});

test("an excerpt ends at a word", () => {
  assert.equal(excerpt("short", 10), "short");
  assert.equal(excerpt("the goats were\n eating the fence", 20), "the goats were…");
  assert.equal([...excerpt("x".repeat(50), 10)].length, 10);
});

test("what is not a time is not shown", () => {
  assert.equal(dateTime("soon"), "");
  assert.notEqual(dateTime("2025-01-02T03:04:05.678Z"), "");
});
