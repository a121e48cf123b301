import assert from "node:assert/strict";
import { test } from "node:test";
import { readerName } from "./reader.js";
import { Memory } from "./storage.js";

test("a name is made once and kept", () => {
  const storage = new Memory();
  const name = readerName(storage);
  assert.match(name, /^[0-9a-f]{32}$/);
  assert.equal(readerName(storage), name);
  assert.equal(storage.getItem("antiphon.reader"), name);
});

test("what the server would refuse is replaced, and what it takes is kept", () => {
  for (const wrong of ["", "short", 'quote"'.repeat(5), "a".repeat(256), "é".repeat(30), "back\\slash".repeat(3)]) {
    const storage = new Memory();
    storage.setItem("antiphon.reader", wrong);
    assert.match(readerName(storage), /^[0-9a-f]{32}$/, wrong);
  }
  const storage = new Memory();
  storage.setItem("antiphon.reader", "A-name_of-older-pages.1");
  assert.equal(readerName(storage), "A-name_of-older-pages.1");
});

test("without room it lives as long as the page", () => {
  const full = new Memory();
  full.setItem = () => {
    throw new Error("no room");
  };
  assert.equal(readerName(full), readerName(full));
});
