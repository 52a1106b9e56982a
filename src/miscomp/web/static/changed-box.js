// The tight box of what changed inside and touching a rectangle. A pure function.
//
// 1. The window is the rectangle with half of its width and of its height added on each side, cut at the picture.
// 2. A pixel counts as changed where its difference is above a threshold: the one that best splits the window's
//    differences in two (Otsu 1979), but never below `floor`. The codec's own small errors, which are everywhere,
//    thus do not count beside a real change.
// 3. Gaps of up to 2 pixels between changed pixels are closed; changed pixels that then hang together (also by
//    corners) are one region.
// 4. The regions that touch the rectangle are taken, but for specks: those whose summed difference is less than a
//    twentieth of the heaviest one's. Their common box is the answer, around changed pixels only.
// 5. The perceptual map is blurred, so a change reaches up to 2 pixels too far in it: a border row or column of a region
//    whose largest absolute difference is below a quarter of the region's is taken off, two at most on each side.

const GAP = 2;
const SPECK = 1 / 20;
const BLUR = 2;
const FAINT = 1 / 4;
const BINS = 256;

/** First and last + 1 pixel of a side of the window: within the half, but never less than the rectangle's own pixels. */
function extent(from, size, most) {
  const low = Math.min(Math.ceil(from - size / 2), Math.floor(from)), high = Math.max(Math.floor(from + 1.5 * size), Math.ceil(from + size));
  return [Math.max(low, 0), Math.min(high, most)];
}

/** The window as {left, top, width, height} in whole pixels, or null where the rectangle lies outside. */
export function windowOf({ x, y, w, h }, width, height) {
  const [left, right] = extent(x, w, width), [top, bottom] = extent(y, h, height);
  return right > left && bottom > top ? { left, top, width: right - left, height: bottom - top } : null;
}

function cut(values, across, { left, top, width, height }) {
  const out = new Float32Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const start = (top + y) * across + left;
    out.set(values.subarray(start, start + width), y * width);
  }
  return out;
}

/** The value that splits a window's differences with the largest variance between the parts; the middle of equal ones. */
export function splitting(values) {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  if (most === 0) return 0;
  const counts = new Float64Array(BINS);
  for (const value of values) counts[Math.min(Math.floor((value / most) * BINS), BINS - 1)] += 1;
  let total = 0;
  counts.forEach((count, bin) => { total += count * bin; });
  let below = 0, sum = 0, best = -1, first = 0, last = 0;
  for (let bin = 0; bin < BINS - 1; bin += 1) {
    below += counts[bin];
    sum += counts[bin] * bin;
    const above = values.length - below;
    if (!below || !above) continue;
    const between = below * above * (sum / below - (total - sum) / above) ** 2;
    if (between > best * (1 + 1e-12)) [best, first, last] = [between, bin, bin];
    else if (between >= best * (1 - 1e-12)) last = bin;
  }
  return (((first + last) / 2 + 1) / BINS) * most;
}

/** Grow (or shrink, with `value` 0) the set pixels by GAP / 2 in one direction; steps in the flat array by `stride`. */
function spread(mask, { count, stride, lines, lineStride }, value) {
  const out = mask.slice(), reach = GAP / 2;
  for (let line = 0; line < lines; line += 1) {
    for (let i = 0; i < count; i += 1) {
      const at = line * lineStride + i * stride;
      if (mask[at] !== value) continue;
      for (let step = -reach; step <= reach; step += 1) if (i + step >= 0 && i + step < count) out[at + step * stride] = value;
    }
  }
  return out;
}

function closed(mask, width, height) {
  const across = { count: width, stride: 1, lines: height, lineStride: width };
  const down = { count: height, stride: width, lines: width, lineStride: 1 };
  const grown = spread(spread(mask, across, 1), down, 1), back = spread(spread(grown, across, 0), down, 0);
  for (let i = 0; i < mask.length; i += 1) if (mask[i]) back[i] = 1; // at the window's border shrinking takes too much
  return back;
}

