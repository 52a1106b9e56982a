// One canvas in a port, and the halved copies of a picture that keep a reduced view from aliasing.
import { NEAREST_FROM, corner, halvings, visiblePart } from './view.js';

const SURROUND = '#101214';

function sheet(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

/** A picture with its halved copies, made when a view first needs them. It does not own the picture. */
export class Pyramid {
  /** @param {ImageBitmap} picture */
  constructor(picture) {
    this.picture = picture;
    this.width = picture.width;
    this.height = picture.height;
    this.copies = [picture];
  }

  /** The copy halved `times` times; each pixel of it is the mean of 2 x 2 pixels of the copy before. */
  at(times) {
    while (this.copies.length <= times) {
      const last = this.copies.at(-1);
      const copy = sheet(Math.ceil(last.width / 2), Math.ceil(last.height / 2)), context = copy.getContext('2d', { alpha: false });
      context.imageSmoothingQuality = 'low'; // bilinear at exactly one half is the mean of four
      // An odd edge has half a pixel: what lies below it must be of the same colour, not black.
      if (last.width % 2 || last.height % 2) context.drawImage(last, 0, 0, copy.width, copy.height);
      context.drawImage(last, 0, 0, last.width / 2, last.height / 2);
      this.copies.push(copy);
    }
    return this.copies[times];
  }

  /** Give the copies' memory back at once, not at some later collection. */
  release() {
    for (const copy of this.copies.slice(1)) copy.width = copy.height = 0;
    this.copies.length = 1;
  }
}

/** A canvas that fills a port, one canvas pixel per device pixel. */
export class Layer {
  /** @param {HTMLElement} parent @param {string} className @param {{alpha?: boolean}} options */
  constructor(parent, className, { alpha = false } = {}) {
    this.canvas = sheet(1, 1);
    this.canvas.className = className;
    this.canvas.setAttribute('aria-hidden', 'true');
    this.context = this.canvas.getContext('2d', { alpha });
    this.alpha = alpha;
    parent.append(this.canvas);
  }

  /** Setting a canvas' size empties it: paint before the browser shows the next frame. */
  resize(port) {
    if (this.canvas.width !== port.width) this.canvas.width = port.width;
    if (this.canvas.height !== port.height) this.canvas.height = port.height;
  }

  clear(colour = SURROUND) {
    const { context, canvas, alpha } = this;
    if (alpha) { context.clearRect(0, 0, canvas.width, canvas.height); return; }
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }

  /** Paint the part of the picture that the port shows; `fine` smooths better and takes three times as long. */
  paint(pyramid, view, port, { fine = true } = {}) {
    this.resize(port);
    this.clear();
    const times = halvings(view.scale), copy = times ? pyramid.at(times) : pyramid.picture;
    this.draw(copy, view, port, { reduction: 2 ** times, fine });
  }

  /** Draw a copy that is `reduction` times smaller than its picture. */
  draw(copy, view, port, { reduction = 1, fine = false, smooth = view.scale < NEAREST_FROM } = {}) {
    const part = visiblePart(view, port, copy, reduction), { context } = this;
    if (!part) return;
    const { from, to } = part;
    context.imageSmoothingEnabled = smooth && view.scale * reduction !== 1;
    context.imageSmoothingQuality = fine ? 'high' : 'low';
    context.drawImage(copy, from.x, from.y, from.w, from.h, to.x, to.y, to.w, to.h);
  }

  /** Lines between picture pixels, one device pixel wide. */
  grid(picture, view, port) {
    const [left, top] = corner(view, port), { scale } = view, { context } = this;
    const x0 = Math.max(0, Math.ceil(-left / scale)), x1 = Math.min(picture.width, Math.floor((port.width - left) / scale));
    const y0 = Math.max(0, Math.ceil(-top / scale)), y1 = Math.min(picture.height, Math.floor((port.height - top) / scale));
    context.fillStyle = 'rgba(128, 128, 128, 0.35)';
    for (let x = x0; x <= x1; x += 1) context.fillRect(Math.round(left + x * scale), top + y0 * scale, 1, (y1 - y0) * scale);
    for (let y = y0; y <= y1; y += 1) context.fillRect(left + x0 * scale, Math.round(top + y * scale), (x1 - x0) * scale, 1);
  }
}
