/** What the pages of second looks share: who is there, saving in the background, notices, keys, boxes over a picture. */
import { Api, ApiError, pageCsrf } from './api.js';
import { byId, drawn } from './elements.js';
import { keyList, listen } from './keys.js';
import { Notices, stateWords } from './notices.js';
import { connect } from './saving.js';

const POINTING = 'Mouse: the wheel or a pinch zooms, dragging moves the picture.';

/** Keys that mean the same on all of these pages; what they do is `viewing`. */
export const BINDINGS = {
  flip: { act: 'flip', chords: ['Space'], words: 'flip original and reconstruction' },
  view: [
    { act: 'fit', chords: ['f'], words: 'fit the picture' },
    { act: 'actual', chords: ['0'], words: '1:1, a pixel for a pixel' },
    { act: 'zoom', chords: ['+', '=', '-'], with: [1.5, 1.5, 1 / 1.5], words: 'zoom in, out (or the wheel)', repeats: true },
  ],
  difference: { act: 'difference', chords: ['d'], words: 'difference: off, over the picture, on half of the screen' },
  help: { act: 'help', chords: ['?'], words: 'this list' },
};

/** What `BINDINGS` do to a frame. */
export function viewing(frame, argument) {
  return {
    flip: () => frame.flip(),
    fit: () => frame.fit(),
    actual: () => frame.actual(),
    zoom: () => frame.zoomBy(Number(argument)),
    difference: () => { frame.difference = { off: 'over', over: 'half', half: 'off' }[frame.difference]; },
  };
}

/** Show where saving stands: a line in the panel, and a notice over all where something is wrong. */
function tellState(notices, state, single) {
  const { tone, line, loud } = stateWords(state, single);
  const place = byId('saving');
  place.textContent = line;
  place.className = `saving is-${tone}`;
  if (loud) notices.show('saving', { text: loud, tone: 'bad' });
  else notices.withdraw('saving');
}

function tellRefused(notices, queue) {
  const refused = queue.refused();
  if (!refused.length) return;
  notices.show('refused', {
    text: `Not stored: ${refused.map((one) => one.reason).join('; ')}`,
    tone: 'bad',
    actions: [['I have read this', () => refused.forEach((one) => queue.letGo(one.event.uuid))]],
  });
}

/**
 * Ask who is there, and make what saves.
 *
 * @param {{onStored?: (events: object[]) => void, onConflict?: (event: object) => void}} tell
 */
export async function begin({ onStored = () => {}, onConflict = () => {} } = {}) {
  const api = new Api(pageCsrf());
  const notices = new Notices(byId('notices'), byId('said'));
  const me = await api.me();
  const single = me.mode === 'single';
  const queue = connect(me, api, {
    purpose: 'second',
    onState: (state) => {
      tellState(notices, state, single);
      if (state.refused) tellRefused(notices, queue);
    },
    onConflict,
    onStored,
  });
  window.addEventListener('online', () => queue.hurry());
  window.addEventListener('pagehide', () => queue.lastWord());
  window.addEventListener('beforeunload', (event) => {
    if (queue.state.fragile) event.preventDefault();
  });
  queue.send();
  return { api, notices, me, queue };
}

/** Bind keys and buttons (`data-act`, `data-with`) to actions, and `?` to their list. */
export function bind(groups, perform) {
  const dialog = keyList(groups, POINTING);
  document.body.append(dialog);
  const act = (name, argument) => {
    if (name !== 'help') return perform(name, argument);
    dialog.showModal();
    return true;
  };
  listen(document, act, groups);
  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('button[data-act]');
    if (!button) return;
    act(button.dataset.act, button.dataset.with);
    // Space belongs to the flip again, not to the button.
    if (event.detail > 0) button.blur();
  });
}

/** Say what could not be asked for. */
export function tellFailure(notices, error, again) {
  const text = error instanceof ApiError || error.name === 'PictureError' ? error.message : `This page made a mistake: ${error.message}`;
  notices.show('failure', { text, tone: 'bad', actions: again ? [['Try again', again]] : [] });
}

/**
 * Draw boxes over a frame's picture, in the places that they have in its view.
 *
 * @param {import('./frame.js').Frame} frame
 * @param {Array<{x: number, y: number, w: number, h: number, colour: string, dash?: string, width?: number, name?: string, below?: boolean}>} boxes
 *   `below`: where the name stands, so that names of boxes in one place do not cover each other
 */
export function drawBoxes(frame, boxes) {
  const nodes = boxes.flatMap((box) => {
    const place = frame.clientRect(box);
    const shape = { x: place.x, y: place.y, width: place.width, height: place.height, fill: 'none' };
    const width = box.width ?? 2;
    const group = [
      drawn('rect', { ...shape, stroke: '#000', 'stroke-width': width + 2, opacity: 0.7 }),
      drawn('rect', { ...shape, stroke: box.colour, 'stroke-width': width, 'stroke-dasharray': box.dash ?? '' }),
    ];
    if (box.name) {
      const y = box.below ? place.y + place.height + 15 : Math.max(place.y - 5, 12);
      const label = { x: place.x, y, class: 'box-name', fill: box.colour };
      group.push(drawn('text', label, box.name));
    }
    return group;
  });
  frame.overlay.replaceChildren(...nodes);
}
