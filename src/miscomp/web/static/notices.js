/** What the page says loudly: notices over the picture, short words on what a key did, and questions. */
import { made } from './elements.js';

export class Notices {
  #place;
  #said;
  #shown = new Map();
  #timer = 0;

  /** @param {HTMLElement} place of notices @param {HTMLElement} said of short words; both announce themselves */
  constructor(place, said) {
    this.#place = place;
    this.#said = said;
  }

  /**
   * Show a notice until it is withdrawn. One of a name takes the place of the other.
   *
   * @param {string} name
   * @param {{text: string, tone?: 'bad' | 'warn' | 'good', actions?: Array<[string, () => void]>, link?: [string, string]}} notice
   *   an action withdraws the notice
   */
  show(name, { text, tone = 'warn', actions = [], link = null }) {
    const key = JSON.stringify([text, tone, actions.map(([word]) => word), link]);
    if (this.#shown.get(name)?.key === key) return;
    const node = made('div', { className: `notice is-${tone}` }, made('p', {}, text));
    if (link) node.append(made('a', { href: link[1], target: '_blank', rel: 'noopener' }, link[0]));
    for (const [word, act] of actions) {
      const button = made('button', { type: 'button' }, word);
      button.addEventListener('click', () => {
        this.withdraw(name);
        act();
      });
      node.append(button);
    }
    const before = this.#shown.get(name);
    if (before) before.node.replaceWith(node);
    else this.#place.append(node);
    this.#shown.set(name, { key, node });
  }

  withdraw(name) {
    this.#shown.get(name)?.node.remove();
    this.#shown.delete(name);
  }

  /** A short word that goes by itself. */
  say(text) {
    this.#said.textContent = text;
    this.#said.classList.add('is-on');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#said.classList.remove('is-on'), 1800);
  }
}

/** What the state of saving is, in words for the panel; `loud` goes over the picture too. */
export function stateWords({ name, waiting, fragile, reason }, single) {
  const changes = waiting === 1 ? '1 change waits' : `${waiting} changes wait`;
  const where = fragile ? 'ONLY IN THIS WINDOW: do not close it' : 'in this browser';
  const words = {
    saved: { tone: 'good', line: 'Saved' },
    saving: { tone: 'calm', line: `Saving · ${waiting}` },
    offline: { tone: 'bad', line: `NOT SAVED: ${waiting} waiting`, loud: `Connection lost. ${changes} ${where}; sent as soon as the server answers. Go on working.` },
    trouble: { tone: 'bad', line: `NOT SAVED: ${waiting} waiting`, loud: `The server cannot save now (${reason}). ${changes} ${where} and will be sent again.` },
    login: {
      tone: 'bad',
      line: `LOGGED OUT: ${waiting} waiting`,
      loud: `Your session ended. ${changes} ${where}. ${single ? 'Open the address that the program printed' : 'Log in again in a new tab'}, then go on here.`,
    },
    other: { tone: 'bad', line: `NOT SAVED: ${waiting} waiting`, loud: `Somebody else (${reason}) is logged in in this browser. ${changes} ${where}: log ${reason} out and yourself in, then go on here.` },
  };
  return words[name];
}

/** A modal dialog that is removed when it closes. */
export function ask(title, body, buttons) {
  const dialog = made('dialog', { className: 'asked' }, made('h2', {}, title), body);
  const row = made('div', { className: 'row' });
  for (const [word, act] of buttons) {
    const button = made('button', { type: 'button', className: row.childElementCount ? '' : 'primary' }, word);
    button.addEventListener('click', () => {
      dialog.close();
      act();
    });
    row.append(button);
  }
  dialog.append(row);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  row.querySelector('button')?.focus();
  return dialog;
}
