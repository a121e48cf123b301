// A list of comments as this page knows it: what several answers said, put together. No elements here.
//
// Answers overtake each other, and an answer asked for before the reader's own change must not undo it. So every
// request takes a ticket first, and a comment that was changed here after the ticket keeps what it has.

/** What is known of one comment after being told of it again. Gone stays gone; of two edits the later one holds. */
export function newer(known, told) {
  if (known === undefined) return told;
  if (known.deleted !== told.deleted) return known.deleted ? known : told;
  if ((known.edited_at ?? "") > (told.edited_at ?? ""))
    return { ...told, text: known.text, edited_at: known.edited_at };
  return told;
}

const LEFT = Infinity;

export class Listing {
  /** "newest" or "oldest" first. */
  order;
  ids = [];
  comments = new Map();
  /** The cursor behind what is listed: null at the end. */
  next = null;
  /** The cursor of the last page listed, so that its end can be looked at again. */
  lastPage = null;
  loaded = false;
  #clock = 0;
  /** Comment to the ticket at which it was last changed here; `LEFT` where that made it leave the list. */
  #changed = new Map();
  /** Ids that stay though answers leave them out: another replica may not have heard of an own comment yet. */
  #held = new Set();
  /** Ids that were put into the list here, whose true place no answer has told. */
  #unplaced = new Set();

  constructor(order) {
    this.order = order;
  }

  get items() {
    return this.ids.map((id) => this.comments.get(id));
  }

  /** To be taken before asking. */
  ticket() {
    this.#clock += 1;
    return this.#clock;
  }

  /**
   * The list from its beginning, once more or for the first time. Returns the ids that stay although the answer does
   * not have them, to be asked about one by one.
   */
  head({ items, next }, ticket) {
    const told = items.filter((comment) => this.#tell(comment, ticket)).map(({ id }) => id);
    const has = new Set(told);
    const behind = next === null ? [] : this.#behind(told.at(-1)).filter((id) => !has.has(id));
    const after = new Set(behind);
    const held = this.ids.filter((id) => !has.has(id) && !after.has(id) && this.#holds(id, ticket));
    this.ids = this.order === "newest" ? [...held, ...told, ...behind] : [...told, ...behind, ...held];
    if (behind.length === 0) {
      this.next = next;
      this.lastPage = null;
    }
    for (const id of told) this.#unplaced.delete(id);
    this.loaded = true;
    const listed = new Set(this.ids);
    for (const id of this.comments.keys()) if (!listed.has(id)) this.comments.delete(id);
    return held;
  }

  /** The page behind `cursor`, added to the end. */
  more({ items, next }, cursor, ticket) {
    const listed = new Set(this.ids);
    for (const comment of items) {
      if (this.#tell(comment, ticket) && !listed.has(comment.id)) this.ids.push(comment.id);
    }
    this.next = next;
    this.lastPage = cursor;
  }

  /** The reader's own new comment, from the answer to posting it. */
  post(comment) {
    this.change(comment);
    this.#held.add(comment.id);
    if (this.ids.includes(comment.id)) return;
    this.#unplaced.add(comment.id);
    if (this.order === "newest") this.ids.unshift(comment.id);
    else this.ids.push(comment.id);
  }

  /** From the answer to a change that leaves the comment, or a placeholder for it, in the list. */
  change(comment) {
    this.#changed.set(comment.id, this.ticket());
    this.comments.set(comment.id, newer(this.comments.get(comment.id), comment));
    if (comment.hidden) this.#held.add(comment.id);
  }

  /** A comment that was deleted, and that nobody replied to. */
  leave(id) {
    this.#changed.set(id, LEFT);
    this.#held.delete(id);
    this.ids = this.ids.filter((other) => other !== id);
    this.comments.delete(id);
  }

  /** What the list has after the last one told: that is where the answer ended, and the list may go on. */
  #behind(last) {
    const at = this.#unplaced.has(last) ? -1 : this.ids.indexOf(last);
    return at === -1 ? [] : this.ids.slice(at + 1);
  }

  /** Takes in one comment of an answer; false where it left the list after the answer was asked for. */
  #tell(comment, ticket) {
    const changed = this.#changed.get(comment.id) ?? 0;
    if (changed === LEFT && !comment.deleted) return false;
    if (changed < ticket || changed === LEFT) {
      this.comments.set(comment.id, newer(this.comments.get(comment.id), comment));
    }
    return true;
  }

  #holds(id, ticket) {
    return this.#held.has(id) || (this.#changed.get(id) ?? 0) > ticket;
  }
}

/** Deeper comments are moved in no further: a page is only so wide. */
export const INDENT_MAX = 6;

/**
 * The thread around a comment, as a list: what it answers from the top down, the comment, and what is below it depth
 * first. Each of the first answers the one before, so only what is below the comment is any deeper than it.
 */
export class ThreadListing extends Listing {
  /** What the first one answers, where that is too far up to be listed. */
  above = null;
  /** How many stand before the comment. */
  ancestors = 0;
  #depths = new Map();
  #cut = new Set();

  constructor() {
    super("oldest");
  }

  depth(id) {
    return this.#depths.get(id) ?? 0;
  }

  /** How far it is moved in. */
  indent(id) {
    return Math.min(this.depth(id), INDENT_MAX);
  }

  /** What it answers, where its place does not show that; null where it does, or where that is not listed. */
  answered(id) {
    if (this.depth(id) <= INDENT_MAX) return null;
    return this.comments.get(this.comments.get(id).parent) ?? null;
  }

  /** Whether it has replies that stand in its own thread only. */
  isCut(id) {
    return this.#cut.has(id);
  }

  /** The thread from its beginning; as `head`. */
  thread({ ancestors, above, items, next }, ticket) {
    this.above = above;
    this.ancestors = ancestors.length;
    for (const { id } of ancestors) this.#depths.set(id, 0);
    const held = this.head({ items: [...ancestors, ...this.#noted(items)], next }, ticket);
    held.forEach((id) => this.#settle(id));
    return held;
  }

  /** As `more`. */
  page({ items, next }, cursor, ticket) {
    this.more({ items: this.#noted(items), next }, cursor, ticket);
  }

  post(comment) {
    const known = this.ids.includes(comment.id);
    super.post(comment);
    if (!known) this.#settle(comment.id);
  }

  #noted(items) {
    for (const { depth, cut, comment } of items) {
      this.#depths.set(comment.id, depth);
      if (cut) this.#cut.add(comment.id);
      else this.#cut.delete(comment.id);
    }
    return items.map(({ comment }) => comment);
  }

  /** Puts a comment that no answer has placed below all that is below what it answers. */
  #settle(id) {
    const ids = this.ids.filter((other) => other !== id);
    const parent = ids.indexOf(this.comments.get(id).parent);
    if (parent === -1) return;
    const depth = this.depth(ids[parent]);
    const below = ids.findIndex((other, index) => index > parent && this.depth(other) <= depth);
    ids.splice(below === -1 ? ids.length : below, 0, id);
    this.#depths.set(id, depth + 1);
    this.ids = ids;
  }
}
