// The discussion of a training pair: everybody's boxes over the picture, and a list of places to go through.
import { Api, ApiError, pageCsrf } from './api.js';
import { drawn, made } from './elements.js';
import { answerWords, boxesByEvent, extraWords, flagWords, initialsOf, looksOf, markedWords } from './places.js';

function styled() {
  const href = new URL('training.css', import.meta.url).href;
  if (!document.querySelector(`link[href="${href}"]`)) document.head.append(made('link', { rel: 'stylesheet', href }));
}

/** A line in a labeler's colour and dash, for the list. */
function swatch(k) {
  const { colour, dash } = looksOf(k);
  const line = drawn('line', { x1: 2, y1: 6, x2: 34, y2: 6, stroke: colour, 'stroke-width': 4, 'stroke-dasharray': dash });
  return drawn('svg', { viewBox: '0 0 36 12', width: 36, height: 12, 'aria-hidden': 'true' }, line);
}

/** Everybody's boxes in an `svg` of their own above the frame's, placed anew whenever the view has changed. */
class Drawing {
  #frame;
  #told;
  #before = '';
  #request = 0;

  constructor(frame, told) {
    this.#frame = frame;
    this.#told = told;
    this.hidden = new Set();
    this.chosen = null;
    this.layer = drawn('svg', { class: 'frame-overlay training-overlay', 'aria-hidden': 'true' });
    frame.overlay.parentNode.append(this.layer);
    this.#follow();
  }

  remove() {
    cancelAnimationFrame(this.#request);
    this.layer.remove();
  }

  // The frame tells its view to the page alone, so that this looks at it before every painting.
  #follow() {
    const { scale, x, y } = this.#frame.view, { clientWidth, clientHeight } = this.#frame.overlay.parentNode;
    const now = [scale, x, y, clientWidth, clientHeight, [...this.hidden], this.chosen?.events].join(' ');
    if (now !== this.#before) this.#draw();
    this.#before = now;
    this.#request = requestAnimationFrame(() => this.#follow());
  }

  #draw() {
    const initials = initialsOf(this.#told.labelers.map((one) => one.name));
    const parts = [];
    for (const [event, { box, labeler }] of boxesByEvent(this.#told.labelers)) {
      if (this.hidden.has(labeler)) continue;
      const { x, y, width, height } = this.#frame.clientRect(box), { colour, dash } = looksOf(labeler);
      const rect = { x, y, width: Math.max(width, 2), height: Math.max(height, 2) };
      const strong = this.chosen?.events.includes(event) ?? false;
      parts.push(
        drawn('rect', { ...rect, class: 'training-under', 'stroke-width': strong ? 8 : 5 }),
        drawn('rect', { ...rect, class: 'training-box', stroke: colour, 'stroke-width': strong ? 5 : 3, 'stroke-dasharray': dash }),
        this.#letters(initials[labeler], labeler, { x, y }, colour),
      );
    }
    this.layer.replaceChildren(...parts);
  }

  // Boxes at one place share a corner: each labeler's letters stand a little further to the right.
  #letters(text, labeler, { x, y }, colour) {
    const width = 9 * text.length + 8, left = x + 32 * labeler, top = Math.max(y - 17, 0);
    return drawn('g', { class: 'training-letters' },
      drawn('rect', { x: left, y: top, width, height: 16, rx: 3, fill: colour }),
      drawn('text', { x: left + width / 2, y: top + 12 }, text));
  }
}

/** The list beside the picture. */
class Listing {
  constructor(told, { frame, drawing, again }) {
    this.told = told;
    this.frame = frame;
    this.drawing = drawing;
    const done = told.labelers.length, waiting = told.waiting.length;
    const head = made('p', { className: 'training-done' },
      `${done} of ${done + waiting} are done with this pair${waiting ? `; not yet: ${told.waiting.join(', ')}` : ''}. `);
    if (waiting) head.append(made('button', { type: 'button', textContent: 'Look again', onclick: again }));
    this.element = made('section', { className: 'training' },
      made('h2', { textContent: 'Discussion' }), head, this.#legend(), this.#places(),
      made('p', { className: 'muted' }, 'Go through the questions of the tree for each place. What you agree on can go into your note on the whole picture. Boxes of training count nowhere.'));
  }

