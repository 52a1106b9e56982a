/** What a labeler's day is made of: visits, pace, batches, categories, notes; without a page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Course, nextBatch, nextOpen, startOf } from '../../../src/miscomp/web/static/course.js';
import { Desk, plainText, toggled } from '../../../src/miscomp/web/static/desk.js';
import { handlePlace } from '../../../src/miscomp/web/static/editor.js';
import { stateWords } from '../../../src/miscomp/web/static/notices.js';
import { IDLE_MS, lasting, pace, Stretch, Visit } from '../../../src/miscomp/web/static/visits.js';

const MINUTE = 60_000;

test('a visit counts work, and not being away', () => {
  const visit = new Visit(1000);
  visit.touch(11_000);
  visit.touch(11_000 + IDLE_MS + 1);
  visit.touch(21_000 + IDLE_MS + 1);
  assert.deepEqual(visit.spans(22_000 + IDLE_MS + 1), { open_ms: 51_001, active_ms: 21_000 });
});

test('a visit that is closed after a long absence did not work through it', () => {
  assert.deepEqual(new Visit(0).spans(10 * MINUTE), { open_ms: 10 * MINUTE, active_ms: 0 });
});

test('a break is due after so many minutes of work, and a pause is one', () => {
  const stretch = new Stretch(2);
  for (let now = 0; now <= 2 * MINUTE; now += 10_000) stretch.touch(now);
  assert.deepEqual([stretch.due, stretch.minutes], [true, 2]);
  stretch.touch(8 * MINUTE);
  assert.equal(stretch.due, false);
  for (let now = 8 * MINUTE; now <= 10 * MINUTE; now += 10_000) stretch.touch(now);
  assert.equal(stretch.due, true);
  stretch.restart();
  assert.equal(stretch.due, false);
});

test('pace is said in words, and not where it is unknown', () => {
  assert.equal(pace({ size: 25, done: 5, medianS: 60 }), '5 of 25 done · 60 s each · 20 min left');
  assert.equal(pace({ size: 25, done: 0, medianS: null }), '0 of 25 done');
  assert.equal(pace({ size: 2, done: 2, medianS: 10 }), '2 of 2 done · 10 s each');
  assert.deepEqual([30, 100, 7500].map(lasting), ['30 s', '2 min', '2 h 5 min']);
});

test('the next pair is the next that is not done, begun anew at the end', () => {
  const items = [false, true, false, true].map((done, position) => ({ done, position: position + 1 }));
  assert.deepEqual([0, 2, 3].map((at) => nextOpen(items, at)), [2, 0, 0]);
  assert.equal(nextOpen(items.map((one) => ({ ...one, done: true })), 0), -1);
  assert.deepEqual([startOf(items), startOf(items, 4), startOf(items, 99)], [0, 3, 0]);
  assert.equal(startOf([{ done: true }, { done: true }]), 0);
});

test('the next batch is another one with something to do', () => {
  const batches = [{ batch: 'a', size: 2, done: 2 }, { batch: 'b', size: 2, done: 1 }, { batch: 'c', size: 2, done: 0 }];
  assert.equal(nextBatch(batches, 'b').batch, 'c');
  assert.equal(nextBatch(batches.slice(0, 2), 'b'), null);
});

test('what was done here and is still to be sent counts as done', async () => {
  const answers = {
    '/api/batches': [{ batch: 'b1', size: 2, done: 0 }],
    '/api/batches/b1': { batch: 'b1', kind: 'work', items: [{ alias: 'p', done: false }, { alias: 'q', done: false }] },
  };
  const course = new Course({ get: async (path) => answers[path] }, (alias) => alias === 'p');
  await course.refresh();
  assert.equal(await course.enter(), true);
  assert.deepEqual([course.at, course.state.done], [1, 1]);
  course.finish();
  course.finish();
  assert.deepEqual([course.state.done, course.advance()], [2, false]);
});

test('the first category chosen is the main one', () => {
  assert.equal(toggled('', 'SHAPE'), 'SHAPE');
  assert.equal(toggled('SHAPE', 'AMPLITUDE'), 'SHAPE+AMPLITUDE');
  assert.equal(toggled('SHAPE+AMPLITUDE', 'SHAPE'), 'AMPLITUDE');
});

test('text that no table can hold does not leave the page', () => {
  assert.equal(plainText('a\0b\ud800c 😀 <script>'), 'abc 😀 <script>');
});

test('handles of a tiny box stand off from it and from each other', () => {
  const rect = { x: 100, y: 100, width: 1, height: 1 };
  const places = ['nw', 'n', 'ne', 'e', 'se', 's', 'sw', 'w'].map((one) => handlePlace(rect, one));
  for (const [x, y] of places) assert.ok(Math.max(Math.abs(x - 100.5), Math.abs(y - 100.5)) >= 15);
  for (const [at, [x, y]] of places.entries()) {
    for (const [x2, y2] of places.slice(at + 1)) assert.ok(Math.hypot(x - x2, y - y2) > 18);
  }
});

test('every state of saving has words, and the bad ones are loud', () => {
  for (const name of ['saved', 'saving', 'offline', 'trouble', 'login', 'other']) {
    const words = stateWords({ name, waiting: 2, fragile: false, reason: 'r' }, false);
    assert.equal(Boolean(words.loud), words.tone === 'bad', name);
    if (words.loud) assert.match(words.loud, /2 changes wait/);
  }
  assert.match(stateWords({ name: 'offline', waiting: 1, fragile: true, reason: '' }, false).loud, /do not close/);
});

/** A desk before a server that has these boxes; what it tells waits for ever. */
function desk(boxes, more = {}) {
  const [told, served] = [[], { alias: 'p', width: 50, height: 40, boxes, flag: null, suggestions: [], ...more }];
  let ids = 0;
  const queue = { add: (one) => told.push(one), waiting: () => told.filter((one) => one.kind !== 'visit') };
  const api = { get: async () => structuredClone(served) };
  const parts = { api, queue, newId: () => `id${(ids += 1)}`, changed: () => {} };
  return { desk: new Desk(parts), told, served };
}

