// The spot under the pointer, magnified, from both sides beside each other, with the stored values of its pixel.
import { element } from './elements.js';

const ACROSS = 33; // picture pixels shown across; odd, so that one lies in the middle
const TIMES = 6; // canvas pixels per picture pixel
const NEAR = 60;
const SIDES = ['original', 'reconstruction'];

export class Loupe {
  #on = false;

  /** @param {HTMLElement} parent the frame's element */
  constructor(parent) {
    this.spots = SIDES.map((side) => this.spot(side));
    this.panel = element('div', { class: 'loupe', hidden: '', 'aria-hidden': 'true' }, ...this.spots.map(({ figure }) => figure));
    this.pixel = element('canvas', { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
    this.pyramids = null;
    this.place = null;
    parent.append(this.panel);
  }

  spot(side) {
    const canvas = element('canvas', { width: ACROSS * TIMES, height: ACROSS * TIMES }), caption = element('figcaption');
    const figure = element('figure', { class: `loupe-${side}` }, canvas, caption);
    return { side, figure, caption, context: canvas.getContext('2d') };
  }

  get on() { return this.#on; }
  set on(on) {
    this.#on = on;
    this.panel.hidden = !on;
    if (on && this.place) this.at(...this.place);
  }

  /** Go to the other corner while the pointer is near the panel's own; both in CSS pixels from the lower left. */
  dodge(fromLeft, fromBottom) {
    const { offsetWidth: width, offsetHeight: height } = this.panel;
    this.panel.classList.toggle('is-above', fromLeft < width + NEAR && fromBottom < height + NEAR);
  }

  /** @param {object|null} pyramids both sides of the pair that is shown */
  take(pyramids) {
    this.pyramids = pyramids;
    if (this.#on && pyramids && this.place) this.at(...this.place);
  }

  /** @param {number} x a picture point; outside the picture the loupe shows what is there, without values */
  at(x, y) {
    this.place = [x, y];
    if (!this.pyramids || !this.#on || this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.paint(); });
  }

  paint() {
    if (!this.pyramids) return;
    const column = Math.floor(this.place[0]), row = Math.floor(this.place[1]);
    const values = this.spots.map((spot) => this.paintSpot(spot, column, row));
    const apart = values[0] && values[1] ? Math.max(...values[0].map((value, i) => Math.abs(value - values[1][i]))) : null;
    this.spots.forEach(({ side, caption }, i) => {
      const rgb = values[i] ? `R ${values[i][0]}  G ${values[i][1]}  B ${values[i][2]}` : 'outside the picture';
      const where = i === 0 ? `x ${column}  y ${row}` : apart === null ? '' : `largest difference ${apart} of 255`;
      caption.textContent = `${side.toUpperCase()}\n${rgb}\n${where}`;
    });
  }

  paintSpot({ side, context }, column, row) {
    const { picture, width, height } = this.pyramids[side], half = (ACROSS - 1) / 2, size = ACROSS * TIMES;
    context.fillStyle = '#101214';
    context.fillRect(0, 0, size, size);
    const x0 = Math.max(column - half, 0), y0 = Math.max(row - half, 0);
    const w = Math.min(column + half + 1, width) - x0, h = Math.min(row + half + 1, height) - y0;
    if (w > 0 && h > 0) {
      context.imageSmoothingEnabled = false;
      context.drawImage(picture, x0, y0, w, h, (x0 - column + half) * TIMES, (y0 - row + half) * TIMES, w * TIMES, h * TIMES);
    }
    this.mark(context, half * TIMES);
    if (column < 0 || row < 0 || column >= width || row >= height) return null;
    this.pixel.drawImage(picture, column, row, 1, 1, 0, 0, 1, 1);
    return [...this.pixel.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
  }

  /** A ring around the middle pixel that covers none of it. */
  mark(context, corner) {
    context.strokeStyle = '#000';
    context.strokeRect(corner - 1.5, corner - 1.5, TIMES + 3, TIMES + 3);
    context.strokeStyle = '#fff';
    context.strokeRect(corner - 0.5, corner - 0.5, TIMES + 1, TIMES + 1);
  }
}
