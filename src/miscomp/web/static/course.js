/** Which pair comes next: the batches of a labeler and the way through one of them. */

/** What batches of a kind are called; most need no word. */
export const KINDS = { training: 'training', agreement: 'shared batch' };

/** Where to begin in a batch: the pair asked for, else the first that is not done, else the first. */
export function startOf(items, position = null) {
  const asked = items.findIndex((one) => one.position === position);
  if (asked >= 0) return asked;
  return Math.max(0, items.findIndex((one) => !one.done));
}

/** The pair that is to be done after this one, begun anew at the end; -1 if all are done. */
export function nextOpen(items, at) {
  const order = [...items.keys()].map((step) => (at + 1 + step) % items.length);
  return order.find((index) => !items[index].done) ?? -1;
}

/** The batch to go on with after this one (training comes first in the list); null if all are done. */
export function nextBatch(batches, current) {
  return batches.find((one) => one.batch !== current && one.done < one.size) ?? null;
}

export class Course {
  batches = [];
  batch = null;
  items = [];
  at = -1;
  #api;
  #finished;

  /**
   * @param {import('./api.js').Api} api
   * @param {(alias: string) => boolean} finished whether a pair was done here and the server may not know it yet
   */
  constructor(api, finished) {
    this.#api = api;
    this.#finished = finished;
  }

  get item() {
    return this.items[this.at] ?? null;
  }

  get state() {
    return this.batches.find((one) => one.batch === this.batch?.batch) ?? null;
  }

  /** Load the list of batches; what was done here and is still to be sent counts. */
  async refresh() {
    this.batches = await this.#api.get('/api/batches');
    const own = this.state;
    if (own) own.done = this.items.filter((one) => one.done).length;
  }

  /**
   * Go to a batch.
   *
   * @param {string} name '' takes the first with something to do, or the first
   * @param {number | null} position of a pair in it
   * @returns {Promise<boolean>} whether there is a pair
   */
  async enter(name = '', position = null) {
    const named = this.batches.find((one) => one.batch === name);
    const chosen = named ?? nextBatch(this.batches, '') ?? this.batches[0];
    if (!chosen) return false;
    this.batch = await this.#api.get(`/api/batches/${encodeURIComponent(chosen.batch)}`);
    this.items = this.batch.items.map((one) => ({ ...one, done: one.done || this.#finished(one.alias) }));
    this.at = startOf(this.items, named ? position : null);
    chosen.done = this.items.filter((one) => one.done).length;
    return this.items.length > 0;
  }

  /** Say that the pair on the screen is done. */
  finish() {
    const { item, state } = this;
    if (item.done) return;
    item.done = true;
    if (state) state.done += 1;
  }

  /** Go to the next pair that is to be done. @returns {boolean} false at the end of the batch */
  advance() {
    const next = nextOpen(this.items, this.at);
    if (next >= 0) this.at = next;
    return next >= 0;
  }

  /** Go one pair on or back, done or not. @returns {boolean} false at either end */
  step(by) {
    const to = this.at + by;
    if (to < 0 || to >= this.items.length) return false;
    this.at = to;
    return true;
  }

  /** Pairs that will probably be looked at next, the likeliest first. */
  ahead() {
    const next = nextOpen(this.items, this.at);
    const indices = [...new Set([next, this.at + 1])].filter((one) => one >= 0 && one !== this.at);
    return indices.map((one) => this.items[one]).filter(Boolean);
  }
}
