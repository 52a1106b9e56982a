/** The pair on the screen: its boxes and flag, what is selected, and what is told of it. */
import { Boxes, flagWithWaiting, withWaiting } from './boxes.js';
import { answered, follow, steppedBack } from './tree.js';
import { Visit } from './visits.js';

const CATEGORIES = 3;

/** Text without what no table can hold: NUL and halves of characters. */
export function plainText(text) {
  return text.replace(/\0|\p{Surrogate}/gu, '');
}

/** The categories after one was pressed: it goes, or comes last; the first is the main one. */
export function toggled(category, pressed) {
  const held = category ? category.split('+') : [];
  const kept = held.includes(pressed) ? held.filter((one) => one !== pressed) : [...held, pressed];
  return kept.slice(0, CATEGORIES).join('+');
}

export class Desk {
  pair = null;
  boxes = null;
  flag = null;
  selected = '';
  suggested = '';
  doubtful = new Set();
  visit = null;
  #api;
  #queue;
  #newId;
  #changed;
  #told = 0;
  #states = new Map();
  #models = new Map();
  #shown = new Set();

  /**
   * @param {{api: import('./api.js').Api, queue: import('./queue.js').Queue, newId: () => string, changed: () => void}} outside
   *   `changed` is called when anything of the pair is not what it was
   */
  constructor({ api, queue, newId, changed }) {
    this.#api = api;
    this.#queue = queue;
    this.#newId = newId;
    this.#changed = changed;
  }

  // Coming and going

  /** Ask for a pair's state beforehand. A failure is told when the pair is opened. */
  async prepare(alias) {
    if (!this.#states.has(alias)) await this.#fetch(alias).catch(() => null);
  }

  /**
   * The state of a pair, asked for now unless it is known; what is known is checked once the pair is on the screen.
   * With it comes what waited before it was asked for: all that may not be in it.
   *
   * @returns {Promise<{state: object, before: object[]}>}
   */
  async state(alias) {
    return this.#states.get(alias) ?? (await this.#fetch(alias));
  }

  /** Put a pair on the desk. */
  open({ state, before }, now) {
    this.pair = state;
    const waiting = this.#all(before, state.alias);
    const standing = withWaiting(state.boxes, waiting);
    const tell = (event) => this.#tell(event);
    const model = this.#models.get(state.alias) ?? new Boxes(state.alias, standing, { newId: this.#newId, tell });
    this.#models.set(state.alias, model);
    model.reconcile(standing);
    this.boxes = model;
    this.flag = flagWithWaiting(state.flag, waiting);
    this.selected = '';
    this.suggested = '';
    this.visit = new Visit(now);
    this.#changed();
  }

  /** Tell the visit and take the pair off. @param {boolean} finished whether the pair is done */
  leave(now, finished = false) {
    if (!this.pair) return;
    this.boxes.settle();
    this.#tell({ kind: 'visit', uuid: this.#newId(), alias: this.pair.alias, ...this.visit.spans(now), finished });
    this.#states.delete(this.pair.alias);
    this.pair = null;
    this.boxes = null;
  }

  /** Tell what was only attempted, and the visit so far, as when the page may go for good. The pair stays. */
  settle(now, finished = false) {
    if (!this.pair) return;
    this.boxes.settle();
    this.#tell({ kind: 'visit', uuid: this.#newId(), alias: this.pair.alias, ...this.visit.spans(now), finished });
    this.visit = new Visit(now);
  }

  /**
   * Look what the server has of the pair, as another window may have changed it.
   *
   * @returns {Promise<string[]>} events of boxes that were not known here
   */
  async refresh() {
    const { pair } = this;
    if (!pair) return [];
    for (let tries = 0; tries < 4; tries += 1) {
      this.boxes.settle();
      const told = this.#told;
      const { state, before } = await this.#fetch(pair.alias);
      if (this.pair !== pair) return [];
      if (told !== this.#told) continue;
      return this.#reconcile(state, before);
    }
    return [];
  }

  #reconcile(state, before) {
    const waiting = this.#all(before, state.alias);
    const replaced = new Set(waiting.map((one) => one.replaces));
    const look = () => JSON.stringify([this.boxes.list(), this.flag]);
    const shown = look();
    const fresh = this.boxes.reconcile(withWaiting(state.boxes, waiting));
    this.flag = flagWithWaiting(state.flag, waiting);
    if (!this.boxes.get(this.selected)) this.selected = '';
    if (look() !== shown) this.#changed();
    return fresh.filter((one) => !replaced.has(one));
  }

  #all(before, alias) {
    const known = new Set(before.map((one) => one.uuid));
    return [...before, ...this.#queue.waiting(alias).filter((one) => !known.has(one.uuid))];
  }

  async #fetch(alias) {
    const before = this.#queue.waiting(alias);
    const state = await this.#api.get(`/api/pairs/${alias}`);
    this.#states.set(alias, { state, before });
    return { state, before };
  }

