/**
 * The boxes of one pair: what stands, what was told to the server, undo and redo. No page, no network.
 *
 * A box is integer pixels of the picture: left and top edge, width and height of at least 1.
 *
 * @typedef {{x: number, y: number, w: number, h: number}} Rect
 * @typedef {Rect & {category: string, symbol: boolean, note: string} & import('./tree.js').Answers} Fields
 * @typedef {{key: string, event: string, now: Fields | null, told: Fields | null}} Box
 *   `event` is the last one of the box, '' before the first; `now` is null once deleted.
 */

export const PLAIN = Object.freeze({
  category: '',
  symbol: false,
  changed: '',
  relevant: '',
  suspicion: '',
  expected: '',
  note: '',
});

const FIELDS = ['x', 'y', 'w', 'h', ...Object.keys(PLAIN)];

/** Only the fields of a box, from a message or a state of the server. */
export function fieldsOf(source) {
  return Object.fromEntries(FIELDS.map((name) => [name, source[name] ?? PLAIN[name]]));
}

function same(one, other) {
  if (!one || !other) return one === other;
  return FIELDS.every((name) => one[name] === other[name]);
}

/**
 * The rectangle that covers both pixels and all between, cut to the picture.
 *
 * @param {[number, number]} from a point of the picture; its pixel belongs to the rectangle
 * @param {[number, number]} to
 * @param {{width: number, height: number}} size
 * @returns {Rect}
 */
export function spanned(from, to, size) {
  const inside = (value, end) => Math.min(Math.max(Math.floor(value), 0), end - 1);
  const [x0, x1] = [inside(from[0], size.width), inside(to[0], size.width)];
  const [y0, y1] = [inside(from[1], size.height), inside(to[1], size.height)];
  return { x: Math.min(x0, x1), y: Math.min(y0, y1), w: Math.abs(x1 - x0) + 1, h: Math.abs(y1 - y0) + 1 };
}

/** The rectangle moved by whole pixels, stopped at the picture's edges. */
export function moved(rect, dx, dy, size) {
  const x = Math.min(Math.max(rect.x + Math.round(dx), 0), size.width - rect.w);
  const y = Math.min(Math.max(rect.y + Math.round(dy), 0), size.height - rect.h);
  return { x, y, w: rect.w, h: rect.h };
}

/**
 * The rectangle with an edge or corner moved by whole pixels; never smaller than a pixel, never turned inside out.
 *
 * @param {Rect} rect
 * @param {string} handle of n, s, w, e, nw, ne, sw, se
 */
export function resized(rect, handle, dx, dy, size) {
  let [left, top, right, bottom] = [rect.x, rect.y, rect.x + rect.w, rect.y + rect.h];
  const [across, down] = [Math.round(dx), Math.round(dy)];
  if (handle.includes('w')) left = Math.min(Math.max(left + across, 0), right - 1);
  if (handle.includes('e')) right = Math.max(Math.min(right + across, size.width), left + 1);
  if (handle.includes('n')) top = Math.min(Math.max(top + down, 0), bottom - 1);
  if (handle.includes('s')) bottom = Math.max(Math.min(bottom + down, size.height), top + 1);
  return { x: left, y: top, w: right - left, h: bottom - top };
}

/**
 * The boxes that stand once what waits in the browser is told: the server's, and the waiting events in order.
 *
 * An event may be at the server already, its answer lost; what the server shows is never older than that.
 *
 * @param {Array<object>} stored boxes of the pair's state
 * @param {Array<object>} waiting events of the pair, in the order in which they happened
 * @returns {Array<{event: string, fields: Fields}>}
 */
export function withWaiting(stored, waiting) {
  const standing = new Map(stored.map((one) => [one.event, fieldsOf(one)]));
  const events = waiting.filter((one) => one.kind === 'box');
  const followed = new Map(events.filter((one) => one.replaces).map((one) => [one.replaces, one.uuid]));
  const known = new Set();
  for (const { uuid } of [...events].reverse()) {
    if (standing.has(uuid) || known.has(followed.get(uuid))) known.add(uuid);
  }
  for (const one of events) {
    if (known.has(one.uuid)) continue;
    standing.delete(one.replaces);
    if (one.action !== 'delete') standing.set(one.uuid, fieldsOf(one));
  }
  return [...standing].map(([event, fields]) => ({ event, fields }));
}

