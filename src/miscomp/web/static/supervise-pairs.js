/** Pairs that several labelers were given: the list, and everybody's boxes on one of them. */
import { byId, drawn, made } from './elements.js';
import { Frame } from './frame.js';
import { Pictures } from './pictures.js';
import { looksOf } from './places.js';
import { BINDINGS, drawBoxes, tellFailure, viewing } from './second.js';
import { interval, known, percent } from './supervise-words.js';

export const KEYS = [
  {
    title: 'Pairs in common',
    bindings: [
      { act: 'pair', chords: ['n', 'ArrowRight', 'j', 'p', 'ArrowLeft'], with: [1, 1, 1, -1, -1], words: 'next pair of the list (N, J, →), previous one (P, ←)' },
      BINDINGS.flip,
      { act: 'boxes', chords: ['v'], words: 'show or hide the boxes' },
      { act: 'alone', chords: ['a'], words: 'all boxes, or those alone that somebody else has not' },
      ...BINDINGS.view,
      BINDINGS.difference,
      BINDINGS.help,
    ],
  },
];

export class Disagreements {
  pairs = [];
  at = -1;
  hidden = false;
  alone = false;
  pictures = new Pictures();

  constructor(page) {
    this.page = page;
    this.frame = new Frame(byId('frame'), { onView: () => this.draw() });
  }

  tell({ pairs, leastIou, agreement, whyNone }) {
    this.pairs = pairs;
    this.names = [...new Set(pairs.flatMap((one) => one.labelers))].sort();
    byId('rule').textContent =
      `Sorted by the share of boxes that match no box of another labeler (two at a time; an IoU of at least ${leastIou}, one to one). ` +
      'Only who said to be done with a pair counts on it.';
    byId('names').replaceChildren(...this.names.map((name, at) => this.#key(name, at)));
    const items = pairs.map((pair, at) => this.#item(pair, at));
    byId('pairs').replaceChildren(...(items.length ? items : [made('li', { className: 'muted' }, 'There are no agreement batches.')]));
    this.#agreement(agreement, whyNone);
    if (pairs.length) this.show(0);
  }

  #key(name, at) {
    const { colour, dash } = looksOf(at);
    const line = drawn('line', { x1: 0, x2: 34, y1: 7, y2: 7, stroke: colour, 'stroke-width': 4, 'stroke-dasharray': dash });
    return made('li', {}, drawn('svg', { width: 34, height: 14, 'aria-hidden': 'true' }, line), ` ${name}`);
  }

  #item(pair, at) {
    const share = known(pair.disagreement, (one) => percent(one, 1), 'not comparable yet');
    const what = pair.disagreement === null ? '' : `, ${pair.unmatched} unmatched`;
    const text = `${pair.batch}, ${pair.position}: ${share}${what}; done by ${pair.labelers.join(', ') || 'nobody'}`;
    const button = made('button', { type: 'button', className: 'quiet' }, text);
    button.addEventListener('click', () => this.show(at));
    return made('li', {}, button);
  }

  #agreement(found, whyNone) {
    byId('agreement').hidden = !found;
    if (!found) {
      byId('agreed').textContent = `No agreement can be computed: ${whyNone}.`;
      return;
    }
    byId('agreed').textContent =
      `Krippendorff's alpha of ${found.labelers.map((one) => one.name).join(', ')} on ${found.images} reconstructions of ` +
      `${found.photographs} photographs (${found.boxes} boxes), with 95 % intervals from ${found.resamples} draws of photographs. ` +
      'A labeler annotates the tile that holds more than half of a box.';
    const heads = ['Tiles per side', 'Units', 'Alpha', '95 %', 'Boxes in no tile'].map((one) => made('th', { scope: 'col' }, one));
    const rows = found.rows.map((one) =>
      made('tr', {}, ...[
        `${one.perSide} × ${one.perSide}`,
        one.tiles,
        known(one.alpha.value, (value) => value.toFixed(3), 'undefined'),
        one.alpha.interval ? interval(one.alpha.interval, 3) : 'none',
        one.lost,
      ].map((cell) => made('td', { className: 'number' }, String(cell)))));
    byId('agreement').replaceChildren(made('thead', {}, made('tr', {}, ...heads)), made('tbody', {}, ...rows));
    byId('agreed-notes').replaceChildren(...found.notes.map((one) => made('li', {}, one)));
  }

  async show(at) {
    const pair = this.pairs[at];
    if (!pair) return;
    this.at = at;
    byId('pairs').querySelectorAll('button').forEach((one, number) => {
      one.setAttribute('aria-current', String(number === at));
      if (number === at) one.scrollIntoView({ block: 'nearest' });
    });
    byId('shown').textContent = `Pair ${at + 1} of ${this.pairs.length}: ${pair.boxes.length} ${pair.boxes.length === 1 ? 'box' : 'boxes'} by ${pair.labelers.join(', ') || 'nobody'}`;
    try {
      const found = await this.pictures.pair(pair.alias);
      if (this.at !== at) return;
      await this.frame.show(found);
      this.shown = pair.alias;
      this.draw();
      this.page.notices.withdraw('failure');
    } catch (error) {
      if (this.at === at) tellFailure(this.page.notices, error, () => this.show(at));
      return;
    }
    const next = this.pairs[at + 1];
    this.pictures.keep(pair.alias, ...(next ? [next] : []));
  }

  /** By a key: the picture comes into view as well. */
  turn(at) {
    byId('frame').scrollIntoView({ block: 'nearest' });
    return this.show(at);
  }

  draw() {
    const pair = this.pairs[this.at];
    const boxes = !pair || this.hidden || this.shown !== pair.alias ? [] : pair.boxes.filter((one) => one.alone || !this.alone);
    drawBoxes(this.frame, boxes.map((one) => ({
      ...one,
      ...looksOf(this.names.indexOf(one.labeler)),
      below: this.names.indexOf(one.labeler) % 2 === 1,
      name: [one.labeler, one.category, one.symbol ? 'SYMBOL' : ''].filter(Boolean).join(' · '),
    })));
  }

  perform(act, argument) {
    const { frame } = this;
    const acts = {
      pair: () => this.turn(Math.min(Math.max(this.at + Number(argument), 0), this.pairs.length - 1)),
      boxes: () => { this.hidden = !this.hidden; this.draw(); },
      alone: () => { this.alone = !this.alone; this.draw(); },
      ...viewing(frame, argument),
    };
    acts[act]?.();
  }
}
