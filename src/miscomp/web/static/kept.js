/**
 * Events kept in the browser until the server has them: each under a key of its own, so that windows of one person
 * never overwrite each other's. Without room they are kept in memory, and `fragile` says so.
 *
 * @typedef {{event: object, reason: string}} Refused
 */

const WIDTH = 16;

/** Storage of the browser, or null where it is forbidden. */
export function browserStorage() {
  try {
    const storage = window.localStorage;
    const probe = 'miscomp.probe';
    storage.setItem(probe, probe);
    storage.removeItem(probe);
    return storage;
  } catch {
    return null;
  }
}

export class Kept {
  #storage;
  #prefix;
  #memory = new Map();
  #last = 0;
  #now;

  /**
   * @param {Storage | null} storage null keeps all in memory
   * @param {string} owner whose events, at which corpus
   * @param {() => number} now milliseconds; events are ordered by it
   */
  constructor(storage, owner, now = Date.now) {
    this.#storage = storage;
    this.#prefix = `miscomp/${encodeURIComponent(owner)}/`;
    this.#now = now;
  }

  /** Whether something is kept in memory only, and is lost if the window closes. */
  get fragile() {
    return this.#memory.size > 0;
  }

  /** Keep an event behind all others. */
  put(event) {
    this.#last = Math.max(this.#last + 1, this.#now() * 16, this.#newest() + 1);
    this.#write(`event/${String(this.#last).padStart(WIDTH, '0')}/${event.uuid}`, event);
  }

  /**
   * Events that wait, in order, following what conflicts changed. After a long time away there are thousands: who needs
   * the first only says how many.
   *
   * @param {number} most
   * @returns {object[]}
   */
  waiting(most = Infinity) {
    const found = [];
    for (const name of this.#names('event/')) {
      if (found.length >= most) break;
      const event = this.#read(name), followed = event && this.#followed(event);
      if (followed) found.push(followed);
    }
    return found;
  }

  /** How many events wait. */
  get count() {
    // Only what follows a conflict has to be read to know whether it is still to be sent.
    return this.#names('renamed/').length ? this.waiting().length : this.#names('event/').length;
  }

  /** Forget events: the server has them. */
  settle(...uuids) {
    const gone = new Set(uuids);
    for (const name of this.#names('event/')) if (gone.has(name.split('/')[2])) this.#remove(name);
  }

  /** Set an event aside: the server will never take it. */
  refuse(uuid, reason) {
    for (const [name, event] of this.#of(uuid)) {
      this.#write(`refused/${uuid}`, { event, reason });
      this.#remove(name);
    }
  }

  /** @returns {Refused[]} */
  refused() {
    return this.#named('refused/').map(([, one]) => one);
  }

  /** The person has seen a refused event and lets it go. */
  letGo(uuid) {
    this.#remove(`refused/${uuid}`);
  }

  /**
   * What an event replaces was replaced in another window. A change becomes a box of its own, so that both stand; a
   * deletion is dropped. Events that follow are sent accordingly.
   *
   * @param {string} uuid of the event in conflict
   * @param {string} fresh the UUID of the box of its own
   */
  conflict(uuid, fresh) {
    for (const [name, event] of this.#of(uuid)) {
      const stands = event.action === 'change';
      if (stands) this.#write(name.replace(uuid, fresh), { ...event, uuid: fresh, action: 'add', replaces: '' });
      this.#write(`renamed/${uuid}`, { to: stands ? fresh : '', at: this.#now() });
      this.#remove(name);
    }
  }

  /** Forget renamings that are older than this, as nothing can follow them any more. */
  tidy(olderThanMs) {
    for (const [name, one] of this.#named('renamed/')) {
      if (this.#now() - one.at > olderThanMs) this.#remove(name);
    }
  }

  #followed(event) {
    if (!event.replaces) return event;
    const renamed = this.#read(`renamed/${event.replaces}`);
    if (!renamed) return event;
    if (renamed.to) return { ...event, replaces: renamed.to };
    return event.action === 'delete' ? null : { ...event, action: 'add', replaces: '' };
  }

  #of(uuid) {
    const names = this.#names('event/').filter((name) => name.endsWith(uuid));
    return names.map((name) => [name, this.#read(name)]).filter(([, event]) => event);
  }

  #newest() {
    return Number(this.#names('event/').at(-1)?.split('/')[1] ?? 0);
  }

  #named(start) {
    return this.#names(start).map((name) => [name, this.#read(name)]).filter(([, value]) => value);
  }

  /** Names in order; what they hold is read where it is needed, as reading all of a long queue blocks the page. */
  #names(start) {
    const found = new Set();
    for (let at = 0; at < (this.#storage?.length ?? 0); at += 1) {
      const key = this.#storage.key(at);
      if (key?.startsWith(this.#prefix + start)) found.add(key.slice(this.#prefix.length));
    }
    for (const name of this.#memory.keys()) if (name.startsWith(start)) found.add(name);
    return [...found].sort();
  }

  #read(name) {
    if (this.#memory.has(name)) return this.#memory.get(name);
    try {
      return JSON.parse(this.#storage?.getItem(this.#prefix + name) ?? 'null');
    } catch {
      return null;
    }
  }

  #write(name, value) {
    try {
      if (!this.#storage) throw new Error('no storage');
      this.#storage.setItem(this.#prefix + name, JSON.stringify(value));
      this.#memory.delete(name);
    } catch {
      this.#memory.set(name, value);
    }
  }

  #remove(name) {
    this.#memory.delete(name);
    try {
      this.#storage?.removeItem(this.#prefix + name);
    } catch {
      // Storage that was taken away holds nothing that could be sent twice.
    }
  }
}
