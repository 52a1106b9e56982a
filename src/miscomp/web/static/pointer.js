// What fingers, mouse and trackpad do to a view: wheel and pinch zoom, drag pans; a tool gets the pointer first.

const WHEEL_LIMIT = 240; // a fast wheel must not jump from one end to the other
const WHEEL_UNIT = [1, 16, 400]; // pixels, lines, pages
const PINCH = 100, WHEEL = 400; // a trackpad's pinch comes in small steps

/**
 * @typedef {{down(x: number, y: number, event: PointerEvent): boolean, move?: Function, up?: Function, cursor?: string}} Tool
 * A tool's points are picture pixels (not rounded). `down` returns true to take the pointer until `up`; `move` is also
 * called while no button is down. `up` gets pointercancel too: look at event.type.
 */
export class Pointer {
  /** @param {HTMLElement} target @param {object} frame the frame whose view is moved */
  constructor(target, frame) {
    this.frame = frame;
    this.target = target;
    this.fingers = new Map();
    this.taken = null; // the pointer that a tool holds
    this.space = false;
    this.moved = false;
    const on = (name, handler, options) => target.addEventListener(name, handler, options);
    on('wheel', (event) => this.wheel(event), { passive: false });
    on('pointerdown', (event) => this.down(event));
    on('pointermove', (event) => this.move(event));
    on('pointerup', (event) => this.up(event));
    on('pointercancel', (event) => this.up(event));
    on('pointerleave', () => { if (!this.fingers.size) frame.pointed(null); });
    on('contextmenu', (event) => { if (this.taken !== null) event.preventDefault(); });
    on('auxclick', (event) => event.preventDefault());
    on('mousedown', (event) => { if (event.button === 1) event.preventDefault(); }); // no scrolling by the middle button
    this.gestures(on);
  }

  /** Safari tells a trackpad's pinch by events of its own. */
  gestures(on) {
    let before = 1;
    on('gesturestart', (event) => { event.preventDefault(); before = event.scale; });
    on('gesturechange', (event) => {
      event.preventDefault();
      if (this.fingers.size) return; // touch is told by pointer events too
      this.zoom(event.scale / before, event.clientX, event.clientY);
      before = event.scale;
    });
  }

  zoom(factor, clientX, clientY) { this.frame.zoomBy(factor, ...this.frame.portPointAt(clientX, clientY)); }

  wheel(event) {
    event.preventDefault();
    const steps = event.deltaY * (WHEEL_UNIT[event.deltaMode] ?? 1);
    const limited = Math.max(-WHEEL_LIMIT, Math.min(WHEEL_LIMIT, steps));
    this.zoom(Math.exp(-limited / (event.ctrlKey ? PINCH : WHEEL)), event.clientX, event.clientY);
  }

  /** While the space bar is held, a drag pans whatever tool is chosen. The page says so: it owns the keys. */
  holdSpace(held) { this.space = held; this.cursor(); }

  cursor() {
    const panning = this.fingers.size > 0 && this.taken === null;
    this.target.style.cursor = panning ? 'grabbing' : this.space ? 'grab' : this.frame.tool?.cursor ?? 'grab';
  }

  down(event) {
    this.target.setPointerCapture(event.pointerId);
    const first = this.fingers.size === 0;
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (first) this.moved = false;
    const free = first && event.button === 0 && !this.space;
    if (free && this.frame.tool?.down?.(...this.frame.imagePoint(event.clientX, event.clientY), event)) this.taken = event.pointerId;
    this.cursor();
  }

  move(event) {
    const point = this.frame.imagePoint(event.clientX, event.clientY), before = this.fingers.get(event.pointerId);
    this.frame.pointed(point);
    if (this.taken === event.pointerId || (!before && this.taken === null)) this.frame.tool?.move?.(...point, event);
    if (!before || this.taken !== null) return;
    const now = [event.clientX, event.clientY], other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.fingers.set(event.pointerId, now);
    const dx = now[0] - before[0], dy = now[1] - before[1];
    if (dx || dy) this.moved = true;
    const dpr = this.frame.pixelRatio;
    if (!other) { this.frame.panBy(dx * dpr, dy * dpr); return; }
    // Two fingers: their middle moves the picture, their distance scales it.
    this.frame.panBy((dx / 2) * dpr, (dy / 2) * dpr);
    const grown = Math.hypot(now[0] - other[0], now[1] - other[1]) / Math.max(Math.hypot(before[0] - other[0], before[1] - other[1]), 1);
    this.zoom(grown, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  up(event) {
    if (!this.fingers.delete(event.pointerId)) return;
    if (this.taken === event.pointerId) {
      this.taken = null;
      this.frame.tool?.up?.(...this.frame.imagePoint(event.clientX, event.clientY), event);
      this.frame.toolUsed();
    }
    this.cursor();
  }
}
