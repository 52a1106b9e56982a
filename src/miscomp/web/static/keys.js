/**
 * The keys of the labelers' page: one table, from which they are bound, listed and tested.
 *
 * A chord is written like `Ctrl+Shift+z`. Letters are what the keyboard's own layout prints on them; where it prints
 * none of the Latin alphabet, the place of the key counts. `Ctrl` is also the Command key.
 *
 * @typedef {{act: string, chords: string[], words: string, repeats?: boolean, with?: any[]}} Binding
 *   `with` has one argument per chord.
 */

const ARROWS = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'];
const DIRECTIONS = [[-1, 0], [1, 0], [0, -1], [0, 1]];

/** @returns {Binding} a binding of the four arrows, by which a pair of steps is given to the action */
function arrows(act, modifier, words) {
  return { act, chords: ARROWS.map((one) => modifier + one), with: DIRECTIONS, words, repeats: true };
}

/** @type {Array<{title: string, bindings: Binding[]}>} */
export const GROUPS = [
  {
    title: 'Look',
    bindings: [
      { act: 'flip', chords: ['Space'], words: 'flip original and reconstruction, also while drawing' },
      { act: 'fit', chords: ['f'], words: 'fit the picture' },
      { act: 'actual', chords: ['0'], words: '1:1, a pixel for a pixel' },
      { act: 'zoom', chords: ['+', '=', '-'], with: [1.5, 1.5, 1 / 1.5], words: 'zoom in, out (or the wheel)', repeats: true },
      { act: 'zoomToBox', chords: ['z'], words: 'zoom to the selected box' },
      { act: 'difference', chords: ['d'], words: 'difference: off, over the picture, on half of the screen' },
      { act: 'differenceKind', chords: ['k'], words: 'kind of difference: perceptual, absolute' },
      { act: 'gain', chords: ['g', 'Shift+g'], with: [1, -1], words: 'stronger, weaker difference', repeats: true },
      { act: 'loupe', chords: ['l'], words: 'loupe with both sides' },
      { act: 'gamma', chords: ['m', 'Shift+m'], with: [1, -1], words: 'lift dark regions more, less' },
      { act: 'hideBoxes', chords: ['v'], words: 'show or hide all boxes' },
      { act: 'panel', chords: ['h'], words: 'show or hide the panel' },
      { act: 'keepView', chords: ['i'], words: 'keep zoom and place for the next pair, or not' },
    ],
  },
  {
    title: 'Boxes',
    bindings: [
      { act: 'addBox', chords: ['a'], words: 'a new box at the pointer, or in the middle' },
      { act: 'tool', chords: ['t'], words: 'dragging draws, or dragging moves the picture' },
      { act: 'selectBox', chords: ['s', 'Shift+s'], with: [1, -1], words: 'next, previous box' },
      arrows('nudge', '', 'move the box by a pixel; without one, the picture'),
      arrows('nudgeFar', 'Shift+', 'the same by ten pixels'),
      arrows('grow', 'Alt+', 'move its right or lower edge'),
      arrows('growFar', 'Alt+Shift+', 'the same by ten pixels'),
      { act: 'snap', chords: ['c'], words: 'close the box in on what changed' },
      { act: 'delete', chords: ['Delete', 'Backspace'], words: 'delete the box' },
      { act: 'undo', chords: ['Ctrl+z'], words: 'undo', repeats: true },
      { act: 'redo', chords: ['Ctrl+Shift+z', 'Ctrl+y'], words: 'redo', repeats: true },
      { act: 'nextSuggestion', chords: ['e'], words: 'next suggestion, where there are any' },
      { act: 'takeSuggestion', chords: ['x'], words: 'take the suggestion over as a box' },
    ],
  },
  {
    title: 'Decide',
    bindings: [
      { act: 'answer', chords: ['y', 'n', 'u'], with: ['yes', 'no', 'unsure'], words: 'yes, no, unsure to the open question' },
      { act: 'stepBack', chords: ['b'], words: 'take the last answer back' },
      {
        act: 'category',
        chords: ['1', '2', '3'],
        with: ['AMPLITUDE', 'GEOMETRY', 'SHAPE'],
        words: 'category; the first one is the main one',
      },
      { act: 'symbol', chords: ['4'], words: 'SYMBOL: letters, digits, signs' },
      { act: 'boxNote', chords: ['w'], words: 'write a note on the box (Escape leaves)' },
      { act: 'multi', chords: ['r'], words: 'multi-miscompression: the same happens repeatedly' },
      { act: 'overall', chords: ['o'], words: 'the overall appearance changed' },
      { act: 'pairNote', chords: ['Shift+w'], words: 'write a note on the whole picture' },
    ],
  },
  {
    title: 'Work',
    bindings: [
      { act: 'done', chords: ['Enter'], words: 'done, and on to the next pair' },
      { act: 'go', chords: ['j', 'PageDown'], with: [1, 1], words: 'next pair, without saying that this one is done' },
      { act: 'go', chords: ['p', 'PageUp'], with: [-1, -1], words: 'previous pair' },
      { act: 'batches', chords: ['q'], words: 'your batches' },
      { act: 'escape', chords: ['Escape'], words: 'stop drawing, leave a note, select nothing' },
      { act: 'help', chords: ['?'], words: 'this list' },
    ],
  },
];

