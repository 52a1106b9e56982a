/** What keys and buttons do to the picture and its boxes. Going from pair to pair is in label.js. */
import { moved, resized } from './boxes.js';

const GAMMAS = [1, 1.5, 2, 3, 4];
const DIFFERENCES = ['off', 'over', 'half'];
const NUDGE_PAUSE_MS = 400;
const PAN = 64;
const NEW_BOX = 48;

function rotated(list, now) {
  return list[(list.indexOf(now) + 1) % list.length];
}

export class Actions {
  #frame;
  #desk;
  #editor;
  #say;
  #shown;
  #timer = 0;
  #pointer = null;
  boxesShown = true;
  keeps = false;

  /**
   * @param {{frame: import('./frame.js').Frame, desk: import('./desk.js').Desk, editor: import('./editor.js').Editor,
   *   say: (text: string) => void, shown: () => void}} parts `shown` is called when the picture is looked at otherwise
   */
  constructor({ frame, desk, editor, say, shown }) {
    this.#frame = frame;
    this.#desk = desk;
    this.#editor = editor;
    this.#say = say;
    this.#shown = shown;
  }

  /** Where the pointer is in the picture; null outside of it. */
  pointAt(x, y) {
    const { pair } = this.#desk;
    this.#pointer = pair && x !== null && x >= 0 && y >= 0 && x < pair.width && y < pair.height ? [x, y] : null;
  }

