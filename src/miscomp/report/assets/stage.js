// The picture: one canvas, one view (centre in image pixels, device pixels per image pixel) shared by both pictures,
// so that a flip moves nothing.
const NEAREST_FROM = 2;
const LARGEST = 64;

class Stage {
  constructor(canvas, onView) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.onView = onView;
    this.clear();
    this.showing = 'original';
    this.difference = false;
    this.outlines = true;
    this.fitted = true;
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.listen();
  }

  clear() { Object.assign(this, { pictures: null, boxes: [], selected: -1, width: 1, height: 1, scale: 1, x: 0, y: 0 }); }

  // `pictures` holds original, reconstruction and heat; the same size keeps the view when asked to.
  show(pictures, { keep }) {
    const { naturalWidth: width, naturalHeight: height } = pictures.original;
    const same = keep && this.pictures && width === this.width && height === this.height;
    Object.assign(this, { pictures, width, height });
    if (same) this.draw(); else this.fit();
  }

  get dpr() { return window.devicePixelRatio || 1; }
  get smallest() { return Math.min(1, this.canvas.width / this.width, this.canvas.height / this.height) / 2; }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth || !clientHeight) return;
    this.canvas.width = Math.round(clientWidth * this.dpr);
    this.canvas.height = Math.round(clientHeight * this.dpr);
    if (this.fitted) this.fit(); else this.draw();
  }

  fit() {
    const scale = Math.min(this.canvas.width / this.width, this.canvas.height / this.height);
    this.look(scale > 1 ? Math.min(Math.floor(scale), 8) : scale, this.width / 2, this.height / 2);
    this.fitted = true;
  }

  look(scale, x, y) {
    this.fitted = false;
    this.scale = Math.min(Math.max(scale, this.smallest), LARGEST);
    this.x = Math.min(Math.max(x, 0), this.width);
    this.y = Math.min(Math.max(y, 0), this.height);
    this.draw();
  }

  // Zoom so that the image point under (px, py), in device pixels of the canvas, stays where it is.
  zoom(factor, px = this.canvas.width / 2, py = this.canvas.height / 2) {
    const [ix, iy] = this.imagePoint(px, py);
    const scale = Math.min(Math.max(this.scale * factor, this.smallest), LARGEST);
    this.look(scale, ix - (px - this.canvas.width / 2) / scale, iy - (py - this.canvas.height / 2) / scale);
  }

  pan(dx, dy) { this.look(this.scale, this.x - dx / this.scale, this.y - dy / this.scale); }

  // Show a box with as much around it as its own size, at least.
  zoomTo([x, y, w, h]) {
    const room = Math.min(this.canvas.width / Math.max(3 * w, 60), this.canvas.height / Math.max(3 * h, 60));
    this.look(Math.min(Math.max(room >= 2 ? Math.floor(room) : room, 0.5), 8 * this.dpr), x + w / 2, y + h / 2);
  }

  get corner() {
    const left = this.canvas.width / 2 - this.x * this.scale, top = this.canvas.height / 2 - this.y * this.scale;
    return this.scale >= NEAREST_FROM ? [Math.round(left), Math.round(top)] : [left, top];
  }
  imagePoint(px, py) { const [left, top] = this.corner; return [(px - left) / this.scale, (py - top) / this.scale]; }

  draw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.paint(); });
  }

  paint() {
    const { context, canvas, scale } = this;
    context.fillStyle = '#15171a';
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!this.pictures) return;
    const [left, top] = this.corner, w = this.width * scale, h = this.height * scale;
    context.imageSmoothingEnabled = scale < NEAREST_FROM;
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.pictures[this.showing], left, top, w, h);
    if (this.difference && this.pictures.heat) {
      context.fillStyle = 'rgba(16, 18, 22, 0.66)';
      context.fillRect(left, top, w, h);
      context.drawImage(this.pictures.heat, left, top, w, h);
    }
    if (this.outlines) this.boxes.forEach((box) => this.outline(box, left, top));
    this.onView(scale);
  }

  // Outlines lie outside the box by a hair, so that they cover none of its pixels.
  outline({ rank, box: [x, y, w, h], category }, left, top) {
    const { context, scale, dpr } = this;
    const chosen = rank === this.selected, gap = 2 * dpr;
    const frame = [left + x * scale - gap, top + y * scale - gap, w * scale + 2 * gap, h * scale + 2 * gap];
    context.globalAlpha = this.selected >= 0 && !chosen ? 0.6 : 1;
    context.setLineDash([]);
    context.lineWidth = (chosen ? 5.5 : 4) * dpr;
    context.strokeStyle = 'rgba(0, 0, 0, 0.7)';
    context.strokeRect(...frame);
    context.setLineDash(DASHES[category].map((part) => part * dpr));
    context.lineWidth = (chosen ? 3 : 1.75) * dpr;
    context.strokeStyle = COLOURS[category];
    context.strokeRect(...frame);
    context.setLineDash([]);
    const text = String(rank + 1), size = 11 * dpr;
    context.font = `700 ${size}px sans-serif`;
    const width = context.measureText(text).width + 7 * dpr, tagTop = Math.max(frame[1] - 16 * dpr, 0);
    context.fillStyle = COLOURS[category];
    context.fillRect(frame[0] - dpr, tagTop, width, 15 * dpr);
    context.fillStyle = '#111';
    context.fillText(text, frame[0] + 2.5 * dpr, tagTop + 11.5 * dpr);
    context.globalAlpha = 1;
  }

  // The smallest outlined box under a point, or -1.
  boxAt(px, py) {
    const [ix, iy] = this.imagePoint(px, py), slack = 3 / this.scale;
    const hits = this.boxes.filter(({ box: [x, y, w, h] }) => ix >= x - slack && iy >= y - slack && ix <= x + w + slack && iy <= y + h + slack);
    return hits.length ? hits.reduce((a, b) => (a.box[2] * a.box[3] <= b.box[2] * b.box[3] ? a : b)).rank : -1;
  }

  listen() {
    const { canvas } = this, fingers = new Map();
    const at = (event) => { const r = canvas.getBoundingClientRect(); return [(event.clientX - r.left) * this.dpr, (event.clientY - r.top) * this.dpr]; };
    let moved = 0;
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
      this.zoom(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) / 400), ...at(event));
    }, { passive: false });
    canvas.addEventListener('pointerdown', (event) => { canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, at(event)); if (fingers.size === 1) moved = 0; canvas.classList.add('dragging'); });
    canvas.addEventListener('pointermove', (event) => {
      const now = at(event), before = fingers.get(event.pointerId);
      this.onPoint?.(...this.imagePoint(...now));
      if (!before) return;
      moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      fingers.set(event.pointerId, now);
      if (!other) { this.pan(now[0] - before[0], now[1] - before[1]); return; }
      // Two fingers: the middle moves the picture, their distance scales it.
      this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      const grown = Math.hypot(now[0] - other[0], now[1] - other[1]) / Math.max(Math.hypot(before[0] - other[0], before[1] - other[1]), 1);
      this.zoom(grown, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    });
    const up = (event) => {
      if (!fingers.delete(event.pointerId)) return;
      canvas.classList.toggle('dragging', fingers.size > 0);
      if (event.type === 'pointerup' && moved < 5 * this.dpr && !fingers.size) this.onPick?.(this.boxAt(...at(event)));
    };
    canvas.addEventListener('pointerup', up);
    canvas.addEventListener('pointercancel', up);
  }
}
