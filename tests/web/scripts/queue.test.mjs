import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Kept } from '../../../src/miscomp/web/static/kept.js';
import { aged, backOff, portion, Queue } from '../../../src/miscomp/web/static/queue.js';

/** A localStorage of so many entries. */
class Shelf {
  items = new Map();
  constructor(room = Infinity) {
    this.room = room;
  }
  get length() {
    return this.items.size;
  }
  key(at) {
    return [...this.items.keys()][at] ?? null;
  }
  getItem(name) {
    return this.items.get(name) ?? null;
  }
  setItem(name, value) {
    if (!this.items.has(name) && this.items.size >= this.room) throw new Error('QuotaExceededError');
    this.items.set(name, value);
  }
  removeItem(name) {
    this.items.delete(name);
  }
}

/** A server that answers as told, else stores; and a queue before it. */
function desk({ storage = new Shelf(), answers = [], person = 'ann', me = () => ({ name: 'ann' }) } = {}) {
  const [posted, states, conflicts, timers] = [[], [], [], []];
  let clock = 1000;
  let ids = 0;
  const queue = new Queue(new Kept(storage, 'here ann', () => clock), {
    person,
    me: async () => me(),
    newId: () => `fresh${(ids += 1)}`,
    now: () => (clock += 1),
    later: (work, ms) => timers.push([work, ms]),
    spread: () => 0.5,
    onState: (one) => states.push(one),
    onConflict: (one) => conflicts.push(one),
    onStored: () => {},
    post: async (events) => {
      posted.push(events);
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return { replies: events.map((one) => ({ uuid: one.uuid, outcome: 'stored', reason: '', ...answer?.[one.uuid] })) };
    },
  });
  return { queue, posted, states, conflicts, timers, storage };
}

const gone = (status, message = 'gone') => Object.assign(new Error(message), { status });
const box = (uuid, action = 'add', replaces = '') => ({ kind: 'box', uuid, alias: 'p1', action, replaces, x: 1 });
const uuids = (events) => events.map((one) => one.uuid);

test('events are sent in order and then forgotten', async () => {
  const { queue, posted, storage, states } = desk();
  for (const one of ['a', 'b', 'c']) queue.add(box(one));
  await queue.send();
  await new Promise(setImmediate);
  assert.deepEqual(posted.flat().map((one) => one.uuid), ['a', 'b', 'c']);
  assert.equal(storage.length, 0);
  assert.deepEqual([states.at(-1).name, states.at(-1).waiting], ['saved', 0]);
});

test('a lost connection keeps everything, says how much, and sends it all later', async () => {
  const { queue, posted, states, timers } = desk({ answers: [gone(0), gone(0)] });
  queue.add(box('a'));
  await new Promise(setImmediate);
  queue.add(box('b'));
  assert.deepEqual([states.at(-1).name, states.at(-1).waiting], ['offline', 2]);
  assert.deepEqual(timers.map((one) => one[1]), [1000]);
  await queue.hurry();
  assert.equal(states.at(-1).waiting, 2);
  await queue.hurry();
  assert.deepEqual(uuids(posted.at(-1)), ['a', 'b']);
  assert.equal(states.at(-1).name, 'saved');
});

test('a new window takes over what an old one could not send', async () => {
  const storage = new Shelf();
  const old = desk({ storage, answers: [gone(0)] });
  old.queue.add(box('a'));
  await new Promise(setImmediate);
  const fresh = desk({ storage });
  assert.deepEqual(uuids(fresh.queue.waiting('p1')), ['a']);
  await fresh.queue.send();
  assert.deepEqual(uuids(fresh.posted[0]), ['a']);
});

test('an answer that was lost is got again: the event counts as known', async () => {
  const { queue, posted, storage } = desk({ answers: [gone(0), { a: { outcome: 'known' } }] });
  queue.add(box('a'));
  await new Promise(setImmediate);
  await queue.hurry();
  assert.equal(posted.length, 2);
  assert.equal(storage.length, 0);
});

test('a refused event is set aside with its reason, the others go on', async () => {
  const { queue, states } = desk({ answers: [{ a: { outcome: 'refused', reason: 'outside' } }] });
  queue.add(box('a'));
  queue.add(box('b'));
  await new Promise(setImmediate);
  assert.deepEqual(queue.refused().map((one) => [one.event.uuid, one.reason]), [['a', 'outside']]);
  assert.deepEqual([states.at(-1).name, states.at(-1).refused], ['saved', 1]);
  queue.letGo('a');
  assert.deepEqual(queue.refused(), []);
});

test('one event that the server cannot read does not hold up the others', async () => {
  const { queue, posted } = desk({ answers: [gone(0), gone(422), gone(422, 'not a box')] });
  queue.add(box('a'));
  queue.add(box('b'));
  await new Promise(setImmediate);
  await queue.hurry();
  assert.deepEqual(queue.refused().map((one) => one.reason), ['not a box']);
  assert.deepEqual(uuids(posted.at(-1)), ['b']);
});

test('a change in conflict becomes a box of its own, and what follows it follows that', async () => {
  const { queue, posted, conflicts } = desk({ answers: [gone(0), { b: { outcome: 'conflict' } }] });
  queue.add(box('b', 'change', 'e1'));
  queue.add(box('c', 'change', 'b'));
  await new Promise(setImmediate);
  await queue.hurry();
  assert.deepEqual(uuids(conflicts), ['b']);
  const [fresh, next] = posted.at(-1);
  assert.deepEqual([fresh.action, fresh.replaces, fresh.uuid], ['add', '', 'fresh1']);
  assert.deepEqual([next.action, next.replaces, next.uuid], ['change', 'fresh1', 'c']);
});

