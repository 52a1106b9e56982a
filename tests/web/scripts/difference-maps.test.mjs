// Oracles: plain double loops, and CIELAB lightness.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ciede2000, lab } from '../../../src/miscomp/web/static/colour-difference.js';
import { FULL, MARGIN, STEP, colourOf, coloured, measureStrip, pooled } from '../../../src/miscomp/web/static/difference-maps.js';

const W = 23, H = 17;
const empty = () => ({ width: W, height: H, absolute: new Uint8Array(W * H), perceptual: new Uint16Array(W * H) });

function picture(seed) {
  let state = seed;
  return Uint8ClampedArray.from({ length: 4 * W * H }, (_, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return i % 4 === 3 ? 255 : state >>> 24;
  });
}

function measured(first, second, strip) {
  const maps = empty();
  for (let top = 0; top < H; top += strip) {
    const bottom = Math.min(top + strip, H), rows = [4 * W * Math.max(top - MARGIN, 0), 4 * W * Math.min(bottom + MARGIN, H)];
    measureStrip(maps, first.subarray(...rows), second.subarray(...rows), top, bottom);
  }
  return maps;
}

test('the absolute map is the largest difference of the three channels, whatever alpha is', () => {
  const first = picture(1), second = picture(2), { absolute } = measured(first, second, H);
  first[3] = 0;
  for (let i = 0; i < W * H; i += 1) {
    assert.equal(absolute[i], Math.max(...[0, 1, 2].map((k) => Math.abs(first[4 * i + k] - second[4 * i + k]))));
  }
});

test('strips give the same maps as the whole picture at once', () => {
  const first = picture(3), second = picture(4);
  for (const strip of [1, 2, 5]) assert.deepEqual(measured(first, second, strip), measured(first, second, H));
});

test('two flat pictures differ by the CIEDE2000 of their colours everywhere, borders too', () => {
  const first = new Uint8ClampedArray(4 * W * H), second = first.slice();
  for (let i = 0; i < W * H; i += 1) { first.set([180, 40, 90, 255], 4 * i); second.set([170, 60, 95, 255], 4 * i); }
  const expected = ciede2000(...lab(180, 40, 90), ...lab(170, 60, 95));
  for (const value of measured(first, second, H).perceptual) assert.ok(Math.abs(value * STEP.perceptual - expected) < 0.01);
});

test('a lone pixel counts less in the perceptual map than a spot of five by five', () => {
  const base = new Uint8ClampedArray(4 * W * H).fill(120), lone = base.slice(), spot = base.slice(), at = (x, y) => 4 * (y * W + x);
  lone.set([180, 180, 180], at(11, 8));
  for (let y = 6; y < 11; y += 1) for (let x = 9; x < 14; x += 1) spot.set([180, 180, 180], at(x, y));
  const weak = measured(base, lone, H).perceptual[8 * W + 11], strong = measured(base, spot, H).perceptual[8 * W + 11];
  assert.ok(weak > 0 && weak < strong / 4, `${weak} and ${strong}`);
  assert.ok(Math.abs(strong * STEP.perceptual - ciede2000(...lab(120, 120, 120), ...lab(180, 180, 180))) < 0.01);
});

test('halving a map keeps its largest values', () => {
  const values = new Uint8Array(W * H);
  values[4 * W + 5] = 200;
  values[W * H - 1] = 90;
  const half = pooled({ values, width: W, height: H });
  assert.deepEqual([half.width, half.height], [12, 9]);
  assert.equal(half.values[2 * 12 + 2], 200);
  assert.equal(half.values.at(-1), 90);
  assert.equal(half.values.filter((value) => value).length, 2);
});

test('the colours grow lighter with the value, evenly', () => {
  const lightness = Array.from({ length: 256 }, (_, i) => lab(...colourOf(i / 255))[0]);
  assert.ok(lightness[0] < 0.1 && lightness[255] > 98);
  lightness.slice(1).forEach((value, i) => {
    const step = value - lightness[i];
    assert.ok(step > 0.05 && step < 1, `step ${i}: ${step}`);
  });
});

test('gain moves the value of the brightest colour; larger values get it too', () => {
  for (const kind of ['absolute', 'perceptual']) {
    const full = FULL[kind] / STEP[kind] / 8, values = Float32Array.from([0, full / 2, full, 2 * full]);
    const out = coloured({ values, width: 4, height: 1 }, { kind, gain: 8, over: false });
    assert.deepEqual([...out.subarray(0, 4)], [0, 0, 0, 255]);
    assert.deepEqual([...out.subarray(4, 7)], colourOf(127 / 255));
    assert.deepEqual([...out.subarray(8, 11)], [255, 255, 240]);
    assert.deepEqual([...out.subarray(12, 15)], [255, 255, 240]);
  }
});

test('over a picture what is equal is a veil, and what differs much covers it', () => {
  const out = coloured({ values: Uint8Array.from([0, 255]), width: 2, height: 1 }, { kind: 'absolute', gain: 1, over: true });
  assert.ok(out[3] > 100 && out[3] < 200);
  assert.equal(out[7], 255);
});
