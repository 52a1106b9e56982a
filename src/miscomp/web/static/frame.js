// The viewer of one aligned pair: both sides painted for the same view, one shown; a flip only uncovers the other.
import { DifferenceLayer } from './difference-layer.js';
import { build, tellScale, tellSide } from './frame-parts.js';
import { Layer, Pyramid } from './layers.js';
import { Loupe } from './loupe.js';
import { Pointer } from './pointer.js';
import { NEAREST_FROM, allowed, corner, fitted, imagePoint, lookedAt, panned, zoomed } from './view.js';

const SIDES = ['original', 'reconstruction'];
const GRID_FROM = 12;
const SETTLED_AFTER = 80; // ms without a new view before the covered side is painted too

/** The size of an observed element in device pixels: the browser's own count, where it has one that agrees with its ratio. */
function devicePixels({ contentRect, devicePixelContentBoxSize }, dpr) {
  const width = contentRect.width * dpr, height = contentRect.height * dpr, exact = devicePixelContentBoxSize?.[0];
  const agrees = exact && Math.abs(exact.inlineSize - width) < 1.01 && Math.abs(exact.blockSize - height) < 1.01;
  return agrees ? { width: exact.inlineSize, height: exact.blockSize } : { width: Math.round(width), height: Math.round(height) };
}

/**
 * @typedef {{original: ImageBitmap, reconstruction: ImageBitmap, alias: string}} Pair
 * @typedef {import('./view.js').View} View
 * @typedef {import('./view.js').Box} Box
 */
export class Frame {
  #gamma = 1;
  #side = 'original';
  #tool = null;

