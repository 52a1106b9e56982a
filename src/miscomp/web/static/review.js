/** Second looks: one box at a time of somebody else's; what its labeler called it is told after the reviewer's word. */
import { plainText, toggled } from './desk.js';
import { byId, made, newId } from './elements.js';
import { Frame } from './frame.js';
import { Pictures } from './pictures.js';
import { begin, bind, BINDINGS, drawBoxes, tellFailure, viewing } from './second.js';

const AHEAD = 20;
const HIDDEN = 'What the labeler called it is shown after your word, so that it does not sway you.';
const FILTERS = ['batch', 'source', 'share', 'uncategorised', 'detectors'];

const KEYS = [
  {
    title: 'Decide',
    bindings: [
      { act: 'category', chords: ['1', '2', '3'], with: ['AMPLITUDE', 'GEOMETRY', 'SHAPE'], words: 'category, before the word on the box; the first one is the main one' },
      { act: 'symbol', chords: ['s'], words: 'SYMBOL: letters, digits, signs' },
      { act: 'note', chords: ['w'], words: 'write a note (Escape leaves)' },
      { act: 'judge', chords: ['c', 'r', 'u'], with: ['confirm', 'reject', 'unsure'], words: 'confirm, reject, unsure; saved at once' },
      { act: 'next', chords: ['n', 'Enter', 'ArrowRight', 'j'], words: 'next box' },
      { act: 'back', chords: ['Backspace', 'Ctrl+z', 'ArrowLeft', 'p'], words: 'back to the last box: another word replaces the last' },
    ],
  },
  {
    title: 'Look',
    bindings: [
      BINDINGS.flip,
      { act: 'lookAt', chords: ['z'], words: 'zoom to the box' },
      ...BINDINGS.view,
      BINDINGS.difference,
      { act: 'loupe', chords: ['l'], words: 'loupe with both sides' },
      { act: 'boxes', chords: ['v'], words: 'show or hide the box' },
      { act: 'escape', chords: ['Escape'], words: 'leave the note' },
      BINDINGS.help,
    ],
  },
];

/** Pairs with their boxes, as the list of boxes that are gone through. */
function steps(pairs) {
  return pairs.flatMap((pair) => pair.boxes.map((box) => ({ pair, box })));
}

class Review {
  list = [];
  at = 0;
  draft = { category: '', symbol: false };
  hidden = false;
  pictures = new Pictures();

  constructor() {
    this.frame = new Frame(byId('frame'), { onView: () => this.draw(), onError: (error) => this.page.notices.say(error.message) });
  }

  // What there is to do

  address() {
    const asked = new URLSearchParams();
    for (const name of FILTERS) {
      const field = byId(name);
      const value = field.type === 'checkbox' ? field.checked && 'true' : field.value;
      if (value && value !== '1') asked.set(name, value);
    }
    return asked;
  }

  async start() {
    const asked = this.address();
    const state = await this.page.api.get(`/api/review?${asked}`);
    this.choices(state.choices, asked);
    this.counts = state;
    this.list = steps(state.recent);
    this.take(state);
    const first = this.list.findIndex((one) => !one.box.look);
    this.at = first < 0 ? this.list.length : first;
    await this.show();
  }

  choices({ batches, sources }, asked) {
    for (const [name, values] of [['batch', batches], ['source', sources]]) {
      byId(name).replaceChildren(made('option', { value: '' }, 'all'), ...values.map((one) => made('option', { value: one }, one)));
      byId(name).value = asked.get(name) ?? '';
    }
    byId('sources').hidden = sources.length === 0;
  }

  take(state) {
    const known = new Set(this.list.map((one) => one.box.event));
    const fresh = steps(state.waiting).filter((one) => !known.has(one.box.event));
    for (const one of fresh) { // words on boxes have no pair's name
      const told = this.page.queue.waiting(undefined).findLast((event) => event.event === one.box.event);
      if (told && !one.box.look) one.box.look = { ...told, waits: true };
    }
    this.list.push(...fresh);
    this.more = fresh.length > 0;
  }

  async fetchMore() {
    if (this.fetching || !this.more || this.list.length - this.at > AHEAD) return;
    this.fetching = true;
    try {
      this.take(await this.page.api.get(`/api/review?${this.address()}`));
    } catch {
      // Asked again with the next box; until then there are some left.
    }
    this.fetching = false;
  }

  get step() {
    return this.list[this.at] ?? null;
  }

  // What is seen

  async show() {
    const { step } = this;
    this.draft = { category: step?.box.look?.category ?? '', symbol: step?.box.look?.symbol ?? false };
    byId('note').value = step?.box.look?.note ?? '';
    this.tell();
    if (!step) {
      this.shown = '';
      this.frame.clear();
      return this.draw();
    }
    try {
      if (this.shown !== step.pair.alias) {
        const pair = await this.pictures.pair(step.pair.alias);
        if (this.step !== step) return;
        await this.frame.show(pair);
        this.shown = step.pair.alias;
      }
      this.page.notices.withdraw('failure');
      this.frame.lookAt(step.box);
      this.draw();
    } catch (error) {
      if (this.step === step) tellFailure(this.page.notices, error, () => this.show());
      return;
    }
    const next = this.list.slice(this.at + 1).find((one) => one.pair.alias !== step.pair.alias);
    this.pictures.keep(step.pair.alias, ...(next ? [next.pair] : []));
    await this.fetchMore();
  }

  draw() {
    const { step } = this;
    if (!step || this.hidden || this.shown !== step.pair.alias) return this.frame.overlay.replaceChildren();
    // No other box: one in the same place would tell that somebody else saw it too.
    return drawBoxes(this.frame, [{ ...step.box, colour: '#ffe14d' }]);
  }

