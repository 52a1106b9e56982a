import assert from 'node:assert/strict';
import { test } from 'node:test';

import { answerWords, boxesByEvent, extraWords, flagWords, initialsOf, looksOf, markedWords } from '../../../src/miscomp/web/static/places.js';

test('initials are taken from the words of a name, and numbers where two would be alike', () => {
  assert.deepEqual(initialsOf(['ann', 'bob.smith', 'labeler-1']), ['A', 'BS', 'L1']);
  assert.deepEqual(initialsOf(['ann', 'alf', 'bob']), ['1', '2', 'B']);
});

test('eighteen labelers look different: by colour, then by dash', () => {
  const looks = Array.from({ length: 18 }, (_, k) => looksOf(k)).map(({ colour, dash }) => `${colour} ${dash}`);
  assert.equal(new Set(looks).size, 18);
});

test('how many marked a place is said of those who are done', () => {
  const labelers = [{}, {}, {}, {}];
  assert.equal(markedWords({ labelers: ['a', 'b', 'c'] }, labelers), '3 of 4 marked this');
  assert.equal(markedWords({ labelers: ['a', 'b'] }, [{}, {}]), 'all 2 marked this');
  assert.equal(markedWords({ labelers: ['a'] }, [{}]), 'marked by the only one who is done');
});

test('answers that were not given are left out', () => {
  assert.equal(answerWords({ changed: 'yes', relevant: 'unsure', suspicion: '', expected: '' }), 'visible: yes, matters: unsure');
  assert.equal(answerWords({ changed: '', relevant: '', suspicion: '', expected: '' }), 'no answers');
});

test('what else is known is said, and nothing else', () => {
  assert.equal(extraWords({ category: 'SHAPE', symbol: true, note: 'a letter' }), 'SHAPE; symbol; a letter');
  assert.equal(extraWords({ category: '', symbol: false, note: '' }), '');
  assert.equal(flagWords({ multi: true, multiKind: 'color', overall: true, note: '' }), 'multi (color); overall appearance');
  assert.equal(flagWords(null), '');
});

test('a box is found by its event, with its labeler', () => {
  const found = boxesByEvent([{ boxes: [{ event: 'e1' }] }, { boxes: [{ event: 'e2' }, { event: 'e3' }] }]);
  assert.equal(found.get('e3').labeler, 1);
  assert.equal(found.size, 3);
});
