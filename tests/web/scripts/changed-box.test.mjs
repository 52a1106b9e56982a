// Oracle: changes planted at known places.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedBox, splitting, windowOf } from '../../../src/miscomp/web/static/changed-box.js';
import { measureStrip } from '../../../src/miscomp/web/static/difference-maps.js';

const W = 120, H = 90, FLOOR = 640;

function planted(...boxes) {
  const values = new Uint16Array(W * H);
  for (const [x, y, w, h, value] of boxes) for (let v = y; v < y + h; v += 1) values.fill(value, v * W + x, v * W + x + w);
  return values;
}

/** Noise of 0..most that is the same on every run. */
function noisy(values, most, seed = 7) {
  let state = seed;
  return values.map((value) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return value + Math.floor((state / 2 ** 32) * most);
  });
}

const find = (perceptual, x, y, w, h) => {
  const absolute = Uint8Array.from(perceptual, (value) => value / 64);
  return changedBox({ perceptual, absolute, width: W, height: H }, { x, y, w, h }, FLOOR);
};

test('a change inside the rectangle is boxed tightly', () => {
  assert.deepEqual(find(planted([40, 30, 12, 7, 5000]), 30, 20, 40, 40), { x: 40, y: 30, w: 12, h: 7 });
});

test('the codec’s own noise around and under a change does not widen the box', () => {
  for (let seed = 1; seed < 20; seed += 1) {
    assert.deepEqual(find(noisy(planted([40, 30, 12, 7, 5000]), 1500, seed), 30, 20, 40, 40), { x: 40, y: 30, w: 12, h: 7 });
  }
});

test('nothing is found where nothing changed, nor where all differences are below the floor', () => {
  assert.equal(find(planted(), 30, 20, 40, 40), null);
  assert.equal(find(planted([40, 30, 12, 7, FLOOR]), 30, 20, 40, 40), null);
  assert.notEqual(find(planted([40, 30, 12, 7, FLOOR + 1]), 30, 20, 40, 40), null);
});

test('a change that begins inside grows out of the rectangle, by half of its size at most', () => {
  assert.deepEqual(find(planted([40, 30, 12, 7, 5000]), 44, 32, 20, 20), { x: 40, y: 30, w: 12, h: 7 });
  assert.deepEqual(find(planted([10, 30, 100, 7, 5000]), 50, 25, 20, 20), { x: 40, y: 30, w: 40, h: 7 });
});

test('a change that only the window holds is left out', () => {
  assert.deepEqual(find(planted([40, 30, 6, 6, 5000], [64, 30, 4, 6, 5000]), 35, 25, 20, 20), { x: 40, y: 30, w: 6, h: 6 });
  assert.equal(find(planted([64, 30, 4, 6, 5000]), 35, 25, 20, 20), null);
});

test('small gaps are closed, so that a broken stroke outside the rectangle still belongs to it', () => {
  const stroke = planted([40, 30, 8, 4, 5000], [50, 30, 8, 4, 5000]);
  assert.deepEqual(find(stroke, 38, 28, 9, 8), { x: 40, y: 30, w: 11, h: 4 }); // the window ends at 38 + 1.5 * 9
  const apart = planted([40, 30, 6, 4, 5000], [49, 30, 2, 4, 5000]);
  assert.deepEqual(find(apart, 38, 28, 9, 8), { x: 40, y: 30, w: 6, h: 4 });
});

test('a speck beside a change does not widen its box, but a lone one is found', () => {
  assert.deepEqual(find(planted([40, 30, 12, 9, 5000], [60, 50, 1, 1, 5000]), 35, 25, 40, 40), { x: 40, y: 30, w: 12, h: 9 });
  assert.deepEqual(find(planted([60, 50, 1, 1, 5000]), 35, 25, 40, 40), { x: 60, y: 50, w: 1, h: 1 });
});

test('changes at the border of the picture, and rectangles beyond it, are dealt with', () => {
  assert.deepEqual(find(planted([0, 0, 5, 4, 5000]), -10, -10, 30, 30), { x: 0, y: 0, w: 5, h: 4 });
  assert.deepEqual(find(planted([W - 5, H - 4, 5, 4, 5000]), W - 10, H - 10, 30, 30), { x: W - 5, y: H - 4, w: 5, h: 4 });
  assert.equal(find(planted([0, 0, 5, 4, 5000]), 500, 500, 10, 10), null);
  assert.equal(windowOf({ x: 500, y: 0, w: 10, h: 10 }, W, H), null);
});

test('the threshold lies between the two kinds of value', () => {
  const split = splitting(Float32Array.from([...Array(50).fill(10), ...Array(50).fill(90)]));
  assert.ok(split > 40 && split < 60, String(split));
  assert.equal(splitting(new Float32Array(9)), 0);
});

test('a spot painted on one of two equal pictures is boxed to the pixel, although the map is blurred', () => {
  const first = new Uint8ClampedArray(4 * W * H).fill(110), second = first.slice();
  for (let y = 41; y < 52; y += 1) for (let x = 33; x < 50; x += 1) second.set([200, 60, 60], 4 * (y * W + x));
  const maps = { width: W, height: H, absolute: new Uint8Array(W * H), perceptual: new Uint16Array(W * H) };
  measureStrip(maps, first, second, 0, H);
  assert.deepEqual(changedBox(maps, { x: 25, y: 35, w: 40, h: 30 }, FLOOR), { x: 33, y: 41, w: 17, h: 11 });
});

test('the mere blur of a change outside the window is not a change', () => {
  const perceptual = planted([40, 30, 2, 7, 5000]), absolute = new Uint8Array(W * H);
  assert.equal(changedBox({ perceptual, absolute, width: W, height: H }, { x: 38, y: 30, w: 6, h: 6 }, FLOOR), null);
});
