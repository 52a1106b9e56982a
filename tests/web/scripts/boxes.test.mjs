import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Boxes, flagWithWaiting, moved, PLAIN, resized, spanned, withWaiting } from '../../../src/miscomp/web/static/boxes.js';

const SIZE = { width: 100, height: 60 };
const RECT = { x: 10, y: 20, w: 5, h: 6 };

function pair(standing = []) {
  const told = [];
  let count = 0;
  const boxes = new Boxes('a'.repeat(40), standing, { newId: () => `id${(count += 1)}`, tell: (one) => told.push(one) });
  return { boxes, told };
}

function stored(event, rect = RECT) {
  return { event, fields: { ...PLAIN, ...rect } };
}

test('a rectangle holds both pixels it was drawn from and to, in any direction', () => {
  assert.deepEqual(spanned([3.9, 4.1], [3.2, 4.8], SIZE), { x: 3, y: 4, w: 1, h: 1 });
  assert.deepEqual(spanned([12.5, 9.5], [10.1, 11.0], SIZE), { x: 10, y: 9, w: 3, h: 3 });
});

test('a rectangle drawn beyond the picture ends at its edge', () => {
  assert.deepEqual(spanned([-5, -5], [1000, 1000], SIZE), { x: 0, y: 0, w: 100, h: 60 });
  assert.deepEqual(spanned([200, 200], [300, 300], SIZE), { x: 99, y: 59, w: 1, h: 1 });
});

test('moving stops at the edges and keeps the size', () => {
  assert.deepEqual(moved(RECT, -100, 100, SIZE), { x: 0, y: 54, w: 5, h: 6 });
  assert.deepEqual(moved(RECT, 1.4, -0.6, SIZE), { x: 11, y: 19, w: 5, h: 6 });
});

test('resizing never gives less than a pixel and stops at the edges', () => {
  assert.deepEqual(resized(RECT, 'w', 50, 0, SIZE), { x: 14, y: 20, w: 1, h: 6 });
  assert.deepEqual(resized(RECT, 'se', 1000, -50, SIZE), { x: 10, y: 20, w: 90, h: 1 });
  assert.deepEqual(resized(RECT, 'nw', -50, -50, SIZE), { x: 0, y: 0, w: 15, h: 26 });
});

test('each change is told once, naming what it replaces', () => {
  const { boxes, told } = pair();
  const key = boxes.add(RECT);
  boxes.change(key, { x: 11 });
  boxes.change(key, { x: 11 });
  boxes.delete(key);
  assert.deepEqual(told.map((one) => one.action), ['add', 'change', 'delete']);
  assert.deepEqual(told.map((one) => one.replaces), ['', told[0].uuid, told[1].uuid]);
  assert.equal(told[2].x, 11);
  assert.deepEqual(boxes.list(), []);
});

test('undo and redo walk over additions, changes and deletions', () => {
  const { boxes, told } = pair();
  const key = boxes.add(RECT);
  boxes.change(key, { x: 12 });
  boxes.delete(key);
  assert.equal(boxes.undo(), key);
  assert.equal(boxes.get(key).x, 12);
  assert.deepEqual([told[3].action, told[3].replaces], ['change', told[2].uuid]);
  boxes.undo();
  assert.equal(boxes.get(key).x, 10);
  boxes.undo();
  assert.equal(boxes.get(key), null);
  assert.equal(boxes.undo(), '');
  boxes.redo();
  boxes.redo();
  boxes.redo();
  assert.equal(boxes.get(key), null);
  assert.equal(boxes.canRedo, false);
  const replaced = told.slice(1).map((one) => one.replaces);
  assert.deepEqual(replaced, told.slice(0, -1).map((one) => one.uuid));
});

test('a new change ends what could be redone', () => {
  const { boxes } = pair();
  const key = boxes.add(RECT);
  boxes.change(key, { x: 12 });
  boxes.undo();
  boxes.change(key, { y: 1 });
  assert.equal(boxes.redo(), '');
  assert.deepEqual([boxes.get(key).x, boxes.get(key).y], [10, 1]);
});

