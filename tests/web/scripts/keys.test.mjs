import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bound, chordOf, GROUPS, keyOf, printed } from '../../../src/miscomp/web/static/keys.js';

function press(key, { code = '', ctrl = false, meta = false, alt = false, shift = false, altGraph = false } = {}) {
  const getModifierState = (name) => name === 'AltGraph' && altGraph;
  return chordOf({ key, code, ctrlKey: ctrl, metaKey: meta, altKey: alt, shiftKey: shift, getModifierState });
}

test('no chord is bound twice, and every one has words', () => {
  const chords = GROUPS.flatMap((group) => group.bindings).flatMap((one) => one.chords);
  assert.equal(new Set(chords).size, chords.length);
  assert.equal(bound().size, chords.length);
  for (const one of GROUPS.flatMap((group) => group.bindings)) {
    assert.ok(one.words, one.act);
    if (one.with) assert.equal(one.with.length, one.chords.length, one.act);
  }
});

test('a chord bound twice is refused', () => {
  const twice = [{ title: '', bindings: [{ act: 'a', chords: ['x'], words: '' }, { act: 'b', chords: ['x'], words: '' }] }];
  assert.throws(() => bound(twice), /x is bound twice/);
});

test('letters are those of the layout, capitals lock or not', () => {
  assert.equal(press('z', { code: 'KeyY' }), 'z');
  assert.equal(press('Z', { code: 'KeyZ' }), 'z');
  assert.equal(press('S', { code: 'KeyS', shift: true }), 'Shift+s');
  assert.equal(press('z', { code: 'KeyZ', ctrl: true }), 'Ctrl+z');
  assert.equal(press('z', { code: 'KeyZ', meta: true, shift: true }), 'Ctrl+Shift+z');
});

test('where the layout has no Latin letters the place of the key counts', () => {
  assert.equal(press('н', { code: 'KeyY' }), 'y');
  assert.equal(press('Ψ', { code: 'KeyC', shift: true }), 'Shift+c');
  assert.equal(press('Dead', { code: 'KeyN', alt: true }), 'Alt+n');
});

test('digits count by their place where the layout needs shift for them', () => {
  assert.equal(press('&', { code: 'Digit1' }), '1');
  assert.equal(press('à', { code: 'Digit0' }), '0');
  assert.equal(press('3', { code: 'Numpad3' }), '3');
});

test('signs count however the layout writes them', () => {
  assert.equal(press('?', { code: 'Slash', shift: true }), '?');
  assert.equal(press('?', { code: 'Minus', shift: true }), '?');
  assert.equal(press('+', { code: 'Equal', shift: true }), '+');
  assert.equal(press('+', { code: 'KeyQ', ctrl: true, alt: true, altGraph: true }), '+');
});

test('named keys keep their modifiers', () => {
  assert.equal(press(' ', { code: 'Space' }), 'Space');
  assert.equal(press('ArrowLeft', { alt: true, shift: true }), 'Alt+Shift+ArrowLeft');
  assert.equal(bound().get('Alt+Shift+ArrowLeft').act, 'growFar');
  assert.deepEqual(bound().get('Shift+ArrowDown').argument, [0, 1]);
});

test('keys of the browser stay with the browser', () => {
  for (const chord of ['Tab', 'Shift+Tab', 'F5', 'Ctrl+r', 'Ctrl+t', 'Ctrl+w', 'Ctrl+0', 'Ctrl++', 'Ctrl+-', 'Ctrl+f']) {
    assert.equal(bound().has(chord), false, chord);
  }
});

test('chords are printed for people', () => {
  assert.equal(printed('Ctrl+Shift+z'), 'Ctrl Shift Z');
  assert.equal(printed('+'), '+');
  assert.equal(keyOf('answer', 'no'), 'N');
  assert.equal(keyOf('flip'), 'Space');
});