const BOX = { event: 'e1', x: 1, y: 2, w: 3, h: 4 };

test('leaving a pair tells what was only attempted, then the visit', async () => {
  const { desk: one, told } = desk([BOX]);
  one.open(await one.state('p'), 0);
  one.select('e1');
  one.attempt({ x: 9 });
  one.leave(5000, true);
  assert.deepEqual(told.map((event) => event.kind), ['box', 'visit']);
  assert.deepEqual([told[0].x, told[1].finished, told[1].open_ms], [9, true, 5000]);
});

test('what another window drew appears, what waits here stays', async () => {
  const { desk: one, served } = desk([BOX]);
  one.open(await one.state('p'), 0);
  one.add({ x: 20, y: 20, w: 2, h: 2 });
  served.boxes.push({ event: 'e2', x: 7, y: 7, w: 1, h: 1 });
  assert.deepEqual(await one.refresh(), ['e2']);
  assert.deepEqual(one.boxes.list().map((box) => box.x), [1, 7, 20]);
});

test('a flag is told whole, and only if something changed; a kind goes with its flag', async () => {
  const { desk: one, told } = desk([]);
  one.open(await one.state('p'), 0);
  one.setFlag({ multi: true, multiKind: 'color' });
  one.setFlag({ multi: true });
  one.setFlag({ multi: false });
  assert.deepEqual(told.map((event) => [event.multi, event.multi_kind]), [[true, 'color'], [false, '']]);
});

test('suggestions are told as shown once, and one taken over is a box of one’s own', async () => {
  const suggestions = [{ event: 's1', x: 5, y: 6, w: 7, h: 8, category: 'SHAPE', score: 0.9 }];
  const { desk: one, told } = desk([], { suggestions });
  one.open(await one.state('p'), 0);
  one.tellShown();
  one.tellShown();
  one.nextSuggestion();
  assert.equal(one.takeSuggestion(), true);
  assert.deepEqual(told.map((event) => event.kind), ['shown', 'box']);
  assert.deepEqual([told[0].events, told[1].category, told[1].action], [['s1'], 'SHAPE', 'add']);
  assert.deepEqual(one.suggestions, []);
});

test('boxes without an answer, or not to be annotated, are pending', async () => {
  const { desk: one } = desk([BOX, { ...BOX, event: 'e2', x: 9, changed: 'unsure' }, { ...BOX, event: 'e3', changed: 'no' }]);
  one.open(await one.state('p'), 0);
  assert.deepEqual(one.pending().map((box) => box.event), ['e1', 'e3']);
});