test('what is attempted is told only when it settles, as one step', () => {
  const { boxes, told } = pair([stored('e1')]);
  for (let x = 11; x < 20; x += 1) boxes.attempt('e1', { x });
  assert.equal(told.length, 0);
  boxes.settle();
  assert.deepEqual([told.length, told[0].x, told[0].replaces], [1, 19, 'e1']);
  boxes.attempt('e1', { x: 50 });
  boxes.drop();
  boxes.undo();
  assert.equal(boxes.get('e1').x, 10);
});

test('undo settles what was attempted first, and so takes back that', () => {
  const { boxes } = pair([stored('e1')]);
  boxes.attempt('e1', { x: 11 });
  assert.equal(boxes.canUndo, true);
  boxes.undo();
  assert.equal(boxes.get('e1').x, 10);
});

test('waiting events stand over what the server has', () => {
  const waiting = [
    { kind: 'box', uuid: 'n1', action: 'add', replaces: '', ...RECT },
    { kind: 'box', uuid: 'n2', action: 'change', replaces: 'e1', ...RECT, x: 1 },
    { kind: 'box', uuid: 'n3', action: 'delete', replaces: 'e2', ...RECT },
  ];
  const standing = withWaiting([{ event: 'e1', ...RECT }, { event: 'e2', ...RECT }], waiting);
  assert.deepEqual(standing.map((one) => [one.event, one.fields.x]), [['n1', 10], ['n2', 1]]);
});

test('a waiting event that the server has already, itself or what followed it, gives no second box', () => {
  const waiting = [
    { kind: 'box', uuid: 'n1', action: 'add', replaces: '', ...RECT },
    { kind: 'box', uuid: 'n2', action: 'change', replaces: 'n1', ...RECT, x: 1 },
    { kind: 'box', uuid: 'n3', action: 'change', replaces: 'n2', ...RECT, x: 2 },
  ];
  for (const [event, x] of [['n1', 10], ['n2', 1], ['n3', 2]]) {
    const standing = withWaiting([{ event, ...RECT, x }], waiting);
    assert.deepEqual(standing.map((one) => [one.event, one.fields.x]), [['n3', 2]], event);
  }
});

test('taking a deletion back brings the box back also from what waits', () => {
  const waiting = [
    { kind: 'box', uuid: 'n1', action: 'delete', replaces: 'e1', ...RECT },
    { kind: 'box', uuid: 'n2', action: 'change', replaces: 'n1', ...RECT },
  ];
  assert.deepEqual(withWaiting([{ event: 'e1', ...RECT }], waiting).map((one) => one.event), ['n2']);
});

test('the same state from the server leaves undo alone, another one replaces it', () => {
  const { boxes, told } = pair([stored('e1')]);
  boxes.change('e1', { x: 30 });
  assert.deepEqual(boxes.reconcile([stored(told[0].uuid, { ...RECT, x: 30 })]), []);
  assert.equal(boxes.canUndo, true);
  const fresh = boxes.reconcile([stored(told[0].uuid), stored('other')]);
  assert.deepEqual(fresh, ['other']);
  assert.equal(boxes.canUndo, false);
  assert.equal(boxes.get('e1').event, told[0].uuid);
});

test('one box that was changed in another window stays the same box', () => {
  const { boxes } = pair([stored('e1'), stored('e2')]);
  boxes.reconcile([stored('e1'), stored('f2', { ...RECT, x: 3 })]);
  assert.deepEqual([boxes.get('e2').event, boxes.get('e2').x], ['f2', 3]);
});

test('the last waiting word on the picture counts, else the stored one', () => {
  const waiting = [{ kind: 'flag', multi: true, multi_kind: 'color', overall: false, note: 'red' }];
  assert.deepEqual(flagWithWaiting(null, waiting), { multi: true, multiKind: 'color', overall: false, note: 'red' });
  const held = { multi: false, multiKind: '', overall: true, note: '' };
  assert.deepEqual(flagWithWaiting(held, []), held);
  assert.equal(flagWithWaiting(null, []).multi, false);
});