  /** Do an action if it is one of these. @returns {boolean} whether it was */
  perform(act, argument, field) {
    if (typeof this[act] !== 'function' || !ACTS.has(act)) return false;
    if (!this.#desk.pair && NEEDS_PAIR.has(act)) return true;
    if (this.#editor.dragging && act !== 'flip' && act !== 'zoom') return true;
    this[act](argument, field);
    return true;
  }

  // Looking

  flip() {
    this.#frame.flip();
  }

  fit() {
    this.#frame.fit();
  }

  actual() {
    this.#frame.actual();
  }

  zoom(factor) {
    this.#frame.zoomBy(factor);
  }

  zoomToBox() {
    const { box } = this.#desk;
    if (box) this.#frame.lookAt(box);
  }

  difference() {
    this.#frame.difference = rotated(DIFFERENCES, this.#frame.difference);
    this.#shown();
    this.#say(`difference: ${this.#frame.difference}`);
  }

  differenceKind() {
    this.#frame.differenceKind = this.#frame.differenceKind === 'perceptual' ? 'absolute' : 'perceptual';
    this.#shown();
    this.#say(`difference: ${this.#frame.differenceKind}`);
  }

  gain(by) {
    this.#frame.gain = Math.min(32, Math.max(1, this.#frame.gain * 2 ** by));
    this.#shown();
    this.#say(`gain ×${this.#frame.gain}`);
  }

  loupe() {
    this.#frame.loupe = !this.#frame.loupe;
    if (this.#frame.loupe) this.#frame.loupeAt(...(this.#pointer ?? [this.#frame.view.x, this.#frame.view.y]));
    this.#shown();
  }

  gamma(by) {
    const at = GAMMAS.indexOf(this.#frame.gamma) + by;
    this.#frame.gamma = GAMMAS[(at + GAMMAS.length) % GAMMAS.length];
    this.#shown();
    this.#say(this.#frame.gamma === 1 ? 'gamma off' : `gamma ${this.#frame.gamma}`);
  }

  hideBoxes() {
    this.boxesShown = !this.boxesShown;
    this.#frame.overlay.style.visibility = this.boxesShown ? '' : 'hidden';
    this.#shown();
    this.#say(this.boxesShown ? 'boxes shown' : 'boxes hidden');
  }

  keepView() {
    this.keeps = !this.keeps;
    this.#shown();
    this.#say(this.keeps ? 'zoom and place are kept for the next pair' : 'each pair begins fitted');
  }

  tool() {
    this.#editor.draws = !this.#editor.draws;
    this.#shown();
    this.#say(this.#editor.draws ? 'dragging draws' : 'dragging moves the picture');
  }

  // Boxes

  addBox() {
    const { pair } = this.#desk;
    const [x, y] = this.#pointer ?? [this.#frame.view.x, this.#frame.view.y];
    const side = Math.max(1, Math.round((NEW_BOX * window.devicePixelRatio) / this.#frame.view.scale));
    const [w, h] = [Math.min(side, pair.width), Math.min(side, pair.height)];
    const rect = { x: Math.floor(x - w / 2), y: Math.floor(y - h / 2), w, h };
    this.#reveal();
    this.#desk.add(moved(rect, 0, 0, pair));
  }

  selectBox(by) {
    this.#reveal();
    if (!this.#desk.selectNext(by)) this.#say('there is no box');
    else this.bring();
  }

  /** Bring the selected box into view if none of it is to be seen. */
  bring() {
    const { box } = this.#desk;
    if (!box) return;
    this.#say(`box of ${box.w} × ${box.h} pixels`);
    const { x, y, width, height } = this.#frame.clientRect(box);
    const { clientWidth, clientHeight } = this.#frame.overlay;
    if (x + width > 0 && y + height > 0 && x < clientWidth && y < clientHeight) return;
    this.#frame.look({ scale: this.#frame.view.scale, x: box.x + box.w / 2, y: box.y + box.h / 2 });
  }

  pick(_, key) {
    this.#reveal();
    this.#desk.select(key);
    this.bring();
  }

  nudge(step) {
    this.#shift(step, 1);
  }

  nudgeFar(step) {
    this.#shift(step, 10);
  }

  #shift([dx, dy], by) {
    const { box, pair } = this.#desk;
    if (box) this.#attempt(moved(box, dx * by, dy * by, pair));
    else this.#frame.panBy(-dx * by * PAN, -dy * by * PAN);
  }

  grow(step) {
    this.#stretch(step, 1);
  }

  growFar(step) {
    this.#stretch(step, 10);
  }

  #stretch([dx, dy], by) {
    const { box, pair } = this.#desk;
    if (box) this.#attempt(resized(box, 'se', dx * by, dy * by, pair));
  }

  /** Steps that follow each other at once are one change. */
  #attempt(rect) {
    this.#desk.attempt(rect);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#editor.dragging) this.#desk.settleBox();
    }, NUDGE_PAUSE_MS);
  }

  async snap() {
    const { box, selected } = this.#desk;
    if (!box) return;
    this.#desk.settleBox();
    const { x, y, w, h } = box;
    let tight;
    try {
      tight = await this.#frame.changedBox({ x, y, w, h });
    } catch (error) {
      if (error.name !== 'AbortError') this.#say(error.message); // else another pair is shown by now
      return;
    }
    if (this.#desk.selected !== selected || this.#editor.dragging) return;
    if (!tight) this.#say('nothing changed inside this box');
    else if (tight.x === x && tight.y === y && tight.w === w && tight.h === h) this.#say('the box is as tight as it can be');
    else this.#desk.change({ x: tight.x, y: tight.y, w: tight.w, h: tight.h });
  }

  delete() {
    if (this.#desk.delete()) this.#say('box deleted; Ctrl Z brings it back');
  }

  undo() {
    this.#say(this.#desk.undo() ? 'undone' : 'nothing to undo');
  }

  redo() {
    this.#say(this.#desk.redo() ? 'done again' : 'nothing to do again');
  }

  nextSuggestion() {
    const found = this.#desk.nextSuggestion();
    if (!found) this.#say('there are no suggestions');
    else this.#frame.lookAt(found);
  }

  takeSuggestion() {
    if (!this.#desk.takeSuggestion()) this.#say('no suggestion is selected');
  }

  // Deciding

  answer(answer, field) {
    if (this.#desk.answer(answer, field)) return;
    this.#say(this.#desk.box ? 'the tree has ended; B takes an answer back' : 'select a box first');
  }

  stepBack() {
    this.#desk.stepBack();
  }

  category(name) {
    if (!this.#desk.category(name)) this.#say('select a box first');
  }

  symbol() {
    const { box } = this.#desk;
    if (!box || !this.#desk.change({ symbol: !box.symbol })) this.#say('select a box first');
  }

  multi() {
    this.#desk.setFlag({ multi: !this.#desk.flag.multi });
    this.#say(this.#desk.flag.multi ? 'multi-miscompression' : 'no multi-miscompression');
  }

  multiKind(kind) {
    this.#desk.setFlag({ multi: this.#desk.flag.multi || kind !== '', multiKind: kind });
  }

  overall() {
    this.#desk.setFlag({ overall: !this.#desk.flag.overall });
    this.#say(this.#desk.flag.overall ? 'overall appearance changed' : 'overall appearance as it was');
  }

  #reveal() {
    if (!this.boxesShown) this.hideBoxes();
  }
}

const LOOKING = 'flip fit actual zoom difference differenceKind gain loupe gamma hideBoxes keepView tool';
const NEEDS_PAIR = new Set(
  (
    'zoomToBox addBox selectBox pick nudge nudgeFar grow growFar snap delete undo redo nextSuggestion takeSuggestion ' +
    'answer stepBack category symbol multi multiKind overall'
  ).split(' '),
);
const ACTS = new Set([...LOOKING.split(' '), ...NEEDS_PAIR]);
