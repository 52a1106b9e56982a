/**
 * Boxes over the picture: drawing, moving and resizing them by the pointer. What they are is in boxes.js.
 *
 * Outlines lie outside of the pixels of a box, light within dark, so that nothing of it is covered and it shows on any
 * ground. Handles keep their size on the screen, and stand off from boxes too small to hold them.
 */
import { moved, resized, spanned } from './boxes.js';
import { drawn } from './elements.js';

const HANDLES = ['nw', 'n', 'ne', 'e', 'se', 's', 'sw', 'w'];
const OPPOSITE = { nw: 'nwse', se: 'nwse', ne: 'nesw', sw: 'nesw', n: 'ns', s: 'ns', e: 'ew', w: 'ew' };
const OUTLINE = 1.5;
const HANDLE = 9;
const REACH = 9;
const STAND_OFF = 7;
const LEAST_SPAN = 44;
const CLICK = 3;

/** Where a handle stands beside a box on the screen, in CSS pixels. */
export function handlePlace(rect, handle) {
  const spread = (low, high) => {
    const lack = Math.max(0, (LEAST_SPAN - (high - low)) / 2);
    return [low - Math.max(lack, STAND_OFF), high + Math.max(lack, STAND_OFF)];
  };
  const [left, right] = spread(rect.x, rect.x + rect.width);
  const [top, bottom] = spread(rect.y, rect.y + rect.height);
  const x = handle.includes('w') ? left : handle.includes('e') ? right : (left + right) / 2;
  const y = handle.includes('n') ? top : handle.includes('s') ? bottom : (top + bottom) / 2;
  return [x, y];
}

export class Editor {
  #frame;
  #page;
  #drag = null;
  #draws = true;

  /**
   * @param {import('./frame.js').Frame} frame
   * @param {{
   *   boxes: () => import('./boxes.js').Boxes | null,
   *   size: () => {width: number, height: number},
   *   selected: () => string,
   *   select: (key: string) => void,
   *   suggestions: () => object[],
   *   suggested: () => string,
   *   doubtful: () => Set<string>,
   *   changed: () => void,
   * }} page `changed` is called after a box was drawn, moved or resized
   */
  constructor(frame, page) {
    this.#frame = frame;
    this.#page = page;
    frame.tool = this;
    this.cursor = 'crosshair';
  }

  /** Whether dragging draws; else it moves the picture. */
  get draws() {
    return this.#draws;
  }

  set draws(on) {
    this.#draws = on;
    this.#point('');
  }

  get dragging() {
    return this.#drag !== null;
  }