test('a deletion in conflict is dropped; taking it back makes a box of its own', async () => {
  const { queue, posted, storage } = desk({ answers: [{ b: { outcome: 'conflict' } }] });
  queue.add(box('b', 'delete', 'e1'));
  await new Promise(setImmediate);
  assert.deepEqual(queue.waiting('p1'), []);
  queue.add(box('c', 'change', 'b'));
  await new Promise(setImmediate);
  assert.deepEqual([posted.at(-1)[0].action, posted.at(-1)[0].replaces], ['add', '']);
  assert.deepEqual([...storage.items.keys()].filter((one) => one.includes('/event/')), []);
});

test('an ended session waits for the same person', async () => {
  let name = 'bob';
  const { queue, posted, states } = desk({ answers: [gone(401)], me: () => ({ name }) });
  queue.add(box('a'));
  await new Promise(setImmediate);
  assert.equal(states.at(-1).name, 'login');
  await queue.hurry();
  assert.deepEqual([states.at(-1).name, states.at(-1).reason, posted.length], ['other', 'bob', 1]);
  name = 'ann';
  await queue.hurry();
  assert.deepEqual([states.at(-1).name, posted.length], ['saved', 2]);
});

test('without room events are kept in memory, and that is said', async () => {
  const { queue, states } = desk({ storage: new Shelf(0), answers: [gone(0)] });
  queue.add(box('a'));
  assert.equal(states.at(-1).fragile, true);
  await new Promise(setImmediate);
  await queue.hurry();
  assert.deepEqual([states.at(-1).name, states.at(-1).fragile], ['saved', false]);
});

test('events keep their order when the clock goes back', () => {
  let clock = 5000;
  const kept = new Kept(new Shelf(), 'x', () => clock);
  kept.put(box('a'));
  clock = 10;
  kept.put(box('b'));
  assert.deepEqual(uuids(kept.waiting()), ['a', 'b']);
});

test('what belongs to somebody else is not seen', () => {
  const storage = new Shelf();
  new Kept(storage, 'here ann').put(box('a'));
  assert.deepEqual(new Kept(storage, 'here bob').waiting(), []);
  assert.deepEqual(new Kept(storage, 'here').waiting(), []);
});

test('a damaged entry of the storage is passed over', () => {
  const storage = new Shelf();
  const kept = new Kept(storage, 'x');
  kept.put(box('a'));
  storage.items.set('miscomp/x/event/0000000000000001/b', '{broken');
  assert.deepEqual(uuids(kept.waiting()), ['a']);
});

test('pauses grow to half a minute, messages stay small, ages are never negative', () => {
  assert.deepEqual([1, 2, 3, 99].map((tries) => backOff(tries, 0.5)), [1000, 2000, 4000, 30_000]);
  const long = Array.from({ length: 300 }, (_, at) => ({ uuid: String(at), note: 'n'.repeat(2000) }));
  assert.ok(JSON.stringify(portion(long)).length < 110_000);
  assert.equal(portion([{ note: 'n'.repeat(500_000) }]).length, 1);
  assert.equal(portion(Array.from({ length: 300 }, () => ({}))).length, 100);
  assert.deepEqual(aged({ uuid: 'a', at: 100 }, 350), { uuid: 'a', age_ms: 250 });
  assert.equal(aged({ at: 100 }, 50).age_ms, 0);
});

test('a long queue is not read as a whole for each message, and empties', async () => {
  const storage = new Shelf();
  const kept = new Kept(storage, 'here ann', () => 1000);
  for (let at = 0; at < 450; at += 1) kept.put(box(`u${at}`));
  const { queue, posted } = desk({ storage });
  let reads = 0;
  const get = storage.getItem.bind(storage);
  storage.getItem = (name) => ((reads += 1), get(name));
  assert.equal(queue.state.waiting, 450);
  await queue.send();
  assert.deepEqual(posted.map((one) => one.length), [100, 100, 100, 100, 50]);
  assert.deepEqual(posted.flat().map((one) => one.uuid), [...Array(450).keys()].map((at) => `u${at}`));
  assert.equal(queue.state.waiting, 0);
  assert.ok(reads <= 450, `${reads} values were read`);
});

test('what is refused or in conflict in the middle of a message leaves the others as they are', async () => {
  const answers = [{ b: { outcome: 'refused', reason: 'no' }, c: { outcome: 'conflict' } }];
  const storage = new Shelf();
  const kept = new Kept(storage, 'here ann', () => 1000);
  for (const one of [box('a'), box('b'), box('c', 'change', 'x'), box('d', 'change', 'c')]) kept.put({ ...one, at: 1 });
  const { queue, posted, conflicts } = desk({ answers, storage });
  await queue.send();
  assert.deepEqual(queue.refused().map(({ event }) => event.uuid), ['b']);
  assert.deepEqual(uuids(conflicts), ['c']);
  assert.equal(queue.state.waiting, 0);
  assert.deepEqual(posted.at(-1).map((one) => [one.uuid, one.action, one.replaces]), [['fresh1', 'add', ''], ['d', 'change', 'fresh1']]);
});