  /**
   * @param {HTMLElement} element a div that has a size of its own; it becomes focusable
   * @param {{onView?: Function, onSide?: Function, onPoint?: Function, onFlip?: Function, onError?: Function}} tell
   * onView(view) after every painting; onSide(side); onPoint(x, y) in picture pixels, (null, null) when the pointer
   * leaves; onFlip(ms) from the call to the frame after the one that shows the other side; onError(error) where the
   * difference cannot be computed.
   */
  constructor(element, tell = {}) {
    this.element = element;
    this.tell = tell;
    this.parts = build(element);
    this.overlay = this.parts.overlay;
    this.sides = Object.fromEntries(SIDES.map((side) => [side, new Layer(this.parts.picture, `frame-side frame-${side}`)]));
    this.heat = new DifferenceLayer(element, this.parts, (error) => tell.onError?.(error));
    this.parts.picture.append(this.overlay);
    this.parts.map.append(this.parts.mirror);
    this.grid = true;
    this.port = { width: 1, height: 1 };
    this.view = { scale: 1, x: 0, y: 0 };
    this.picture = null; // {width, height, alias}
    this.pyramids = null;
    this.fittedView = true;
    this.stale = new Set();
    this.loupePanel = new Loupe(element);
    this.pointer = new Pointer(this.parts.stage, this);
    this.observer = new ResizeObserver((entries) => this.resized(entries.at(-1)));
    try {
      this.observer.observe(this.parts.picture, { box: 'device-pixel-content-box' });
    } catch {
      this.observer.observe(this.parts.picture); // Safari: sizes in CSS pixels, rounded below
    }
    tellSide(element, this.parts, this.#side);
  }

  get pixelRatio() { return window.devicePixelRatio || 1; }

  // What is shown

  /**
   * Show a pair. Nothing of it is visible before both sides are painted. The frame does not close the pictures: they
   * must stay open until another pair is shown.
   *
   * @param {Pair} pair two pictures of one size
   * @param {{keep?: boolean, side?: string}} options keep scale and position (where the sizes differ: the same scale
   * and relative place); the side to begin with, else the present one
   */
  async show({ original, reconstruction, alias }, { keep = false, side = this.#side } = {}) {
    const { width, height } = original, before = this.picture;
    if (reconstruction.width !== width || reconstruction.height !== height) throw new RangeError('the two sides differ in size');
    this.release();
    this.picture = { width, height, alias };
    this.pyramids = { original: new Pyramid(original), reconstruction: new Pyramid(reconstruction) };
    if (!keep || !before || this.fittedView) this.fit();
    else this.look({ scale: this.view.scale, x: (this.view.x / before.width) * width, y: (this.view.y / before.height) * height });
    if (side !== this.#side) this.turn(side);
    this.paint({ still: true });
    this.heat.take({ original, reconstruction });
    this.refreshMap();
    this.loupePanel.take(this.pyramids);
    await new Promise(requestAnimationFrame);
  }

  release() {
    clearTimeout(this.settling);
    for (const pyramid of Object.values(this.pyramids ?? {})) pyramid.release();
    this.picture = this.pyramids = null;
  }

  /** Show nothing, and hold no picture. */
  clear() {
    this.release();
    this.heat.forget();
    this.loupePanel.take(null);
    this.parts.zoom.textContent = '';
    for (const layer of Object.values(this.sides)) layer.clear();
  }

  get side() { return this.#side; }
  set side(side) {
    if (!SIDES.includes(side)) throw new RangeError(`no side ${side}`);
    if (side !== this.#side) this.flip();
  }

  flip() {
    const began = performance.now(), side = this.#side === 'original' ? 'reconstruction' : 'original';
    if (this.picture && this.stale.has(side)) this.paintSide(side);
    this.turn(side);
    if (this.tell.onFlip) requestAnimationFrame(() => requestAnimationFrame(() => this.tell.onFlip(performance.now() - began)));
  }

  turn(side) {
    this.#side = side;
    tellSide(this.element, this.parts, side);
    this.tell.onSide?.(side);
  }

  // The view

  fit() {
    if (!this.picture) return;
    this.view = fitted(this.picture, this.port);
    this.fittedView = true;
    this.paintSoon();
  }

  /** One picture pixel per device pixel, around the same centre. */
  actual() { this.look({ ...this.view, scale: 1 }); }

  /** @param {number} px in device pixels of the picture's pane; left out: its centre */
  zoomBy(factor, px, py) { if (this.picture) this.look(zoomed(this.view, this.picture, this.port, { factor, px, py })); }

  /** @param {number} dx how far the picture moves, in device pixels */
  panBy(dx, dy) { if (this.picture) this.look(panned(this.view, this.picture, this.port, { dx, dy })); }

  lookAt(box) { if (this.picture) this.look(lookedAt(box, this.picture, this.port)); }

  /** @param {View} view the nearest allowed one is taken */
  look(view) {
    if (!this.picture) return;
    this.view = allowed(view, this.picture, this.port);
    this.fittedView = false;
    this.paintSoon();
  }

  // Places

  /** Device pixels of the pane under a point of the page; the pane of the difference counts like the picture's. */
  portPointAt(clientX, clientY) {
    const own = this.parts.picture.getBoundingClientRect(), other = this.parts.map.getBoundingClientRect();
    const pane = this.difference === 'half' && clientX >= other.left ? other : own;
    return [(clientX - pane.left) * this.pixelRatio, (clientY - pane.top) * this.pixelRatio];
  }

  /** The picture point under a point of the page, not rounded; it may lie outside the picture. */
  imagePoint(clientX, clientY) { return imagePoint(this.view, this.port, ...this.portPointAt(clientX, clientY)); }

  /** Where a box lies in the overlay, in CSS pixels. */
  clientRect({ x, y, w, h }) {
    const [left, top] = corner(this.view, this.port), { scale } = this.view, dpr = this.pixelRatio;
    return new DOMRect((left + x * scale) / dpr, (top + y * scale) / dpr, (w * scale) / dpr, (h * scale) / dpr);
  }

  get tool() { return this.#tool; }
  /** @param {import('./pointer.js').Tool|null} tool gets the pointer before panning does */
  set tool(tool) { this.#tool = tool; this.pointer.cursor(); }

  /** While held, a drag pans whatever the tool is. */
  holdSpace(held) { this.pointer.holdSpace(held); }

  /** A box was drawn or moved: whoever wants it tight next shall not wait. */
  toolUsed() { this.heat.measure.measure().catch(() => {}); } // a failure is told to whoever asks

  pointed(point) {
    this.tell.onPoint?.(...(point ?? [null, null]));
    if (!point || !this.loupePanel.on) return;
    const { x, y } = this.clientRect({ x: point[0], y: point[1], w: 0, h: 0 });
    this.loupePanel.dodge(x, this.parts.picture.clientHeight - y);
    this.loupePanel.at(...point);
  }

  // Aids

  get difference() { return this.heat.mode; }
  set difference(mode) {
    if (!['off', 'over', 'half'].includes(mode)) throw new RangeError(`no difference ${mode}`);
    this.heat.place(mode);
    this.refreshMap();
  }

  get differenceKind() { return this.heat.kind; }
  set differenceKind(kind) {
    if (!['perceptual', 'absolute'].includes(kind)) throw new RangeError(`no difference ${kind}`);
    this.heat.kind = kind;
    this.refreshMap();
  }

  get gain() { return this.heat.gain; }
  set gain(gain) {
    this.heat.gain = Math.min(Math.max(gain, 1), 32);
    this.refreshMap();
  }

  get loupe() { return this.loupePanel.on; }
  set loupe(on) { this.loupePanel.on = Boolean(on); }
  /** Show this picture point in the loupe, wherever the pointer is. */
  loupeAt(x, y) { this.loupePanel.at(x, y); }

  get gamma() { return this.#gamma; }
  /** Lift dark regions: a shown value is stored ** (1 / gamma), of 0..1, on both sides alike. 1 is off. */
  set gamma(gamma) {
    this.#gamma = Math.min(Math.max(gamma, 1), 4);
    for (const channel of this.parts.gamma) channel.setAttribute('exponent', 1 / this.#gamma);
    this.element.style.setProperty('--frame-gamma', this.#gamma === 1 ? 'none' : this.parts.filter);
  }

  /**
   * The tight box of what changed inside and touching a rectangle, or null; see changed-box.js.
   *
   * @throws {DOMException} AbortError where another pair was shown before the answer came
   */
  changedBox(box) { return this.heat.measure.changedBox(box); }

  // Painting

  resized(entry) {
    const { width, height } = devicePixels(entry, this.pixelRatio), dpr = this.pixelRatio;
    if (!width || !height) return;
    this.port = { width, height };
    for (const layer of [...Object.values(this.sides), this.heat.layer]) {
      layer.canvas.style.width = `${width / dpr}px`;
      layer.canvas.style.height = `${height / dpr}px`;
    }
    if (this.picture && this.fittedView) this.view = fitted(this.picture, this.port);
    this.paint({ still: true }); // now: the browser shows this frame next, and a resized canvas is empty
    this.refreshMap();
  }

  paintSoon() { this.pending ??= requestAnimationFrame(() => this.paint()); }

  /** @param {{still?: boolean}} options still: paint as a view that stays; else smoothing is cheap until it does */
  paint({ still = false } = {}) {
    cancelAnimationFrame(this.pending);
    this.pending = null;
    if (!this.picture) return;
    clearTimeout(this.settling);
    this.still = still;
    for (const side of SIDES) this.stale.add(side);
    this.paintSide(this.#side);
    if (still) this.settle(); else this.settling = setTimeout(() => this.settle(), SETTLED_AFTER);
    this.heat.paint(this.view, this.port);
    tellScale(this.parts, this.view.scale);
    this.tell.onView?.(this.view);
  }

  /** The view stays: paint the covered side too, and where smoothing shows, both of them well. */
  settle() {
    if (!this.picture) return;
    if (!this.still && this.view.scale < NEAREST_FROM && this.view.scale !== 1) this.stale.add(this.#side);
    this.still = true;
    for (const side of SIDES) if (this.stale.has(side)) this.paintSide(side);
    this.refreshMap();
  }

  paintSide(side) {
    this.sides[side].paint(this.pyramids[side], this.view, this.port, { fine: this.still });
    if (this.grid && this.view.scale >= GRID_FROM) this.sides[side].grid(this.picture, this.view, this.port);
    this.stale.delete(side);
  }

  async refreshMap() { if (await this.heat.refresh(this.view)) this.heat.paint(this.view, this.port); }
}