  tell() {
    const { step, counts } = this;
    byId('progress').textContent = `${counts.done} of ${counts.boxes} boxes looked at, in ${counts.pairs} pairs`;
    byId('bar').max = Math.max(counts.boxes, 1);
    byId('bar').value = counts.done;
    byId('empty').hidden = counts.boxes > 0;
    byId('finished').hidden = Boolean(step) || counts.boxes === 0;
    const left = counts.boxes - counts.done;
    byId('finished').textContent = left
      ? `This is the end; you left out ${left}. N begins with these, Backspace goes back.`
      : 'You have looked at all of these boxes. Backspace goes back.';
    byId('work').hidden = !step;
    if (!step) return;
    const at = step.pair.boxes.indexOf(step.box) + 1;
    byId('where').textContent = `Box ${at} of ${step.pair.boxes.length} on this pair: ${step.box.w} × ${step.box.h} pixels`;
    const said = step.box.look?.judgement ?? '';
    for (const button of document.querySelectorAll('#work button[data-act]')) {
      const { act, with: value } = button.dataset;
      const on = { judge: said === value, category: this.draft.category.split('+').includes(value), symbol: this.draft.symbol };
      button.setAttribute('aria-pressed', String(on[act]));
    }
    this.tellFirst(step.box.look);
  }

  tellFirst(look) {
    const known = look && look.firstCategory !== undefined;
    byId('first').classList.toggle('is-told', Boolean(known));
    const category = known && (look.firstCategory || 'nothing: no category').replaceAll('+', ' + ');
    const told = `The labeler called it ${category}${look?.firstSymbol ? ', with SYMBOL' : ''}.`;
    const hidden = look ? 'Shown as soon as your word is saved.' : HIDDEN;
    byId('first').textContent = known ? told : hidden;
  }

  // What is said

  judge(judgement) {
    const { step } = this;
    if (!step) return;
    const note = plainText(byId('note').value);
    const look = { judgement, ...this.draft, note };
    const before = step.box.look;
    if (before && Object.entries(look).every(([name, value]) => before[name] === value)) return;
    if (!before) this.counts.done += 1;
    step.box.look = { ...look, waits: true };
    this.more = true;
    this.page.queue.add({ kind: 'look', uuid: newId(), event: step.box.event, ...look });
    this.page.notices.say(judgement);
    this.tell();
  }

  async stored(events) {
    for (const { kind, event } of events) {
      const one = kind === 'look' && this.list.find((found) => found.box.event === event);
      if (!one) continue;
      try {
        const told = await this.page.api.get(`/api/review/look?event=${encodeURIComponent(event)}`);
        Object.assign(one.box.look, { firstCategory: told.firstCategory, firstSymbol: told.firstSymbol, waits: false });
      } catch {
        // The box is shown without it.
      }
      if (one === this.step) this.tellFirst(one.box.look);
    }
  }

  conflict({ event }) {
    this.list = this.list.filter((one) => one.box.event !== event || one === this.step);
    this.page.notices.show('conflict', {
      text: 'The labeler changed or deleted this box since. Your word was not stored; what stands now comes with the next load.',
      actions: [['Load again', () => this.restart()]],
    });
  }

  draftOf(change) {
    if (!this.step) return;
    this.draft = { ...this.draft, ...change };
    this.tell();
    this.again();
  }

  /** What is added to a word that was said already is said with it again. */
  again() {
    if (this.step?.box.look) this.judge(this.step.box.look.judgement);
  }

  /** Whether something was written or pressed that no verdict keeps; it is said once. */
  unsaid() {
    const { step } = this;
    const begun = this.draft.category || this.draft.symbol || byId('note').value.trim();
    if (!step || step.box.look || !begun || this.warned === step) return false;
    this.warned = step;
    this.page.notices.say('not saved yet: confirm, reject or unsure; again goes on without');
    return true;
  }

  /** By one step; from the end on to the first that was left out. */
  go(by) {
    this.again();
    if (this.unsaid()) return;
    const first = this.list.findIndex((one) => !one.box.look);
    const again = by > 0 && !this.step && first >= 0;
    const at = again ? first : Math.min(Math.max(this.at + by, 0), this.list.length);
    byId('note').blur();
    if (at === this.at) return;
    this.at = at;
    this.show();
  }

  async restart() {
    try {
      await this.start();
    } catch (error) {
      tellFailure(this.page.notices, error, () => this.restart());
    }
  }

  perform(act, argument) {
    const { frame } = this;
    const acts = {
      judge: () => this.judge(argument),
      category: () => this.draftOf({ category: toggled(this.draft.category, argument) }),
      symbol: () => this.draftOf({ symbol: !this.draft.symbol }),
      note: () => byId('note').focus(),
      next: () => this.go(1),
      back: () => this.go(-1),
      lookAt: () => this.step && frame.lookAt(this.step.box),
      ...viewing(frame, argument),
      loupe: () => { frame.loupe = !frame.loupe; },
      boxes: () => { this.hidden = !this.hidden; this.draw(); },
      escape: () => byId('note').blur(),
    };
    acts[act]?.();
  }
}

async function main() {
  const review = new Review();
  review.page = await begin({ onStored: (events) => review.stored(events), onConflict: (event) => review.conflict(event) });
  bind(KEYS, (act, argument) => review.perform(act, argument));
  for (const name of FILTERS) byId(name).addEventListener('change', () => { byId(name).blur(); review.restart(); });
  byId('note').addEventListener('change', () => review.again());
  await review.restart();
}

main();
