/** The panel at the side: it shows what is, and tells what is pressed. Its rows stand still, whatever they show. */
import { byId, made } from './elements.js';
import { KINDS } from './course.js';
import { printed, GROUPS, keyOf } from './keys.js';
import { follow, QUESTIONS } from './tree.js';
import { pace } from './visits.js';

const ANSWERS = ['yes', 'no', 'unsure'];
const NOTE_PAUSE_MS = 700;

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function press(node, on) {
  node.setAttribute('aria-pressed', String(Boolean(on)));
}

export class Panel {
  #root;
  #perform;
  #notes = [];
  #rows = new Map();

  /**
   * @param {HTMLElement} root the panel
   * @param {(act: string, argument?: any, field?: string) => void} perform an action of keys.js
   * @param {{box: (text: string) => void, boxLeft: () => void, pair: (text: string) => void}} notes
   *   `box` at each letter; `boxLeft` and `pair` after a pause or on leaving
   */
  constructor(root, perform, notes) {
    this.#root = root;
    this.#perform = perform;
    this.#buildTree();
    this.#label();
    document.addEventListener('click', (event) => this.#clicked(event));
    byId('multi-kind').addEventListener('change', (event) => perform('multiKind', event.target.value));
    this.#watch(byId('box-note'), notes.box, notes.boxLeft);
    this.#watch(byId('pair-note'), () => {}, () => notes.pair(byId('pair-note').value));
  }

  /** Tell notes that are being written, as before the pair is left. */
  settle() {
    for (const settle of this.#notes) settle();
  }

  #buildTree() {
    byId('tree').replaceChildren(
      ...QUESTIONS.map(({ field, name, question, hint }) => {
        const buttons = ANSWERS.map((answer) => {
          const button = made('button', { type: 'button', title: `${answer} (${keyOf('answer', answer)})` }, answer);
          Object.assign(button.dataset, { act: 'answer', argument: answer, field });
          button.setAttribute('aria-label', `${name} ${answer}`);
          return button;
        });
        const row = made('div', { className: 'question', title: hint }, made('b', {}, name), made('span', {}, question), ...buttons);
        row.setAttribute('role', 'group');
        row.setAttribute('aria-label', `${name}: ${question}`);
        this.#rows.set(field, { row, buttons });
        return row;
      }),
    );
  }

  /** Titles of buttons name their keys, from the table that binds them. */
  #label() {
    const bindings = GROUPS.flatMap((group) => group.bindings);
    for (const button of document.querySelectorAll('[data-key]')) {
      const { key, argument } = button.dataset;
      const place = (one) => one.with?.findIndex((value) => String(value) === argument) ?? -1;
      const named = bindings.filter((one) => one.act === key);
      const binding = named.find((one) => place(one) >= 0) ?? named[0];
      const at = place(binding);
      button.title = `${binding.words} (${printed(binding.chords[Math.max(at, 0)])})`;
      button.setAttribute('aria-keyshortcuts', binding.chords[Math.max(at, 0)]);
    }
  }

