// Oracle: the geometry said in words; points are mapped there and back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as view from '../../../src/miscomp/web/static/view.js';

const PICTURE = { width: 2304, height: 1536 }, PORT = { width: 1366, height: 768 };
const near = (a, b, by = 1e-9) => assert.ok(Math.abs(a - b) <= by, `${a} is not ${b}`);

test('a fitted view shows the whole picture in the middle, touching two borders', () => {
  const fitted = view.fitted(PICTURE, PORT);
  assert.deepEqual(fitted, { scale: 0.5, x: 1152, y: 768 });
  assert.deepEqual(view.corner(fitted, PORT), [107, 0]);
});

test('a small picture is fitted in whole steps, so that its pixels are squares', () => {
  assert.equal(view.fitted({ width: 300, height: 200 }, PORT).scale, 3);
  assert.equal(view.fitted({ width: 10, height: 10 }, PORT).scale, 8);
  assert.equal(view.fitted({ width: 900, height: 500 }, PORT).scale, 1366 / 900);
});

test('zooming keeps the picture point under the pointer to half a device pixel, in and out again', () => {
  let now = view.fitted(PICTURE, PORT);
  const [x, y] = view.imagePoint(now, PORT, 900, 300);
  for (const factor of [1.1, 1.7, 2.3, 3, 0.4, 1.9]) {
    now = view.zoomed(now, PICTURE, PORT, { factor, px: 900, py: 300 });
    const [px, py] = view.portPoint(now, PORT, x, y);
    near(px, 900, 0.75);
    near(py, 300, 0.75);
  }
});

test('a thousand zooms in and out do not drift', () => {
  const first = { scale: 1, x: 700.25, y: 500.75 };
  let now = first;
  for (let i = 0; i < 1000; i += 1) now = view.zoomed(now, PICTURE, PORT, { factor: i % 2 ? 1 / 1.3 : 1.3, px: 200, py: 650 });
  near(now.scale, 1, 1e-6);
  near(now.x, first.x, 1e-6);
  near(now.y, first.y, 1e-6);
});

test('the scale stays between half of the fitted one and 32', () => {
  assert.equal(view.allowed({ scale: 1000, x: 0, y: 0 }, PICTURE, PORT).scale, 32);
  assert.equal(view.allowed({ scale: 0.001, x: 0, y: 0 }, PICTURE, PORT).scale, 0.25);
  assert.equal(view.allowed({ scale: 0.001, x: 0, y: 0 }, { width: 4, height: 4 }, PORT).scale, 0.5);
});

test('the centre cannot leave the picture', () => {
  const far = view.panned({ scale: 1, x: 100, y: 100 }, PICTURE, PORT, { dx: 99999, dy: -99999 });
  assert.deepEqual([far.x, far.y], [0, 1536]);
});

test('the corner lies on whole device pixels at every scale', () => {
  for (const scale of [0.31, 1, 1.5, 2.7, 32]) {
    for (const value of view.corner({ scale, x: 333.37, y: 211.9 }, PORT)) assert.ok(Number.isInteger(value));
  }
});

test('imagePoint undoes portPoint', () => {
  const now = { scale: 3.7, x: 901.3, y: 44.1 };
  const [x, y] = view.imagePoint(now, PORT, ...view.portPoint(now, PORT, 12.5, 800.25));
  near(x, 12.5);
  near(y, 800.25);
});

test('looking at a box puts it in the middle with its own size around it', () => {
  const box = { x: 1000, y: 700, w: 90, h: 60 }, now = view.lookedAt(box, PICTURE, PORT);
  assert.deepEqual([now.x, now.y, now.scale], [1045, 730, 4]);
  assert.ok(3 * box.h * now.scale <= PORT.height);
});

test('only the part that shows is drawn, and it lies where the whole picture would put it', () => {
  const now = { scale: 8, x: 1000, y: 700 }, { from, to } = view.visiblePart(now, PORT, PICTURE);
  assert.ok(from.w <= PORT.width / 8 + 4 && from.h <= PORT.height / 8 + 4);
  assert.deepEqual([to.x, to.y], view.portPoint(now, PORT, from.x, from.y));
  assert.ok(to.x <= 0 && to.y <= 0 && to.x + to.w >= PORT.width && to.y + to.h >= PORT.height);
});

test('nothing is drawn of a picture outside the port', () => {
  assert.equal(view.visiblePart({ scale: 1, x: -5000, y: 0 }, PORT, PICTURE), null);
});

test('a reduced copy is at least as large as what is drawn of it, and less than twice', () => {
  for (const scale of [1.5, 1, 0.99, 0.51, 0.5, 0.3, 0.25, 0.1, 0.02]) {
    const rest = scale * 2 ** view.halvings(scale);
    assert.ok(scale > 1 ? rest === scale : rest <= 1 && rest > 0.5, `${scale}: ${rest}`);
  }
});

test('a pixel of a pooled map covers at least one device pixel, and not four', () => {
  for (const scale of [32, 1, 0.99, 0.5, 0.3, 0.126, 0.02]) {
    const covers = scale * 2 ** view.poolings(scale);
    assert.ok(covers >= 1 && (scale > 1 || covers < 2), `${scale}: ${covers}`);
  }
});
