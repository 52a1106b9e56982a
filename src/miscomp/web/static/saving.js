/** What the page keeps in this browser: the queue of changes, and how its labeler likes to look at pictures. */
import { newId } from './elements.js';
import { browserStorage, Kept } from './kept.js';
import { Queue } from './queue.js';

const TIDY_MS = 14 * 24 * 3600 * 1000;
const LOCK_MS = 30_000;
const CHOICES = 'miscomp/label';

/** One window of a person sends at a time; where that cannot be had, sending twice does no harm. */
function lockOf(name) {
  if (!navigator.locks) return (work) => work();
  return async (work) => {
    let begun = false;
    const once = () => {
      begun = true;
      return work();
    };
    try {
      await navigator.locks.request(name, { signal: AbortSignal.timeout(LOCK_MS) }, once);
    } catch (error) {
      if (begun) throw error;
      await work();
    }
  };
}

/**
 * The queue of a person in this browser, known to the other windows of the same person.
 *
 * @param {{name: string, corpus?: string}} me
 * @param {import('./api.js').Api} api
 * @param {{
 *   purpose?: string,
 *   onState: Function,
 *   onConflict: (event: object) => void,
 *   onOther?: (alias: string) => void,
 *   onStored?: (events: object[]) => void,
 * }} told
 *   `purpose` keeps apart what another kind of page would not know what to do with; `onOther` gets pairs of which
 *   another window saved something
 */
export function connect(me, api, { purpose = '', onState, onConflict, onOther = () => {}, onStored = () => {} }) {
  const owner = [me.corpus ?? location.origin, me.name, purpose].filter(Boolean).join(' ');
  const windows = new BroadcastChannel(`miscomp ${owner}`);
  windows.addEventListener('message', ({ data }) => {
    if (data.conflict) onConflict(data.conflict);
    else for (const alias of data.aliases ?? []) onOther(alias);
  });
  const kept = new Kept(browserStorage(), owner);
  kept.tidy(TIDY_MS);
  return new Queue(kept, {
    person: me.name,
    post: (events, options) => api.post('/api/save', { events }, options),
    me: () => api.me(),
    newId,
    lock: lockOf(`miscomp ${owner}`),
    onState,
    onStored: (events) => {
      onStored(events);
      const aliases = events.filter((one) => one.kind === 'box' || one.kind === 'flag').map((one) => one.alias);
      if (aliases.length) windows.postMessage({ aliases: [...new Set(aliases)] });
    },
    onConflict: (event) => {
      windows.postMessage({ conflict: event });
      onConflict(event);
    },
  });
}

/** How the labeler looks at pictures, kept for the next day. A browser that keeps nothing begins anew. */
export class Choices {
  #storage = browserStorage();

  restore({ frame, actions }) {
    const held = this.#read();
    document.getElementById('label').classList.toggle('no-panel', held.panel === false);
    document.getElementById('unhide').hidden = held.panel !== false;
    if (held.kind === 'absolute') frame.differenceKind = held.kind;
    if (held.gain >= 1 && held.gain <= 32) frame.gain = held.gain;
    actions.keeps = held.keeps === true;
  }

  keep({ frame, actions }) {
    const panel = !document.getElementById('label').classList.contains('no-panel');
    const held = { panel, kind: frame.differenceKind, gain: frame.gain, keeps: actions.keeps };
    try {
      this.#storage?.setItem(CHOICES, JSON.stringify(held));
    } catch {
      // No room: changes of boxes need it more.
    }
  }

  #read() {
    try {
      return JSON.parse(this.#storage?.getItem(CHOICES) ?? '{}') ?? {};
    } catch {
      return {};
    }
  }
}
