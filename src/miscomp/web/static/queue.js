/**
 * Sending what was done, in order and one message at a time, until the server has it.
 *
 * Events have UUIDs, so that one sent twice is stored once: after any doubt they are sent again.
 *
 * @typedef {'saved' | 'saving' | 'offline' | 'login' | 'other' | 'trouble'} Name
 *   login: nobody is logged in any more; other: somebody else is.
 * @typedef {{name: Name, waiting: number, fragile: boolean, refused: number, reason: string}} State
 */

const MOST_EVENTS = 100;
const MOST_LETTERS = 100_000;
const LAST_WORD_LETTERS = 15_000;
const WAITS_MS = [1000, 2000, 4000, 8000, 15_000, 30_000];
const LOGIN_WAIT_MS = 4000;
const PASSING = new Set([0, 408, 429, 500, 502, 503, 504]);

/** Pauses between tries: longer each time, up to half a minute; `spread` of 0 to 1 keeps browsers from marching in step. */
export function backOff(tries, spread) {
  return WAITS_MS[Math.min(Math.max(tries - 1, 0), WAITS_MS.length - 1)] * (0.75 + spread / 2);
}

/** As many events from the front as fit into a message; at least one. */
export function portion(events, most = MOST_EVENTS, letters = MOST_LETTERS) {
  const taken = [];
  let length = 0;
  for (const one of events.slice(0, most)) {
    length += JSON.stringify(one).length;
    if (taken.length && length > letters) break;
    taken.push(one);
  }
  return taken;
}

/** What is sent of an event: its age instead of its time, as clocks of browsers may be wrong. */
export function aged(event, now) {
  const { at, ...rest } = event;
  return { ...rest, age_ms: Math.max(0, Math.round(now - at)) };
}

export class Queue {
  #kept;
  #outside;
  #running = null;
  #again = false;
  #timer = null;
  #tries = 0;
  #state = { name: 'saved', reason: '' };
  #size = MOST_EVENTS;
  #renewed = false;

