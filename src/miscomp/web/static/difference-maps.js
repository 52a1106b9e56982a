// The two maps of how much a pair differs, pixel by pixel, and how they are coloured. Pure functions, used in a worker.
//
// absolute: the largest |difference| of the three 8-bit channels, 0..255.
// perceptual: CIEDE2000 of both sides after a small blur in linear light, in steps of 1/256 up to 255. The blur is the
// binomial 1 4 6 4 1 in both directions (standard deviation 1 pixel), so that noise of single pixels, which nobody
// sees at reading distance, counts less than a changed spot. At the border the last pixel is repeated.
import { LINEAR, ciede2000, labOfLinear } from './colour-difference.js';

export const MARGIN = 2; // rows that the blur needs above and below
export const STEP = { absolute: 1, perceptual: 1 / 256 };
/** The value that a map's brightest colour stands for at gain 1. */
export const FULL = { absolute: 255, perceptual: 64 };
/** A larger map is made at half of the picture's resolution or less. */
export const LARGEST_MAP = 2 ** 24;

const clamped = (value, most) => (value < 0 ? 0 : value > most ? most : value);

/** Linear light of one row of RGBA, blurred along it: 3 values per pixel. */
function blurredRow(rgba, start, width, out) {
  for (let x = 0; x < width; x += 1) {
    const a = start + 4 * clamped(x - 2, width - 1), b = start + 4 * clamped(x - 1, width - 1), c = start + 4 * x;
    const d = start + 4 * clamped(x + 1, width - 1), e = start + 4 * clamped(x + 2, width - 1);
    for (let k = 0; k < 3; k += 1) {
      const outer = LINEAR[rgba[a + k]] + LINEAR[rgba[e + k]], inner = LINEAR[rgba[b + k]] + LINEAR[rgba[d + k]];
      out[3 * x + k] = (outer + 4 * inner + 6 * LINEAR[rgba[c + k]]) / 16;
    }
  }
}

/** The rows that a strip needs, blurred along themselves. */
function blurredRows(rgba, width, rows) {
  return Array.from({ length: rows }, (_, y) => {
    const out = new Float32Array(3 * width);
    blurredRow(rgba, 4 * width * y, width, out);
    return out;
  });
}

function blurredDown(five, at) {
  return (five[0][at] + five[4][at] + 4 * (five[1][at] + five[3][at]) + 6 * five[2][at]) / 16;
}

const around = (rows, y) => [-2, -1, 0, 1, 2].map((step) => rows[clamped(y + step, rows.length - 1)]);

/** One row of the perceptual map, from the five blurred rows around it on both sides. */
function perceptualRow(first, second, width, out, start) {
  const one = new Float64Array(3), two = new Float64Array(3);
  for (let x = 0; x < width; x += 1) {
    const at = 3 * x;
    const r = blurredDown(first, at), g = blurredDown(first, at + 1), b = blurredDown(first, at + 2);
    const r2 = blurredDown(second, at), g2 = blurredDown(second, at + 1), b2 = blurredDown(second, at + 2);
    if (r === r2 && g === g2 && b === b2) continue; // the map begins as zeros
    labOfLinear(r, g, b, one);
    labOfLinear(r2, g2, b2, two);
    out[start + x] = Math.min(Math.round(256 * ciede2000(one[0], one[1], one[2], two[0], two[1], two[2])), 65535);
  }
}

function absoluteRow(first, second, from, width, out, start) {
  for (let x = 0; x < width; x += 1) {
    const at = from + 4 * x;
    const r = Math.abs(first[at] - second[at]), g = Math.abs(first[at + 1] - second[at + 1]), b = Math.abs(first[at + 2] - second[at + 2]);
    out[start + x] = Math.max(r, g, b);
  }
}

/**
 * Fill rows `top`..`bottom` (excluded) of both maps.
 *
 * @param {{absolute: Uint8Array, perceptual: Uint16Array, width: number, height: number}} maps of zeros
 * @param {Uint8ClampedArray} first RGBA of the rows from max(top - MARGIN, 0) to min(bottom + MARGIN, height); so second
 */
export function measureStrip(maps, first, second, top, bottom) {
  const { width } = maps, begin = Math.max(top - MARGIN, 0), count = first.length / (4 * width);
  const rows = blurredRows(first, width, count), others = blurredRows(second, width, count);
  for (let y = top; y < bottom; y += 1) {
    absoluteRow(first, second, 4 * width * (y - begin), width, maps.absolute, y * width);
    perceptualRow(around(rows, y - begin), around(others, y - begin), width, maps.perceptual, y * width);
  }
}

/** A map halved in both directions: each value the largest of 2 x 2, so that a small change stays as bright. */
export function pooled({ values, width, height }) {
  const w = Math.ceil(width / 2), h = Math.ceil(height / 2), out = new values.constructor(w * h);
  for (let y = 0; y < h; y += 1) {
    const row = 2 * y * width, below = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < w; x += 1) {
      const left = 2 * x, right = Math.min(left + 1, width - 1);
      out[y * w + x] = Math.max(values[row + left], values[row + right], values[below + left], values[below + right]);
    }
  }
  return { values: out, width: w, height: h };
}

// From black over violet, red and orange to white; lightness (CIELAB L*) rises evenly.
const ANCHORS = [[0, 0, 0], [58, 12, 104], [146, 22, 112], [216, 62, 62], [242, 130, 28], [246, 202, 62], [255, 255, 240]];

/** The colour of a share 0..1 of the full value: [R, G, B]. */
export function colourOf(share) {
  const place = clamped(share, 1) * (ANCHORS.length - 1), low = Math.min(Math.floor(place), ANCHORS.length - 2);
  return ANCHORS[low].map((value, k) => Math.round(value + (place - low) * (ANCHORS[low + 1][k] - value)));
}

const VEIL = 0.62; // how much the picture below is darkened where nothing differs

/** 256 colours as RGBA words in the machine's byte order. Over a picture, small values let it shine through. */
function words(over) {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i += 1) bytes.set([...colourOf(i / 255), over ? 255 * Math.min(1, VEIL + ((1 - VEIL) * i) / 64) : 255], 4 * i);
  return new Uint32Array(bytes.buffer);
}

/** @returns {Uint8ClampedArray} RGBA of a map; values above FULL[kind] / gain get the brightest colour */
export function coloured({ values, width, height }, { kind, gain, over }) {
  const palette = words(over), out = new Uint32Array(width * height), times = (255 * STEP[kind] * gain) / FULL[kind];
  for (let i = 0; i < out.length; i += 1) out[i] = palette[Math.min((values[i] * times) | 0, 255)];
  return new Uint8ClampedArray(out.buffer);
}
