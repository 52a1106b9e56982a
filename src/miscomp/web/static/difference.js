// How much a pair differs, computed by a worker once per pair: maps to paint, and the box of a change.
import { FULL, colourOf } from './difference-maps.js';
import { element } from './elements.js';

/** The pair was replaced before the answer came. */
const dropped = () => new DOMException('another pair is shown', 'AbortError');

export class Difference {
  constructor() {
    this.worker = null;
    this.asked = 0;
    this.waiting = new Map();
    this.pictures = null;
    this.measured = null;
  }

  /**
   * Nothing is computed yet: the sums take a core for a second or two, just while a new pair is flipped most.
   *
   * @param {{original: ImageBitmap, reconstruction: ImageBitmap}} pictures copied when the worker begins
   */
  take(pictures) {
    this.drop();
    this.pictures = pictures;
  }

  /** Forget the pair; whoever waits is refused. A worker still busy with it is ended, as its work is of no use. */
  drop() {
    this.pictures = this.measured = null;
    if (this.waiting.size) this.end(dropped());
    else this.worker?.postMessage({ id: 0, job: 'forget' });
  }

  end(error) {
    this.worker?.terminate();
    this.worker = this.measured = null;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  ask(order) {
    if (!this.worker) this.start();
    const id = (this.asked += 1);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...order });
    });
  }

  start() {
    this.worker = new Worker(new URL('./difference-worker.js', import.meta.url), { type: 'module' });
    this.worker.addEventListener('error', (event) => this.end(new Error(`the difference cannot be computed: ${event.message ?? 'no worker'}`)));
    this.worker.addEventListener('message', ({ data: { id, answer, error } }) => {
      const { resolve, reject } = this.waiting.get(id) ?? {};
      this.waiting.delete(id);
      if (error === undefined) resolve?.(answer); else reject?.(new Error(`the difference cannot be computed: ${error}`));
    });
  }

  /** Compute both maps, where that was not done; it may be asked for ahead of the need. */
  measure() {
    if (!this.pictures) return Promise.reject(dropped());
    if (!this.measured) {
      const measured = (this.measured = this.ask({ job: 'measure', ...this.pictures }));
      measured.catch(() => { if (this.measured === measured) this.measured = null; }); // the next one who asks tries again
    }
    return this.measured;
  }

  async answer(order) {
    const { pictures } = this;
    await this.measure();
    if (pictures !== this.pictures) throw dropped();
    return this.ask(order);
  }

  /**
   * A coloured map.
   *
   * @param {{kind: string, gain: number, over: boolean, halvings: number}} order
   * @returns {Promise<{bitmap: ImageBitmap, reduction: number}>} the bitmap is the caller's to close
   * @throws {DOMException} AbortError where another pair was shown meanwhile
   */
  map(order) { return this.answer({ job: 'map', ...order }); }

  /** The tight box of what changed inside and touching a rectangle, or null; throws as `map` does. */
  changedBox({ x, y, w, h }) { return this.answer({ job: 'box', rect: { x, y, w, h } }); }
}

const TITLES = { perceptual: 'Perceptual difference, CIEDE2000', absolute: 'Largest difference of R, G, B, of 255' };

/** The colours of a map and the values they stand for. */
export function drawLegend(place, { kind, gain }) {
  const canvas = element('canvas', { width: 256, height: 1, 'aria-hidden': 'true' }), context = canvas.getContext('2d');
  for (let i = 0; i < 256; i += 1) {
    context.fillStyle = `rgb(${colourOf(i / 255).join(' ')})`;
    context.fillRect(i, 0, 1, 1);
  }
  const full = FULL[kind] / gain, digits = full < 4 ? 2 : full < 40 ? 1 : 0;
  const values = [0, 0.25, 0.5, 0.75, 1].map((share) => element('span', {}, (share * full).toFixed(digits) + (share === 1 ? ' +' : '')));
  place.replaceChildren(`${TITLES[kind]} (gain ${Number(gain.toFixed(1))})`, canvas, element('div', { class: 'frame-legend-values' }, ...values));
}