  #tell(event) {
    this.#told += 1;
    this.#queue.add(event);
  }

  // The selected box

  get box() {
    return this.boxes?.get(this.selected) ?? null;
  }

  select(key) {
    if (key === this.selected) return;
    this.boxes?.settle();
    this.selected = key;
    this.#changed();
  }

  /** Select the next box in the order in which they came. @returns {boolean} false if there is none */
  selectNext(by) {
    const keys = this.boxes.list().map((one) => one.key);
    if (!keys.length) return false;
    const at = keys.indexOf(this.selected);
    this.select(keys[at < 0 ? (by > 0 ? 0 : keys.length - 1) : (at + by + keys.length) % keys.length]);
    return true;
  }

  add(rect, rest) {
    this.selected = this.boxes.add(rect, rest);
    this.#changed();
  }

  change(part) {
    if (!this.box) return false;
    this.boxes.change(this.selected, part);
    this.#changed();
    return true;
  }

  /** Change the box on the screen; `settleBox` tells it. */
  attempt(part) {
    if (!this.box) return false;
    this.boxes.attempt(this.selected, part);
    this.#changed();
    return true;
  }

  settleBox() {
    this.boxes?.settle();
  }

  delete() {
    if (!this.box) return false;
    this.boxes.delete(this.selected);
    this.selected = '';
    this.#changed();
    return true;
  }

  /** Answer the open question, or the one that is named. */
  answer(answer, field = '') {
    const { box } = this;
    const asked = field || (box && follow(box).next);
    return asked ? this.change(answered(box, asked, answer)) : false;
  }

  stepBack() {
    return this.box ? this.change(steppedBack(this.box)) : false;
  }

  category(pressed) {
    return this.box ? this.change({ category: toggled(this.box.category, pressed) }) : false;
  }

  /** @returns {boolean} false if there was nothing to undo; the box that changed is selected */
  undo() {
    return this.#stepped(this.boxes.undo());
  }

  redo() {
    return this.#stepped(this.boxes.redo());
  }

  #stepped(key) {
    if (!key) return false;
    this.selected = this.boxes.get(key) ? key : '';
    this.#changed();
    return true;
  }

  // The whole picture

  /** Say something on the whole picture; it is told at once. */
  setFlag(part) {
    const before = JSON.stringify(this.flag);
    this.flag = { ...this.flag, ...part };
    if (!this.flag.multi) this.flag.multiKind = '';
    if (JSON.stringify(this.flag) === before) return;
    const { multi, multiKind, overall, note } = this.flag;
    this.#tell({ kind: 'flag', uuid: this.#newId(), alias: this.pair.alias, multi, multi_kind: multiKind, overall, note });
    this.#changed();
  }

  // Suggestions

  /** Those not taken over yet. */
  get suggestions() {
    const standing = new Set((this.boxes?.list() ?? []).map(placeOf));
    return (this.pair?.suggestions ?? []).filter((one) => !standing.has(placeOf(one)));
  }

  /** Say that the suggestions are on the screen; once for each pair. */
  tellShown() {
    const events = (this.pair?.suggestions ?? []).map((one) => one.event).slice(0, 500);
    if (!events.length || this.#shown.has(this.pair.alias)) return;
    this.#shown.add(this.pair.alias);
    this.#tell({ kind: 'shown', uuid: this.#newId(), alias: this.pair.alias, events });
  }

  nextSuggestion() {
    const events = this.suggestions.map((one) => one.event);
    if (!events.length) return null;
    this.suggested = events[(events.indexOf(this.suggested) + 1) % events.length];
    this.#changed();
    return this.suggestions.find((one) => one.event === this.suggested);
  }

  takeSuggestion() {
    const found = this.suggestions.find((one) => one.event === this.suggested);
    if (!found) return false;
    const { x, y, w, h, category } = found;
    this.suggested = '';
    this.add({ x, y, w, h }, { category: category ?? '' });
    return true;
  }

  /** Boxes that are not ready to be left: undecided, or not a miscompression by their answers. */
  pending() {
    return (this.boxes?.list() ?? []).filter((one) => follow(one).outcome !== 'annotate');
  }
}

function placeOf({ x, y, w, h }) {
  return [x, y, w, h].join(' ');
}