/** The pixels of the region that holds `seed`; they are taken out of the mask. */
function region(mask, width, height, seed) {
  const found = [seed];
  mask[seed] = 0;
  for (let next = 0; next < found.length; next += 1) {
    const x = found[next] % width, y = (found[next] - x) / width;
    for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v += 1) {
      for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u += 1) {
        if (mask[v * width + u]) {
          mask[v * width + u] = 0;
          found.push(v * width + u);
        }
      }
    }
  }
  return found;
}

/** Box and weight of a region's changed pixels: those that closing added count for nothing. */
function measured(pixels, values, threshold, width) {
  const box = { left: Infinity, top: Infinity, right: -1, bottom: -1, weight: 0 };
  for (const at of pixels) {
    if (values[at] <= threshold) continue;
    const x = at % width, y = (at - x) / width;
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x + 1);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y + 1);
    box.weight += values[at];
  }
  return box;
}

function largest(values, across, { left, top, right, bottom }) {
  let most = 0;
  for (let y = top; y < bottom; y += 1) for (let x = left; x < right; x += 1) most = Math.max(most, values[y * across + x]);
  return most;
}

const BORDERS = {
  left: { strip: (box) => ({ ...box, right: box.left + 1 }), inward: 1 },
  right: { strip: (box) => ({ ...box, left: box.right - 1 }), inward: -1 },
  top: { strip: (box) => ({ ...box, bottom: box.top + 1 }), inward: 1 },
  bottom: { strip: (box) => ({ ...box, top: box.bottom - 1 }), inward: -1 },
};

/** Take off what only the blur brought in. The row of the largest difference always stays. */
function trimmed(box, absolute, across) {
  const faint = largest(absolute, across, box) * FAINT, out = { ...box };
  for (const [side, { strip, inward }] of Object.entries(BORDERS)) {
    for (let step = 0; step < BLUR && largest(absolute, across, strip(out)) < faint; step += 1) out[side] += inward;
  }
  return out;
}

/** The regions of the window, as boxes in it with their weights. */
function regions(part, absolute, { width, height }, threshold) {
  const mask = closed(Uint8Array.from(part, (value) => (value > threshold ? 1 : 0)), width, height), boxes = [];
  for (let at = 0; at < mask.length; at += 1) {
    if (!mask[at]) continue;
    const box = measured(region(mask, width, height, at), part, threshold, width);
    if (largest(absolute, width, box)) boxes.push(trimmed(box, absolute, width)); // else the blur of what lies outside the window
  }
  return boxes;
}

/**
 * @param {{perceptual: Uint16Array, absolute: Uint8Array, width: number, height: number}} maps row by row
 * @param {{x: number, y: number, w: number, h: number}} rect in pixels
 * @param {number} floor the smallest perceptual difference that can count as a change, in the map's units
 * @returns {{x: number, y: number, w: number, h: number}|null} null where nothing in the rectangle changed
 */
export function changedBox({ perceptual, absolute, width, height }, rect, floor) {
  const window = windowOf(rect, width, height);
  if (!window) return null;
  const part = cut(perceptual, width, window), levels = cut(absolute, width, window);
  const touches = ({ left, top, right, bottom }) => window.left + left <= rect.x + rect.w && window.left + right >= rect.x
    && window.top + top <= rect.y + rect.h && window.top + bottom >= rect.y;
  const found = regions(part, levels, window, Math.max(floor, splitting(part))).filter(touches);
  if (!found.length) return null;
  const heaviest = found.reduce((most, { weight }) => Math.max(most, weight), 0), kept = found.filter(({ weight }) => weight >= heaviest * SPECK);
  const { left, top, right, bottom } = kept.reduce((all, box) => ({
    left: Math.min(all.left, box.left), top: Math.min(all.top, box.top), right: Math.max(all.right, box.right), bottom: Math.max(all.bottom, box.bottom),
  }));
  return { x: window.left + left, y: window.top + top, w: right - left, h: bottom - top };
}
