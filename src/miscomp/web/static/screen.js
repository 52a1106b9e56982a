/** Screening: one photograph at a time is included, borderline or excluded. */
import { plainText } from './desk.js';
import { byId, made, newId } from './elements.js';
import { Frame } from './frame.js';
import { begin, bind, BINDINGS, tellFailure, viewing } from './second.js';

const AHEAD = 15;

const KEYS = [
  {
    title: 'Decide',
    bindings: [
      { act: 'choose', chords: ['i', 'b', 'e'], with: ['include', 'borderline', 'exclude'], words: 'include, borderline, exclude' },
      { act: 'note', chords: ['w'], words: 'write a note; it is kept with the choice (Escape leaves)' },
      { act: 'back', chords: ['u', 'Ctrl+z', 'ArrowLeft', 'Backspace'], words: 'back to the last picture: another choice replaces the last' },
      { act: 'next', chords: ['n', 'ArrowRight', 'Enter'], words: 'on, and leave it as it is' },
    ],
  },
  {
    title: 'Look',
    bindings: [
      ...BINDINGS.view,
      { act: 'escape', chords: ['Escape'], words: 'leave the note' },
      BINDINGS.help,
    ],
  },
];

/** Photographs fetched and decoded before they are shown; only those near the present one are held. */
class Photographs {
  #held = new Map();

  get(alias) {
    if (!this.#held.has(alias)) this.#held.set(alias, this.#load(alias));
    return this.#held.get(alias);
  }

  async #load(alias) {
    try {
      const answer = await fetch(`/pictures/photographs/${alias}.png`, { credentials: 'same-origin' });
      if (!answer.ok) throw Object.assign(new Error(`The picture cannot be shown (${answer.status}).`), { name: 'PictureError' });
      return await createImageBitmap(await answer.blob(), { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
    } catch (error) {
      this.#held.delete(alias);
      throw error;
    }
  }

  keep(...aliases) {
    for (const [alias, picture] of this.#held) {
      if (aliases.includes(alias)) continue;
      this.#held.delete(alias);
      picture.then((one) => one.close(), () => {});
    }
    for (const alias of aliases) this.get(alias).catch(() => {});
  }
}

class Screening {
  list = [];
  at = 0;
  total = 0;
  more = true;
  photographs = new Photographs();

  constructor(page) {
    this.page = page;
    this.frame = new Frame(byId('frame'));
    byId('frame').setAttribute('aria-label', 'The photograph');
  }

  async start() {
    const state = await this.page.api.get('/api/screen');
    byId('include').replaceChildren(...state.include.map((one) => made('li', {}, one)));
    byId('exclude').replaceChildren(...state.exclude.map((one) => made('li', {}, one)));
    this.list = state.decided;
    this.done = state.done;
    this.take(state);
    this.at = this.list.findIndex((one) => !one.choice);
    if (this.at < 0) this.at = this.list.length;
    await this.show();
  }

  /** What is next, after what is known; a choice that waits in this browser is one. */
  take({ waiting, pictures }) {
    this.total = pictures;
    const known = new Set(this.list.map((one) => one.alias));
    const fresh = waiting.filter((one) => !known.has(one.alias));
    this.more = fresh.length > 0;
    for (const one of fresh) {
      const told = this.page.queue.waiting(one.alias).at(-1);
      if (told) this.done += 1;
      this.list.push({ ...one, choice: told?.choice ?? '', note: told?.note ?? '' });
    }
  }

  async fetchMore() {
    if (this.fetching || !this.more || this.list.length - this.at > AHEAD) return;
    this.fetching = true;
    try {
      this.take(await this.page.api.get('/api/screen'));
    } catch {
      // Asked again with the next picture; until then there are some left.
    }
    this.fetching = false;
  }

  get picture() {
    return this.list[this.at] ?? null;
  }

  async show() {
    const { picture } = this;
    this.tell();
    if (!picture) return this.frame.clear();
    try {
      const bitmap = await this.photographs.get(picture.alias);
      if (this.picture !== picture) return undefined;
      await this.frame.show({ original: bitmap, reconstruction: bitmap, alias: picture.alias });
      this.page.notices.withdraw('failure');
    } catch (error) {
      if (this.picture === picture) tellFailure(this.page.notices, error, () => this.show());
    }
    const near = this.list.slice(Math.max(0, this.at - 1), this.at + 3).map((one) => one.alias);
    this.photographs.keep(...near);
    return this.fetchMore();
  }

  tell() {
    const { picture } = this;
    byId('progress').textContent = `${this.done} of ${this.total} pictures decided`;
    byId('bar').max = Math.max(this.total, 1);
    byId('bar').value = this.done;
    byId('finished').hidden = Boolean(picture) || this.total === 0;
    const left = this.total - this.done;
    byId('finished').textContent = left
      ? `This is the end; you left ${left} undecided. N begins with these, U goes back.`
      : 'You have decided on all pictures. U goes back.';
    byId('empty').hidden = this.total > 0;
    byId('note').value = picture?.note ?? '';
    byId('said-before').textContent = picture?.choice ? `You said: ${picture.choice}. Another choice replaces it.` : '';
    for (const button of document.querySelectorAll('button[data-act="choose"]')) {
      button.disabled = !picture;
      button.setAttribute('aria-pressed', String(picture?.choice === button.dataset.with));
    }
  }

  choose(choice) {
    const { picture } = this;
    if (!picture) return;
    const note = plainText(byId('note').value);
    if (picture.choice !== choice || picture.note !== note) {
      if (!picture.choice) this.done += 1;
      Object.assign(picture, { choice, note });
      this.more = true;
      this.page.queue.add({ kind: 'choice', uuid: newId(), alias: picture.alias, choice, note });
    }
    this.page.notices.say(choice);
    this.go(1);
  }

  /** A note that was changed after the choice goes with it again; one without a choice is spoken of once. */
  keepsNote() {
    const { picture } = this;
    const note = plainText(byId('note').value);
    if (!picture || picture.note === note) return true;
    if (!picture.choice) {
      const warned = this.warned === picture;
      this.warned = picture;
      if (!warned) this.page.notices.say('the note is kept with a choice only; again goes on without');
      return warned;
    }
    picture.note = note;
    this.page.queue.add({ kind: 'choice', uuid: newId(), alias: picture.alias, choice: picture.choice, note });
    return true;
  }

  /** By one step; from the end on to the first that was left out. */
  go(by) {
    if (!this.keepsNote()) return;
    const first = this.list.findIndex((one) => !one.choice);
    const again = by > 0 && !this.picture && first >= 0;
    const at = again ? first : Math.min(Math.max(this.at + by, 0), this.list.length);
    if (at === this.at) return;
    this.at = at;
    byId('note').blur();
    this.show();
  }

  perform(act, argument) {
    const acts = {
      choose: () => this.choose(argument),
      back: () => this.go(-1),
      next: () => this.go(1),
      note: () => byId('note').focus(),
      ...viewing(this.frame, argument),
      escape: () => byId('note').blur(),
    };
    acts[act]?.();
  }
}

async function main() {
  const page = await begin();
  const screening = new Screening(page);
  bind(KEYS, (act, argument) => screening.perform(act, argument));
  try {
    await screening.start();
  } catch (error) {
    tellFailure(page.notices, error, () => location.reload());
  }
}

main();