const NAMES = { ' ': 'Space', Spacebar: 'Space', Esc: 'Escape', Del: 'Delete' };
const PRINTED = {
  Space: 'Space',
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  PageUp: 'Page ↑',
  PageDown: 'Page ↓',
  Escape: 'Esc',
};

/** The name of the key itself, by the layout where that is a Latin letter, digit or sign, else by its place. */
function keyName(event) {
  const key = NAMES[event.key] ?? event.key;
  if (key.length > 1 && !['Dead', 'Process', 'Unidentified'].includes(key)) return key;
  if (/^Digit\d$/.test(event.code) && !/^[0-9?+=-]$/.test(key)) return event.code.at(-1);
  if (/^[\x21-\x7e]$/.test(key)) return key.toLowerCase();
  if (/^Key[A-Z]$/.test(event.code)) return event.code.at(-1).toLowerCase();
  return key;
}

/**
 * The chord of a keydown. Shift counts with letters and named keys only: which signs need it is the layout's affair,
 * as is AltGr.
 *
 * @param {KeyboardEvent} event
 */
export function chordOf(event) {
  const name = keyName(event);
  const letter = name.length > 1 || /^[a-z]$/.test(name);
  const printing = !letter && event.getModifierState?.('AltGraph');
  const parts = [];
  if ((event.ctrlKey || event.metaKey) && !printing) parts.push('Ctrl');
  if (event.altKey && !printing) parts.push('Alt');
  if (event.shiftKey && letter) parts.push('Shift');
  return [...parts, name].join('+');
}

/** Every chord with its binding and argument. Throws if a chord is bound twice. */
export function bound(groups = GROUPS) {
  const found = new Map();
  for (const binding of groups.flatMap((group) => group.bindings)) {
    binding.chords.forEach((chord, at) => {
      if (found.has(chord)) throw new Error(`${chord} is bound twice`);
      found.set(chord, { act: binding.act, argument: binding.with?.[at], repeats: binding.repeats ?? false });
    });
  }
  return found;
}

/** A chord as it is shown to people. */
export function printed(chord) {
  if (chord === '+') return '+';
  return chord
    .split('+')
    .map((part) => PRINTED[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(' ');
}

/** The chords of a binding as they are listed; the four arrows take one place. */
function listed(chords) {
  if (chords.length !== ARROWS.length || !chords.every((one, at) => one.endsWith(ARROWS[at]))) return chords.map(printed);
  return [`${printed(chords[0]).slice(0, -1)}${ARROWS.map((one) => PRINTED[one]).join('')}`];
}

/** The first chord of an action, for titles of buttons. */
export function keyOf(act, argument) {
  for (const [chord, one] of bound()) {
    if (one.act === act && (argument === undefined || one.argument === argument)) return printed(chord);
  }
  return '';
}

function typing(target) {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null;
}

/** Buttons and links that were reached by the Tab key are pressed by Space and Enter. */
function pressing(target, chord) {
  return (chord === 'Space' || chord === 'Enter') && target instanceof Element && target.closest('button, a, summary') !== null;
}

/**
 * Call an action on each key press. While something is typed only Escape is heard; an open dialog hears its own keys.
 *
 * @param {EventTarget} target
 * @param {(act: string, argument: any) => boolean | void} perform false leaves the key to the browser
 * @param {typeof GROUPS} groups of another page than the labelers'
 */
export function listen(target, perform, groups = GROUPS) {
  const table = bound(groups);
  target.addEventListener('keydown', (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    const chord = chordOf(event);
    const binding = table.get(chord);
    if (!binding || document.querySelector('dialog[open]')) return;
    if (typing(event.target) && chord !== 'Escape') return;
    if (pressing(event.target, chord)) return;
    if (event.repeat && !binding.repeats) {
      event.preventDefault();
      return;
    }
    if (perform(binding.act, binding.argument) !== false) event.preventDefault();
  });
}

const POINTING =
  'Mouse: drag to draw; drag inside the selected box to move it, at its handles to resize it; click a box to select it. ' +
  'Wheel or pinch zooms. Shift + drag or the middle button moves the picture.';

/** The list of all keys, as a dialog. */
export function keyList(groups = GROUPS, pointing = POINTING) {
  const dialog = document.createElement('dialog');
  dialog.className = 'keys';
  dialog.setAttribute('aria-labelledby', 'keys-title');
  const title = document.createElement('h2');
  title.id = 'keys-title';
  title.textContent = 'Keys';
  const columns = document.createElement('div');
  columns.className = 'keys-columns';
  columns.append(...groups.map(groupList));
  const mouse = document.createElement('p');
  mouse.textContent = pointing;
  const close = document.createElement('button');
  close.type = 'button';
  close.textContent = 'Close (Esc)';
  close.addEventListener('click', () => dialog.close());
  dialog.append(title, columns, mouse, close);
  dialog.addEventListener('keydown', (event) => {
    if (event.key !== '?') return;
    event.preventDefault();
    dialog.close();
  });
  return dialog;
}

function groupList({ title, bindings }) {
  const section = document.createElement('section');
  const heading = document.createElement('h3');
  heading.textContent = title;
  const list = document.createElement('dl');
  for (const { chords, words: means } of bindings) {
    const [keys, meaning] = [document.createElement('dt'), document.createElement('dd')];
    for (const words of listed(chords)) {
      const key = document.createElement('kbd');
      key.textContent = words;
      keys.append(key, ' ');
    }
    meaning.textContent = means;
    list.append(keys, meaning);
  }
  section.append(heading, list);
  return section;
}