  down(x, y, event) {
    const boxes = this.#page.boxes();
    if (!boxes || event.button !== 0 || this.#drag) return false;
    const start = { from: [x, y], clientX: event.clientX, clientY: event.clientY, far: false };
    const handle = this.#handleAt(event);
    const selected = boxes.get(this.#page.selected());
    if (handle) this.#drag = { ...start, kind: 'resize', handle, key: selected.key, rect: rectOf(selected) };
    else if (selected && inside(selected, x, y)) this.#drag = { ...start, kind: 'move', key: selected.key, rect: rectOf(selected) };
    else if (this.#draws) this.#drag = { ...start, kind: 'draw', key: '' };
    else if (this.#at(x, y)) this.#drag = { ...start, kind: 'click', key: '' };
    return this.#drag !== null;
  }

  move(x, y, event) {
    const drag = this.#drag;
    if (!drag) {
      this.#point(this.#handleAt(event), x, y);
      return;
    }
    drag.far ||= Math.hypot(event.clientX - drag.clientX, event.clientY - drag.clientY) > CLICK;
    if (!drag.far) return;
    drag.to = [x, y];
    const size = this.#page.size();
    const [dx, dy] = [x - drag.from[0], y - drag.from[1]];
    const boxes = this.#page.boxes();
    if (drag.kind === 'move') boxes.attempt(drag.key, moved(drag.rect, dx, dy, size));
    else if (drag.kind === 'resize') boxes.attempt(drag.key, resized(drag.rect, drag.handle, dx, dy, size));
    this.redraw();
  }

  up(x, y, event) {
    const drag = this.#drag;
    if (!drag) return;
    if (event.type === 'pointercancel') {
      this.cancel();
      return;
    }
    if (drag.far) this.move(x, y, event);
    this.#drag = null;
    const boxes = this.#page.boxes();
    if (!drag.far) {
      boxes.drop();
      this.#page.select(this.#next(drag.from));
    } else if (drag.kind === 'draw') {
      this.#page.select(boxes.add(spanned(drag.from, drag.to, this.#page.size())));
    } else boxes.settle();
    this.#page.changed();
  }

  /** Stop a drag as if it had not begun. @returns {boolean} whether there was one */
  cancel() {
    if (!this.#drag) return false;
    this.#drag = null;
    this.#page.boxes()?.drop();
    this.redraw();
    return true;
  }

  /** Place all outlines anew, as after a change of the view. */
  redraw() {
    const { overlay } = this.#frame;
    const boxes = this.#page.boxes()?.list() ?? [];
    const selected = this.#page.selected();
    const doubtful = this.#page.doubtful();
    const parts = this.#page.suggestions().map((one) => {
      const state = one.event === this.#page.suggested() ? 'is-suggestion is-selected' : 'is-suggestion';
      return this.#outline(one, state);
    });
    const outlines = boxes.map((one, at) => {
      const states = [one.key === selected && 'is-selected', doubtful.has(one.event) && 'is-doubtful'];
      return this.#outline(one, states.filter(Boolean).join(' '), String(at + 1));
    });
    const isSelected = (one) => one.dataset.key === selected;
    parts.push(...outlines.filter((one) => !isSelected(one)), ...outlines.filter(isSelected));
    const drag = this.#drag;
    if (drag?.kind === 'draw' && drag.far) {
      parts.push(this.#outline(spanned(drag.from, drag.to, this.#page.size()), 'is-selected is-drawn'));
    }
    const shown = boxes.find((one) => one.key === selected);
    if (shown && drag?.kind !== 'draw') parts.push(this.#handles(shown));
    overlay.replaceChildren(...parts);
  }

  #outline(box, states, number = '') {
    const rect = this.#frame.clientRect(box);
    const group = drawn('g', { class: `box ${states}` });
    if (box.key) group.dataset.key = box.key;
    for (const [name, out] of [['box-dark', OUTLINE], ['box-light', OUTLINE]]) {
      const place = { x: rect.x - out, y: rect.y - out, width: rect.width + 2 * out, height: rect.height + 2 * out };
      group.append(drawn('rect', { class: name, ...place }));
    }
    if (number) {
      group.append(drawn('text', { class: 'box-number', x: rect.x - 2, y: rect.y - 6 }, String(number)));
    }
    return group;
  }

  #handles(box) {
    const rect = this.#frame.clientRect(box);
    const group = drawn('g', { class: 'handles' });
    for (const handle of HANDLES) {
      const [x, y] = handlePlace(rect, handle);
      const place = { x: x - HANDLE / 2, y: y - HANDLE / 2, width: HANDLE, height: HANDLE };
      group.append(drawn('rect', { class: 'handle', 'data-handle': handle, ...place }));
    }
    return group;
  }

  #handleAt(event) {
    const selected = this.#page.boxes()?.get(this.#page.selected());
    if (!selected) return '';
    const { left, top } = this.#frame.overlay.getBoundingClientRect();
    const rect = this.#frame.clientRect(selected);
    const near = (handle) => {
      const [x, y] = handlePlace(rect, handle);
      return Math.max(Math.abs(event.clientX - left - x), Math.abs(event.clientY - top - y)) <= REACH;
    };
    return HANDLES.find(near) ?? '';
  }

  #point(handle, x, y) {
    const selected = this.#page.boxes()?.get(this.#page.selected());
    let cursor = this.#draws ? 'crosshair' : 'grab';
    if (handle) cursor = `${OPPOSITE[handle]}-resize`;
    else if (selected && x !== undefined && inside(selected, x, y)) cursor = 'move';
    if (cursor === this.cursor) return;
    this.cursor = cursor;
    this.#frame.tool = this;
  }

  /** Boxes at a point, the smallest first. */
  #all(x, y) {
    const slack = 4 / this.#frame.view.scale;
    const boxes = this.#page.boxes().list().filter((one) => inside(one, x, y, slack));
    return boxes.sort((one, other) => one.w * one.h - other.w * other.h).map((one) => one.key);
  }

  #at(x, y) {
    return this.#all(x, y)[0] ?? '';
  }

  /** Clicking again at the same place goes through the boxes that lie over each other. */
  #next([x, y]) {
    const keys = this.#all(x, y);
    if (!keys.length) return '';
    return keys[(keys.indexOf(this.#page.selected()) + 1) % keys.length];
  }
}

function rectOf({ x, y, w, h }) {
  return { x, y, w, h };
}

function inside(box, x, y, slack = 0) {
  return x >= box.x - slack && y >= box.y - slack && x < box.x + box.w + slack && y < box.y + box.h + slack;
}
