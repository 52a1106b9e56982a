// Numbers in words. Oracle: worked out by hand.
import assert from 'node:assert/strict';
import test from 'node:test';
import { day, hours, interval, known, percent, shareWords } from '../../../src/miscomp/web/static/supervise-words.js';

test('times are told in minutes below an hour and in hours above', () => {
  assert.deepEqual([0, 59, 90, 3599, 3600, 5400, 360_000].map(hours), ['0 min', '1 min', '2 min', '60 min', '1.0 h', '1.5 h', '100.0 h']);
});

test('a share has its interval, and one of nothing is none', () => {
  assert.equal(shareWords({ value: 0.4, low: 0.1176, high: 0.7693 }), '40 % (12 to 77 %)');
  assert.equal(shareWords({ value: null, low: null, high: null }), 'none');
});

test('a share of nothing is none, not zero', () => {
  assert.deepEqual([percent(1, 3), percent(0, 5), percent(0, 0)], ['33 %', '0 %', 'none']);
});

test('what is not known is said, and zero is known', () => {
  assert.equal(known(null, String), 'not known yet');
  assert.equal(known(undefined, String, 'undefined'), 'undefined');
  assert.equal(known(0, String), '0');
});

test('an open end of an interval is open', () => {
  assert.equal(interval([0.125, 0.5], 2), '0.13 to 0.50');
  assert.equal(interval([null, 1], 1), 'open to 1.0');
  assert.deepEqual([day(1), day(2)], ['1 day', '2 days']);
});
