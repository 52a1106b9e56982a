/**
 * How long a pair was open, and how long of that somebody was at work. No page: time and hands come from outside.
 */

/** A pause of the hands longer than this counts as being away, from its begin. */
export const IDLE_MS = 30_000;
/** A gap this long is a break: work counts anew from there. */
const BREAK_MS = 5 * 60_000;

/** One pair from its opening to its closing. Times are milliseconds of a clock that never goes back. */
export class Visit {
  #opened;
  #last;
  #active = 0;

  constructor(now) {
    this.#opened = now;
    this.#last = now;
  }

  /** Something was done: a key, a move of the mouse. */
  touch(now) {
    const gap = now - this.#last;
    if (gap <= IDLE_MS) this.#active += gap;
    this.#last = now;
  }

  /** @returns {{open_ms: number, active_ms: number}} so far, in whole milliseconds; active is never more than open */
  spans(now) {
    const tail = now - this.#last;
    const active = this.#active + (tail <= IDLE_MS ? tail : 0);
    return { open_ms: Math.round(now - this.#opened), active_ms: Math.round(active) };
  }
}

/** Active work since the last break, to say when the next one is due. */
export class Stretch {
  #limit;
  #worked = 0;
  #last = null;

  /** @param {number} minutes of work after which a break is due */
  constructor(minutes) {
    this.#limit = minutes * 60_000;
  }

  touch(now) {
    const gap = this.#last === null ? 0 : now - this.#last;
    this.#last = now;
    if (gap >= BREAK_MS) this.#worked = 0;
    else if (gap <= IDLE_MS) this.#worked += gap;
  }

  get due() {
    return this.#worked >= this.#limit;
  }

  get minutes() {
    return Math.round(this.#worked / 60_000);
  }

  /** The person was told: it counts from the begin again. */
  restart() {
    this.#worked = 0;
  }
}

/** A time in words: `45 s`, `3 min`, `2 h 5 min`. */
export function lasting(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/**
 * How far a batch is and how long the rest will take at the labeler's pace, in one sentence.
 *
 * @param {{size: number, done: number, medianS: number | null}} batch
 */
export function pace({ size, done, medianS }) {
  const left = size - done;
  const start = `${done} of ${size} done`;
  if (!medianS) return start;
  const each = `${start} · ${lasting(medianS)} each`;
  return left ? `${each} · ${lasting(medianS * left)} left` : each;
}
