// Oracles: pairs of the CIEDE2000 test data published by Sharma, Wu and Dalal (2005); CIELAB of the sRGB primaries.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LINEAR, ciede2000, lab, labOfLinear } from '../../../src/miscomp/web/static/colour-difference.js';

const SHARMA = [
  [50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425],
  [50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615],
  [50, 2.8361, -74.02, 50, 0, -82.7485, 3.4412],
  [50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0],
  [50, 0, 0, 50, -1, 2, 2.3669],
  [50, 2.49, -0.001, 50, -2.49, 0.0009, 7.1792],
  [50, 2.49, -0.001, 50, -2.49, 0.0011, 7.2195],
  [50, -0.001, 2.49, 50, 0.0009, -2.49, 4.8045],
  [50, -0.001, 2.49, 50, 0.0011, -2.49, 4.7461],
  [50, 2.5, 0, 50, 0, -2.5, 4.3065],
  [50, 2.5, 0, 73, 25, -18, 27.1492],
  [50, 2.5, 0, 61, -5, 29, 22.8977],
  [50, 2.5, 0, 56, -27, -3, 31.903],
  [50, 2.5, 0, 58, 24, 15, 19.4535],
  [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
  [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.263],
  [22.7233, 20.0904, -46.694, 23.0331, 14.973, -42.5619, 2.0373],
  [90.8027, -2.0831, 1.441, 91.1528, -1.6435, 0.0447, 1.4441],
  [2.0776, 0.0795, -1.135, 0.9033, -0.0636, -0.5514, 0.9082],
];

test('the published pairs have the published CIEDE2000 to four places, in both directions', () => {
  for (const [l1, a1, b1, l2, a2, b2, expected] of SHARMA) {
    assert.ok(Math.abs(ciede2000(l1, a1, b1, l2, a2, b2) - expected) < 6e-5, `${[l1, a1, b1]} to ${[l2, a2, b2]}`);
    assert.ok(Math.abs(ciede2000(l2, a2, b2, l1, a1, b1) - expected) < 6e-5, `${[l2, a2, b2]} to ${[l1, a1, b1]}`);
  }
});

test('black, white and the primaries of sRGB have their known CIELAB values', () => {
  const known = [
    [[0, 0, 0], [0, 0, 0]], [[255, 255, 255], [100, 0, 0]], [[255, 0, 0], [53.24, 80.09, 67.2]],
    [[0, 255, 0], [87.73, -86.18, 83.18]], [[0, 0, 255], [32.3, 79.19, -107.86]], [[119, 119, 119], [50.03, 0, 0]],
  ];
  for (const [rgb, expected] of known) {
    lab(...rgb).forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 0.03, `${rgb}: ${lab(...rgb)}`));
  }
});

test('the tabulated cube root is as good as the exact one for every grey', () => {
  for (let v = 0; v < 256; v += 1) {
    const y = LINEAR[v], exact = y > (6 / 29) ** 3 ? 116 * Math.cbrt(y) - 16 : (29 / 3) ** 3 * y;
    const out = [0, 0, 0];
    labOfLinear(y, y, y, out);
    assert.ok(Math.abs(out[0] - exact) < 0.01, `grey ${v}: ${out[0]} and ${exact}`);
  }
});

test('equal colours are 0 apart, black and white 100', () => {
  assert.equal(ciede2000(41, 12, -7, 41, 12, -7), 0);
  assert.ok(Math.abs(ciede2000(...lab(0, 0, 0), ...lab(255, 255, 255)) - 100) < 0.01);
});
