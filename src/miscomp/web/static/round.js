/** From pair to pair: opening, done, the end of a batch, training, breaks. */
import { ApiError } from './api.js';
import { KINDS, nextBatch } from './course.js';
import { byId, made } from './elements.js';
import { ask } from './notices.js';
import { PictureError } from './pictures.js';
import { pace } from './visits.js';

const REFRESH_MS = 60_000;

export class Round {
  #opening = 0;
  #warned = '';
  #discussing = null;
  #waiting = false;
  #compared = false;
  #asked = performance.now();

  /**
   * @param {object} parts
   * @param {import('./course.js').Course} parts.course
   * @param {import('./desk.js').Desk} parts.desk
   * @param {import('./frame.js').Frame} parts.frame
   * @param {import('./pictures.js').Pictures} parts.pictures
   * @param {import('./queue.js').Queue} parts.queue
   * @param {import('./notices.js').Notices} parts.notices
   * @param {import('./visits.js').Stretch} parts.stretch
   * @param {() => boolean} parts.keeps whether zoom and place are kept for the next pair
   * @param {() => void} parts.settle tells notes that are being written
   * @param {() => void} parts.bring brings the selected box into view
   * @param {() => void} parts.changed shows all anew
   */
  constructor(parts) {
    Object.assign(this, parts);
  }

  /** Something of the pair changed: what was said of it may not hold any more. */
  forgive() {
    this.#warned = '';
    this.notices.withdraw('pending');
  }

  /** Both sides were looked at: an Enter too many says of no pair that it is done. */
  compared() {
    if (this.#compared) return;
    this.#compared = true;
    this.forgive();
  }

  async begin() {
    const asked = new URLSearchParams(location.search).get('batch') ?? '';
    await this.course.refresh();
    if (!(await this.course.enter(asked, Number(location.hash.slice(1)) || null))) {
      this.changed();
      this.notices.show('open', { text: 'No batch was given to you yet.', tone: 'warn' });
      return;
    }
    this.#greet();
    await this.open();
  }

  /** Who has not finished anything yet is told the three things to know. */
  #greet() {
    if (this.course.batches.some((one) => one.done > 0)) return;
    const text = 'Space flips the sides. Drag a box around what changed in meaning. Enter: done, next. ? lists all keys.';
    this.notices.show('welcome', { text, tone: 'good', link: ['Guide', '/guide'], actions: [['Understood', () => {}]] });
  }