  #legend() {
    const initials = initialsOf(this.told.labelers.map((one) => one.name));
    const rows = this.told.labelers.map((one, k) => {
      const box = made('input', { type: 'checkbox', checked: true });
      box.addEventListener('change', () => {
        if (box.checked) this.drawing.hidden.delete(k);
        else this.drawing.hidden.add(k);
      });
      const flag = flagWords(one.flag);
      const words = ` ${initials[k]}  ${one.name}: ${one.boxes.length} ${one.boxes.length === 1 ? 'box' : 'boxes'}`;
      return made('li', {}, made('label', {}, box, swatch(k), words), flag ? made('p', { className: 'training-flag', textContent: flag }) : '');
    });
    return made('ul', { className: 'training-legend', ariaLabel: 'Who is done; show their boxes' }, ...rows);
  }

  #places() {
    if (!this.told.places.length) return made('p', { textContent: 'Nobody of those who are done marked anything here.' });
    const boxes = boxesByEvent(this.told.labelers);
    const list = made('ol', { className: 'training-places' }, ...this.told.places.map((place) => this.#place(place, boxes)));
    return this.told.compared ? list : made('div', {}, made('p', { className: 'warning', textContent: 'There are too many boxes to compare them; each stands alone.' }), list);
  }

  #place(place, boxes) {
    const button = made('button', { type: 'button', textContent: markedWords(place, this.told.labelers), ariaPressed: 'false' });
    const said = place.events.map((event) => {
      const { box, labeler } = boxes.get(event), extra = extraWords(box);
      return made('li', {}, swatch(labeler), made('b', { textContent: ` ${this.told.labelers[labeler].name} ` }), answerWords(box), extra ? made('span', { className: 'training-extra', textContent: extra }) : '');
    });
    const missing = this.told.labelers.map((one) => one.name).filter((name) => !place.labelers.includes(name));
    const others = missing.length ? made('p', { className: 'muted', textContent: `not marked by ${missing.join(', ')}` }) : '';
    button.addEventListener('click', () => this.#choose(button, place));
    return made('li', {}, button, made('ul', {}, ...said), others);
  }

  #choose(button, place) {
    const again = this.drawing.chosen === place;
    for (const other of button.closest('ol').querySelectorAll(':scope > li > button')) other.ariaPressed = 'false';
    button.ariaPressed = String(!again);
    this.drawing.chosen = again ? null : place;
    if (!again) this.frame.lookAt(place);
  }
}

/**
 * Show the discussion of a training pair over the frame, which shows that pair, and in a panel.
 *
 * Before the own pass is done, and where the server does not answer, the panel says so and nothing is drawn.
 *
 * @param {import('./frame.js').Frame} frame
 * @param {HTMLElement} panel its content is replaced
 * @param {string} alias
 * @param {{api?: Api}} tools
 * @returns {Promise<{shown: boolean, hide: () => void}>} `hide` takes boxes and list away
 */
export async function showTraining(frame, panel, alias, { api = new Api(pageCsrf()) } = {}) {
  styled();
  let told, drawing = null, gone = false;
  const hide = () => {
    gone = true;
    drawing?.remove();
    panel.replaceChildren();
  };
  const load = async () => {
    try {
      told = await api.get(`/api/training/${alias}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!gone && !drawing) panel.replaceChildren(made('p', { className: 'training-not', role: 'status', textContent: error.message }));
      return false;
    }
    if (gone) return false;
    drawing?.remove();
    drawing = new Drawing(frame, told);
    panel.replaceChildren(new Listing(told, { frame, drawing, again: load }).element);
    return true;
  };
  const shown = await load();
  return { shown, hide };
}
