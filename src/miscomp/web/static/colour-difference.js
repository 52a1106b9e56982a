// How far apart two colours look: sRGB to CIELAB, and CIEDE2000 between two of its points. Pure functions.
//
// sRGB: IEC 61966-2-1. CIELAB: CIE 15:2004 (ISO/CIE 11664-4), white D65, 2 degree observer.
// CIEDE2000: CIE 142-2001 (ISO/CIE 11664-6), weights 1; angles as in Sharma, Wu and Dalal 2005.

const WHITE = [0.95047, 1, 1.08883];
const CUBE_ROOT_FROM = (6 / 29) ** 3;
const SLOPE = (29 / 6) ** 2 / 3;
const SEVENTH = 25 ** 7;
const RADIANS = Math.PI / 180;

/** Linear light of an 8-bit sRGB value, 0..1. */
export const LINEAR = Float32Array.from({ length: 256 }, (_, value) => {
  const v = value / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
});

const exact = (t) => (t > CUBE_ROOT_FROM ? Math.cbrt(t) : SLOPE * t + 4 / 29);

// The cube root at the 2 ** -12 steps of t in 0..1.001, read with a straight line between two.
const STEPS = 4096;
const ROOTS = Float64Array.from({ length: STEPS + 8 }, (_, i) => exact(i / STEPS));
function root(t) {
  const place = t * STEPS, low = place | 0;
  return ROOTS[low] + (place - low) * (ROOTS[low + 1] - ROOTS[low]);
}

/**
 * CIELAB of linear sRGB, into out[at..at+2].
 *
 * @param {number} r linear light, 0..1; so g and b
 * @param {Float64Array|number[]} out
 */
export function labOfLinear(r, g, b, out, at = 0) {
  const x = root((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / WHITE[0]);
  const y = root(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
  const z = root((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / WHITE[2]);
  out[at] = 116 * y - 16;
  out[at + 1] = 500 * (x - y);
  out[at + 2] = 200 * (y - z);
}

/** CIELAB of 8-bit sRGB: [L*, a*, b*]. */
export function lab(r, g, b) {
  const out = [0, 0, 0];
  labOfLinear(LINEAR[r], LINEAR[g], LINEAR[b], out);
  return out;
}

/** The hue angle in radians, 0..2 pi; 0 for grey. */
function hue(a, b) {
  if (a === 0 && b === 0) return 0;
  const angle = Math.atan2(b, a);
  return angle < 0 ? angle + 2 * Math.PI : angle;
}

function seventh(c) {
  const square = c * c;
  return square * square * square * c;
}

/** CIEDE2000 between two CIELAB colours: 0 for equal ones, about 1 for one just seen, 100 for black and white. */
export function ciede2000(l1, a1, b1, l2, a2, b2) {
  const chroma7 = seventh((Math.sqrt(a1 * a1 + b1 * b1) + Math.sqrt(a2 * a2 + b2 * b2)) / 2);
  const stretch = 1.5 - 0.5 * Math.sqrt(chroma7 / (chroma7 + SEVENTH));
  const a1s = a1 * stretch, a2s = a2 * stretch;
  const c1 = Math.sqrt(a1s * a1s + b1 * b1), c2 = Math.sqrt(a2s * a2s + b2 * b2), c = (c1 + c2) / 2;
  const h1 = hue(a1s, b1), h2 = hue(a2s, b2), grey = c1 * c2 === 0;
  let turn = h2 - h1, h = grey ? h1 + h2 : (h1 + h2) / 2;
  if (!grey && Math.abs(turn) > Math.PI) { // the short way round
    turn += turn > 0 ? -2 * Math.PI : 2 * Math.PI;
    h += h < Math.PI ? Math.PI : -Math.PI;
  }
  const t = 1 - 0.17 * Math.cos(h - 30 * RADIANS) + 0.24 * Math.cos(2 * h) + 0.32 * Math.cos(3 * h + 6 * RADIANS)
    - 0.2 * Math.cos(4 * h - 63 * RADIANS);
  const middle = (l1 + l2) / 2 - 50, light = middle * middle, c7 = seventh(c), off = (h / RADIANS - 275) / 25;
  const dl = (l2 - l1) / (1 + (0.015 * light) / Math.sqrt(20 + light));
  const dc = (c2 - c1) / (1 + 0.045 * c), dh = (2 * Math.sqrt(c1 * c2) * Math.sin(turn / 2)) / (1 + 0.015 * c * t);
  const turned = -Math.sin(60 * RADIANS * Math.exp(-off * off)) * 2 * Math.sqrt(c7 / (c7 + SEVENTH));
  return Math.sqrt(Math.max(dl * dl + dc * dc + dh * dh + turned * dc * dh, 0));
}
