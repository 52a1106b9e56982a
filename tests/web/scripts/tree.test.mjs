import assert from 'node:assert/strict';
import { test } from 'node:test';

import { answered, follow, QUESTIONS, steppedBack } from '../../../src/miscomp/web/static/tree.js';

const FIELDS = QUESTIONS.map((one) => one.field);
const NONE = { changed: '', relevant: '', suspicion: '', expected: '' };

function after(answers) {
  return answers.reduce((held, answer, at) => answered(held, FIELDS[at], answer), NONE);
}

/** Figure 3 of the paper, path by path; unsure means annotate (appendix 2.2.1). */
const PATHS = [
  [[], 'open'],
  [['no'], 'not'],
  [['unsure'], 'annotate'],
  [['yes'], 'open'],
  [['yes', 'no'], 'not'],
  [['yes', 'unsure'], 'annotate'],
  [['yes', 'yes'], 'open'],
  [['yes', 'yes', 'no'], 'annotate'],
  [['yes', 'yes', 'unsure'], 'annotate'],
  [['yes', 'yes', 'yes'], 'open'],
  [['yes', 'yes', 'yes', 'no'], 'annotate'],
  [['yes', 'yes', 'yes', 'unsure'], 'annotate'],
  [['yes', 'yes', 'yes', 'yes'], 'not'],
];

test('every path through the tree ends as in the paper, and in words', () => {
  for (const [answers, outcome] of PATHS) {
    const found = follow(after(answers));
    assert.equal(found.outcome, outcome, answers.join(' '));
    assert.equal(found.next === '', outcome !== 'open', answers.join(' '));
    assert.equal(found.asked.length, answers.length);
    assert.ok(found.words.length > 10, answers.join(' '));
    if (outcome === 'not') assert.match(found.words, /Delete the box/);
    if (outcome === 'annotate') assert.match(found.words, /Keep the box/);
  }
});

test('an answer that ends the tree empties those behind it', () => {
  const held = after(['yes', 'yes', 'yes', 'no']);
  assert.deepEqual(answered(held, 'relevant', 'no'), { ...NONE, changed: 'yes', relevant: 'no' });
  assert.deepEqual(answered(held, 'changed', 'yes'), held);
});

test('stepping back takes the last answer only', () => {
  const held = after(['yes', 'yes', 'no']);
  assert.deepEqual(steppedBack(held), after(['yes', 'yes']));
  assert.deepEqual(steppedBack(NONE), NONE);
});

test('a question that does not exist is refused', () => {
  assert.throws(() => answered(NONE, 'score', 'yes'), /no question/);
});