  /** Open the pair that the course is at. */
  async open() {
    const { item, batch } = this.course;
    const turn = (this.#opening += 1);
    this.#discussing?.hide();
    this.#discussing = null;
    byId('training').hidden = true;
    this.notices.withdraw('open');
    this.changed();
    try {
      const [pair, found] = await Promise.all([this.pictures.pair(item.alias), this.desk.state(item.alias)]);
      if (turn !== this.#opening) return;
      await this.frame.show(pair, { keep: this.keeps(), side: 'original' });
      if (turn !== this.#opening) return;
      this.frame.side = 'original';
      this.#compared = false;
      this.desk.open(found, performance.now());
    } catch (error) {
      if (turn === this.#opening) this.#cannotOpen(error);
      return;
    }
    history.replaceState(null, '', `/label?batch=${encodeURIComponent(batch.batch)}#${item.position}`);
    performance.mark('pair-shown', { detail: item.alias });
    this.desk.tellShown();
    const ahead = this.course.ahead();
    this.pictures.keep(item.alias, ...ahead);
    for (const one of ahead) this.desk.prepare(one.alias);
    this.lookAgain();
  }

  #cannotOpen(error) {
    if (!(error instanceof ApiError || error instanceof PictureError)) throw error;
    this.frame.clear();
    const out = error.status === 401;
    const text = out ? 'You are not logged in any more.' : `This pair cannot be shown: ${error.message}.`;
    const again = [['Try again', () => this.open()]];
    this.notices.show('open', { text, tone: 'bad', link: out ? ['Log in', '/login'] : null, actions: again });
  }

  async lookAgain() {
    try {
      await this.desk.refresh();
      if (performance.now() - this.#asked > REFRESH_MS) {
        this.#asked = performance.now();
        await this.course.refresh();
        this.changed();
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // without a connection what is known stands
    }
  }

  async #leave(finished) {
    this.settle();
    this.desk.leave(performance.now(), finished);
    if (this.stretch.due) this.#suggestBreak();
    await this.open();
  }

  go(by) {
    if (!this.course.step(by)) this.notices.say(by > 0 ? 'this is the last pair' : 'this is the first pair');
    else this.#leave(false);
  }

  /** The pair is done. What looks forgotten is said once; pressed again, it is done all the same. */
  async done() {
    if (!this.desk.pair || this.#waiting) return;
    if (!this.#discussing) {
      this.settle();
      if (this.#isPending()) return;
      this.course.finish();
      this.notices.withdraw('welcome');
      if (this.course.batch.kind === 'training' && (await this.#discuss())) return;
    }
    if (this.course.advance()) this.#leave(!this.#discussing);
    else this.#endOfBatch();
  }

  #isPending() {
    const { alias } = this.desk.pair;
    if (this.#warned === alias) return false;
    const [first, ...more] = this.desk.pending();
    const unseen = !this.#compared && !this.course.item.done;
    if (!first && !unseen) return false;
    if (first) {
      this.desk.select(first.key);
      this.bring();
    }
    const many = more.length ? `${more.length + 1} boxes are` : 'This box is';
    const what = first ? `${many} undecided, or not a miscompression by your answers.` : 'You have not flipped this pair.';
    this.notices.show('pending', { text: `${what} Enter again: done all the same.` });
    this.#warned = alias;
    return true;
  }

  async #endOfBatch() {
    this.desk.leave(performance.now(), !this.#discussing);
    await this.queue.send();
    await this.course.refresh().catch(() => null);
    const { state } = this.course;
    const next = nextBatch(this.course.batches, state.batch);
    const text = made('p', {}, `${pace(state)}.`);
    const stay = ['Look through it again', () => this.open()];
    const on = next ? [`Go on with ${next.batch}`, () => this.enter(next.batch)] : null;
    const title = next ? `Batch ${state.batch} is done` : 'All your batches are done';
    ask(title, text, on ? [on, stay] : [stay]).addEventListener('cancel', () => this.open());
    this.changed();
  }

  async enter(name) {
    try {
      this.settle();
      this.desk.leave(performance.now());
      await this.course.enter(name);
      await this.open();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#cannotOpen(error);
    }
  }

  async showBatches() {
    await this.course.refresh().catch(() => this.notices.say('no connection: figures of before'));
    const list = made('ul', { className: 'batches' });
    const dialog = ask('Your batches', list, [['Close', () => {}]]);
    for (const one of this.course.batches) {
      const button = made('button', { type: 'button' }, made('b', {}, one.batch), `${KINDS[one.kind] ? ` ${KINDS[one.kind]}` : ''} · ${pace(one)}`);
      const current = one.batch === this.course.batch?.batch;
      if (current) button.setAttribute('aria-current', 'true');
      button.addEventListener('click', () => {
        dialog.close();
        this.enter(one.batch);
      });
      list.append(made('li', {}, button));
      if (current) button.focus();
    }
  }

  /** After a training pair: what all drew on it. @returns {Promise<boolean>} whether there is something to see */
  async #discuss() {
    const { pair } = this.desk;
    this.#waiting = true;
    this.desk.settle(performance.now(), true);
    await this.queue.send();
    const found = await import('./training.js').catch(() => null);
    this.#waiting = false;
    if (!found) this.notices.say('no connection: the discussion cannot be shown now');
    if (!found || this.desk.pair !== pair) return Boolean(found);
    this.desk.select('');
    const place = byId('training');
    place.hidden = false;
    this.#discussing = await found.showTraining(this.frame, place, pair.alias);
    this.changed();
    return true;
  }

  #suggestBreak() {
    const { minutes } = this.stretch;
    const text = `${minutes === 1 ? '1 minute' : `${minutes} minutes`} of work: time for a break, or for something else for a while.`;
    this.stretch.restart();
    this.notices.show('break', { text, tone: 'good', actions: [['Later', () => {}]] });
  }
}