  #clicked(event) {
    const button = event.target.closest('button[data-act]');
    if (!button || button.disabled || button.closest('dialog')) return;
    const { act, argument, field } = button.dataset;
    const number = argument !== undefined && argument !== '' && !Number.isNaN(Number(argument));
    this.#perform(act, number ? Number(argument) : argument, field);
    if (event.detail > 0) byId('frame').focus({ preventScroll: true });
  }

  #watch(field, typed, settled) {
    let timer = 0;
    let dirty = false;
    const settle = () => {
      clearTimeout(timer);
      if (dirty) settled();
      dirty = false;
    };
    this.#notes.push(settle);
    field.addEventListener('input', () => {
      dirty = true;
      typed(field.value);
      clearTimeout(timer);
      timer = setTimeout(settle, NOTE_PAUSE_MS);
    });
    field.addEventListener('blur', settle);
  }

  /** Show all of it anew. */
  show(desk, course) {
    this.#showCourse(course);
    this.#showBox(desk);
    this.#showPair(desk, course);
  }

  #showCourse({ batch, state, items, at }) {
    set(byId('batch'), batch?.batch ?? 'Batches');
    set(byId('kind'), KINDS[batch?.kind] ?? '');
    byId('kind').hidden = !KINDS[batch?.kind];
    set(byId('position'), items.length ? `${at + 1} / ${items.length}` : '');
    byId('position').classList.toggle('is-done', Boolean(items[at]?.done));
    byId('position').title = items[at]?.done ? 'This pair is done' : 'This pair is not done yet';
    byId('progress').max = Math.max(1, items.length);
    byId('progress').value = items.filter((one) => one.done).length;
    set(byId('pace'), state ? pace(state) : '');
  }

  #showBox({ boxes, box, selected, suggestions, doubtful }) {
    const list = boxes?.list() ?? [];
    const number = list.findIndex((one) => one.key === selected) + 1;
    set(byId('box-title'), box ? `Box ${number} of ${list.length}` : list.length ? `${list.length} boxes` : 'No box');
    if (list.length === 1 && !box) set(byId('box-title'), '1 box');
    const hint = suggestions.length ? `${suggestions.length} suggested (E)` : 'drag to draw';
    set(byId('box-size'), box ? `${box.w} × ${box.h} px at ${box.x}, ${box.y}` : hint);
    this.#showStrip(list, selected, doubtful);
    const found = box ? follow(box) : null;
    for (const { field } of QUESTIONS) {
      const { row, buttons } = this.#rows.get(field);
      const reached = Boolean(found && (found.asked.includes(field) || found.next === field));
      row.classList.toggle('is-next', found?.next === field);
      row.classList.toggle('is-off', !reached);
      for (const button of buttons) {
        press(button, box && box[field] === button.dataset.argument);
        button.disabled = !reached;
      }
    }
    const outcome = byId('outcome');
    outcome.className = `outcome is-${found?.outcome ?? 'none'}`;
    set(outcome, found?.words ?? (list.length ? 'Select a box to decide on it.' : ''));
    const order = box?.category ? box.category.split('+') : [];
    for (const button of byId('categories').querySelectorAll('[data-act=category]')) {
      const at = order.indexOf(button.dataset.argument);
      press(button, at >= 0);
      button.classList.toggle('is-main', at === 0);
    }
    press(this.#button('symbol'), box?.symbol);
    for (const act of ['category', 'symbol', 'snap', 'zoomToBox', 'delete']) {
      for (const button of this.#root.querySelectorAll(`[data-act="${act}"]`)) button.disabled = !box;
    }
    this.#button('undo').disabled = !boxes?.canUndo;
    this.#button('redo').disabled = !boxes?.canRedo;
    this.#fill(byId('box-note'), box?.note ?? '', !box);
  }

  #showStrip(list, selected, doubtful) {
    const strip = byId('strip');
    while (strip.childElementCount > list.length) strip.lastElementChild.remove();
    list.forEach((one, at) => {
      const button = strip.children[at] ?? strip.appendChild(made('button', { type: 'button' }, String(at + 1)));
      const { outcome, words } = follow(one);
      Object.assign(button.dataset, { act: 'pick', argument: '', field: one.key });
      button.className = `is-${outcome}${doubtful.has(one.event) ? ' is-doubtful' : ''}`;
      button.title = words;
      button.setAttribute('aria-label', `Box ${at + 1}: ${words}`);
      press(button, one.key === selected);
      if (one.key === selected) button.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    });
  }

  #showPair({ pair, flag }, { batch }) {
    const { multi = false, multiKind = '', overall = false, note = '' } = flag ?? {};
    press(this.#button('multi'), multi);
    press(this.#button('overall'), overall);
    for (const act of ['multi', 'overall']) this.#button(act).disabled = !pair;
    byId('multi-kind').disabled = !pair;
    byId('multi-kind').value = multiKind;
    const count = batch?.instances ?? null;
    const some = `Several alike: draw the first ${count}, then flag “Repeats”.`;
    set(byId('rule'), !batch ? '' : count === null ? 'Several alike: DRAW ALL INSTANCES in this batch, and flag “Repeats”.' : some);
    byId('rule').classList.toggle('is-loud', batch !== null && count === null);
    this.#fill(byId('pair-note'), note, !pair);
  }

  /** What is being written stays as it is. */
  #fill(field, text, disabled) {
    field.disabled = disabled;
    if (document.activeElement !== field && field.value !== text) field.value = text;
  }

  #button(act) {
    return this.#root.querySelector(`button[data-act="${act}"]`);
  }

  /** Show how the picture is looked at. */
  showView({ frame, draws, boxesShown, keeps }) {
    set(byId('shows-difference'), frame.difference);
    set(byId('shows-kind'), frame.differenceKind);
    set(byId('shows-gain'), `×${frame.gain}`);
    set(byId('shows-gamma'), frame.gamma === 1 ? 'off' : String(frame.gamma));
    set(byId('shows-tool'), draws ? 'draws' : 'moves');
    press(this.#button('difference'), frame.difference !== 'off');
    press(this.#button('loupe'), frame.loupe);
    press(this.#button('gamma'), frame.gamma !== 1);
    press(this.#button('hideBoxes'), boxesShown);
    press(this.#button('keepView'), keeps);
  }

  /** Show whether all is saved. */
  showState({ tone, line }) {
    const state = byId('state');
    state.className = `state is-${tone}`;
    set(state, line);
  }
}