  /**
   * @param {import('./kept.js').Kept} kept
   * @param {{
   *   person: string,
   *   post: (events: object[], options?: object) => Promise<{replies: object[]}>,
   *   me: () => Promise<{name: string}>,
   *   newId: () => string,
   *   onState: (state: State) => void,
   *   onConflict: (event: object) => void,
   *   onStored: (events: object[]) => void,
   *   lock?: (work: () => Promise<void>) => Promise<void>,
   *   now?: () => number,
   *   later?: (work: () => void, ms: number) => any,
   *   spread?: () => number,
   * }} outside
   */
  constructor(kept, outside) {
    this.#kept = kept;
    this.#outside = {
      lock: (work) => work(),
      now: Date.now,
      later: (work, ms) => setTimeout(work, ms),
      spread: Math.random,
      ...outside,
    };
  }

  /** @returns {State} */
  get state() {
    const waiting = this.#kept.count;
    const { name, reason } = this.#state;
    const shown = waiting && name === 'saved' ? 'saving' : name;
    return { name: shown, waiting, fragile: this.#kept.fragile, refused: this.#kept.refused().length, reason };
  }

  /** Keep an event, with the time of now, and send it as soon as possible. */
  add(event) {
    this.#kept.put({ ...event, at: this.#outside.now() });
    this.#show(this.#state.name === 'saved' ? 'saving' : this.#state.name, this.#state.reason);
    if (this.#timer === null) this.send();
  }

  /** Events of a pair that the server may not have yet, in order. */
  waiting(alias) {
    return this.#kept.waiting().filter((one) => one.alias === alias);
  }

  refused() {
    return this.#kept.refused();
  }

  letGo(uuid) {
    this.#kept.letGo(uuid);
    this.#show(this.#state.name, this.#state.reason);
  }

  /** Try at once, as when the connection came back. */
  hurry() {
    this.#stopTimer();
    return this.send();
  }

  /** Send until nothing waits or a try fails. A second call while one runs makes it look again, and ends with it. */
  send() {
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if (this.#again) this.send();
    });
    return this.#running;
  }

  async #run() {
    while (this.#again) {
      this.#again = false;
      await this.#outside.lock(() => this.#sendAll());
    }
  }

  /** The page goes: send what fits without waiting for the answer. What stays unanswered is kept, and sent again. */
  lastWord() {
    if (this.#state.name === 'other') return;
    const events = portion(this.#kept.waiting(MOST_EVENTS), MOST_EVENTS, LAST_WORD_LETTERS);
    if (!events.length) return;
    const told = events.map((one) => aged(one, this.#outside.now()));
    this.#outside.post(told, { keepalive: true }).catch(() => {});
  }

  async #sendAll() {
    for (;;) {
      const events = portion(this.#kept.waiting(this.#size), this.#size);
      if (!events.length) break;
      this.#show(this.#tries ? this.#state.name : 'saving', this.#state.reason);
      try {
        if (this.#state.name === 'login' || this.#state.name === 'other') await this.#sameOne();
        const told = events.map((one) => aged(one, this.#outside.now()));
        const { replies } = await this.#outside.post(told);
        this.#heard(events, replies);
      } catch (error) {
        if (await this.#failed(error, events)) continue;
        return;
      }
    }
    this.#tries = 0;
    this.#show('saved', '');
  }

  #heard(events, replies) {
    const byUuid = new Map(replies.map((one) => [one.uuid, one]));
    const stored = [];
    let last = null;
    for (const event of events) {
      last = byUuid.get(event.uuid);
      if (!last || last.outcome === 'conflict') break;
      if (last.outcome === 'refused') this.#kept.refuse(event.uuid, last.reason);
      else stored.push(event);
    }
    this.#kept.settle(...stored.map(({ uuid }) => uuid));
    if (!last) throw Object.assign(new Error('the server did not answer to every change'), { status: 500 });
    if (last.outcome === 'conflict') this.#conflict(events.find(({ uuid }) => uuid === last.uuid));
    this.#tries = 0;
    this.#renewed = false;
    this.#size = MOST_EVENTS;
    if (stored.length) this.#outside.onStored(stored);
  }

  #conflict(event) {
    this.#kept.conflict(event.uuid, this.#outside.newId());
    this.#outside.onConflict(event);
  }

  /** @returns {Promise<boolean>} whether to go on at once */
  async #failed(error, events) {
    const status = error.status ?? 0;
    this.#tries += 1;
    if (status === 401) return this.#wait('login', '', LOGIN_WAIT_MS);
    if (status === 403 && !this.#renewed) return this.#askedAgain();
    if (error.name === 'SomebodyElse') return this.#wait('other', error.message, LOGIN_WAIT_MS);
    if (PASSING.has(status) || status === 403) {
      const pause = Math.max(error.waitMs ?? 0, backOff(this.#tries, this.#outside.spread()));
      return this.#wait(status === 0 ? 'offline' : 'trouble', error.message, pause);
    }
    if (events.length > 1) this.#size = Math.max(1, Math.floor(events.length / 2));
    else this.#kept.refuse(events[0].uuid, error.message);
    return true;
  }

  async #askedAgain() {
    this.#renewed = true;
    try {
      await this.#sameOne();
      return true;
    } catch (error) {
      if (error.name === 'SomebodyElse') return this.#wait('other', error.message, LOGIN_WAIT_MS);
      return this.#wait(error.status === 401 ? 'login' : 'trouble', error.message, LOGIN_WAIT_MS);
    }
  }

  async #sameOne() {
    const { name } = await this.#outside.me();
    if (name !== this.#outside.person) throw Object.assign(new Error(name), { name: 'SomebodyElse' });
  }

  #wait(name, reason, ms) {
    this.#show(name, reason);
    this.#stopTimer();
    this.#timer = this.#outside.later(() => {
      this.#timer = null;
      this.send();
    }, ms);
    return false;
  }

  #stopTimer() {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #show(name, reason) {
    this.#state = { name, reason };
    this.#outside.onState(this.state);
  }
}
