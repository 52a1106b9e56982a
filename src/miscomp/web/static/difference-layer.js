// The map of differences as a frame shows it: over the picture or in a pane of its own, for the present view.
import { Difference, drawLegend } from './difference.js';
import { Layer } from './layers.js';
import { poolings } from './view.js';

export class DifferenceLayer {
  mode = 'off';
  kind = 'perceptual';
  gain = 4;

  /** @param {HTMLElement} root @param {object} parts of the frame @param {(error: Error) => void} refused */
  constructor(root, parts, refused) {
    Object.assign(this, { root, parts, refused });
    this.layer = new Layer(parts.picture, 'frame-difference', { alpha: true });
    this.measure = new Difference();
    this.heat = null; // {bitmap, reduction}
    this.wanted = '';
  }

  take(pictures) {
    this.drop();
    this.measure.take(pictures);
  }

  forget() {
    this.drop();
    this.measure.drop();
  }

  drop() {
    this.heat?.bitmap.close();
    this.heat = null;
    this.wanted = '';
    this.root.classList.remove('is-measuring');
    this.layer.clear();
  }

  /** Move the canvas to where the mode wants it, below what is drawn for boxes. */
  place(mode) {
    this.mode = mode;
    if (mode === 'half') this.parts.map.insertBefore(this.layer.canvas, this.parts.mirror);
    else this.parts.picture.insertBefore(this.layer.canvas, this.parts.overlay);
    this.root.dataset.difference = mode;
    this.parts.legend.hidden = mode === 'off';
    this.drop();
  }

  paint(view, port) {
    if (this.mode === 'off') return;
    this.layer.resize(port);
    this.layer.clear();
    if (this.heat) this.layer.draw(this.heat.bitmap, view, port, { reduction: this.heat.reduction, smooth: false });
  }

  /**
   * Have the map made for this scale, kind and gain, where the present one is for another.
   *
   * @returns {Promise<boolean>} whether there is a new one to paint
   */
  async refresh(view) {
    if (this.mode === 'off' || !this.measure.pictures) return false;
    const order = { kind: this.kind, gain: this.gain, over: this.mode === 'over', halvings: poolings(view.scale) };
    const wanted = JSON.stringify(order);
    if (wanted === this.wanted) return false;
    this.wanted = wanted;
    drawLegend(this.parts.legend, order);
    this.root.classList.add('is-measuring');
    const { pictures } = this.measure;
    try {
      const heat = await this.measure.map(order);
      if (wanted !== this.wanted || pictures !== this.measure.pictures) { heat.bitmap.close(); return false; }
      this.heat?.bitmap.close();
      this.heat = heat;
      this.root.classList.remove('is-measuring');
      return true;
    } catch (error) {
      if (wanted !== this.wanted || pictures !== this.measure.pictures) return false; // not asked for any more
      this.wanted = '';
      this.root.classList.remove('is-measuring');
      this.refused(error);
      return false;
    }
  }
}