/** The last word on the whole picture: what waits, else what is stored, else nothing flagged. */
export function flagWithWaiting(stored, waiting) {
  const last = waiting.filter((one) => one.kind === 'flag').at(-1);
  if (last) return { multi: last.multi, multiKind: last.multi_kind, overall: last.overall, note: last.note };
  const { multi = false, multiKind = '', overall = false, note = '' } = stored ?? {};
  return { multi, multiKind, overall, note };
}

/** The boxes of a pair, each change of which is told as one event. */
export class Boxes {
  #boxes = [];
  #done = [];
  #undone = [];
  #alias;
  #newId;
  #tell;

  /**
   * @param {string} alias of the pair
   * @param {Array<{event: string, fields: Fields}>} standing
   * @param {{newId: () => string, tell: (event: object) => void}} outside `tell` gets events without their time
   */
  constructor(alias, standing, { newId, tell }) {
    this.#alias = alias;
    this.#newId = newId;
    this.#tell = tell;
    this.#take(standing);
  }

  #take(standing) {
    this.#boxes = standing.map(({ event, fields }) => ({ key: event, event, now: fields, told: fields }));
  }

  /** Boxes that stand, in the order in which they came. */
  list() {
    return this.#boxes.filter((one) => one.now).map((one) => ({ key: one.key, event: one.event, ...one.now }));
  }

  /** @returns {(Fields & {key: string, event: string}) | null} null if it does not stand */
  get(key) {
    const box = this.#find(key);
    return box?.now ? { key, event: box.event, ...box.now } : null;
  }

  get canUndo() {
    return this.#done.length > 0 || this.#unsettled().length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** @returns {string} the key of the new box */
  add(rect, rest = {}) {
    this.settle();
    const key = this.#newId();
    this.#boxes.push({ key, event: '', now: { ...PLAIN, ...rest, ...rect }, told: null });
    this.settle();
    return key;
  }

  /** Change a box and tell it at once. */
  change(key, part) {
    this.settle();
    this.attempt(key, part);
    this.settle();
  }

  /** Change a box on the screen only, as while it is dragged; `settle` tells it, `drop` takes it back. */
  attempt(key, part) {
    const box = this.#find(key);
    if (box?.now) box.now = { ...box.now, ...part };
  }

  delete(key) {
    this.settle();
    const box = this.#find(key);
    if (box) box.now = null;
    this.settle();
  }

  /** Tell what was only attempted. */
  settle() {
    for (const box of this.#unsettled()) {
      this.#done.push({ key: box.key, before: box.told, after: box.now });
      this.#undone = [];
      this.#say(box);
    }
  }

  /** Take back what was attempted and not told. */
  drop() {
    for (const box of this.#unsettled()) box.now = box.told;
  }

  /** @returns {string} the key of the box that changed, '' if there was nothing to undo */
  undo() {
    this.settle();
    return this.#step(this.#done, this.#undone, 'before');
  }

  redo() {
    this.settle();
    return this.#step(this.#undone, this.#done, 'after');
  }

  /**
   * Take over what stands according to the server (with what waits). Undo begins anew if that is not what stood here.
   * Where one box went and one came it is the same one, changed in another window.
   *
   * @returns {string[]} events that were not known here
   */
  reconcile(standing) {
    const here = new Map(this.list().map((one) => [one.event, one]));
    const fresh = standing.map((one) => one.event).filter((event) => !here.has(event));
    if (!fresh.length && standing.length === here.size) return [];
    const keys = new Map(this.#boxes.map((one) => [one.event, one.key]));
    const gone = [...here.keys()].filter((event) => !standing.some((one) => one.event === event));
    if (gone.length === 1 && fresh.length === 1) keys.set(fresh[0], keys.get(gone[0]));
    this.#take(standing);
    for (const box of this.#boxes) box.key = keys.get(box.event) ?? box.key;
    this.#done = [];
    this.#undone = [];
    return fresh;
  }

  #find(key) {
    return this.#boxes.find((one) => one.key === key);
  }

  #unsettled() {
    return this.#boxes.filter((one) => !same(one.now, one.told));
  }

  #step(from, to, side) {
    const entry = from.pop();
    if (!entry) return '';
    to.push(entry);
    const box = this.#find(entry.key);
    box.now = entry[side];
    this.#say(box);
    return entry.key;
  }

  #say(box) {
    const action = !box.now ? 'delete' : box.event ? 'change' : 'add';
    const uuid = this.#newId();
    const fields = box.now ?? box.told;
    this.#tell({ kind: 'box', uuid, alias: this.#alias, action, replaces: box.event, ...fields });
    box.event = uuid;
    box.told = box.now;
  }
}
