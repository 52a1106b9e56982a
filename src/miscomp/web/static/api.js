/** Asking the server: JSON both ways, the session's CSRF word, and errors that say what to do. */

const PATIENCE_MS = 20_000;

/** What went wrong; `status` is 0 if there was no answer at all. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} reason
   * @param {number} waitMs how long the server wants to be left alone; 0 if it does not say
   */
  constructor(status, reason, waitMs = 0) {
    super(reason);
    this.status = status;
    this.waitMs = waitMs;
  }
}

/** The CSRF word that the page was served with. */
export function pageCsrf() {
  return document.querySelector('meta[name="csrf"]')?.content ?? '';
}

export class Api {
  #csrf;

  constructor(csrf) {
    this.#csrf = csrf;
  }

  /** Who is logged in; a new session's CSRF word is used from here on. */
  async me() {
    const me = await this.get('/api/me');
    this.#csrf = me.csrf;
    return me;
  }

  /** @returns {Promise<any>} */
  get(path) {
    return this.#ask(path, { method: 'GET' });
  }

  /** @returns {Promise<any>} */
  post(path, body, { keepalive = false } = {}) {
    const headers = { 'Content-Type': 'application/json', 'X-Miscomp-CSRF': this.#csrf };
    return this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body), keepalive });
  }

  async #ask(path, options) {
    let answer;
    try {
      answer = await fetch(path, {
        credentials: 'same-origin',
        cache: 'no-store',
        redirect: 'error',
        signal: AbortSignal.timeout(PATIENCE_MS),
        ...options,
      });
    } catch {
      throw new ApiError(0, 'no answer from the server');
    }
    let found = null;
    try {
      found = await answer.json();
    } catch {
      if (answer.ok) throw new ApiError(0, 'the answer of the server broke off');
    }
    if (answer.ok) return found;
    const waitMs = 1000 * (Number(answer.headers.get('Retry-After')) || 0);
    throw new ApiError(answer.status, found?.error ?? `the server answered ${answer.status}`, waitMs);
  }
}
