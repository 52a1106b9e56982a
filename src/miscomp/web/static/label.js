/** The labelers' page: what holds its parts together. */
import { Actions } from './actions.js';
import { Api, ApiError, pageCsrf } from './api.js';
import { Course } from './course.js';
import { Desk, plainText } from './desk.js';
import { Editor } from './editor.js';
import { byId, made, newId } from './elements.js';
import { Frame } from './frame.js';
import { keyList, listen } from './keys.js';
import { ask, Notices, stateWords } from './notices.js';
import { Panel } from './panel.js';
import { Pictures } from './pictures.js';
import { Round } from './round.js';
import { Choices, connect } from './saving.js';
import { Stretch } from './visits.js';

const HELD = new Set(['Shift']);

class LabelPage {
  constructor(me, api) {
    this.me = me;
    this.api = api;
    this.notices = new Notices(byId('notices'), byId('said'));
    this.choices = new Choices();
    this.queue = connect(me, api, {
      onState: (state) => this.showState(state),
      onConflict: (event) => this.conflict(event),
      onOther: (alias) => this.changedElsewhere(alias),
    });
    this.desk = new Desk({ api, queue: this.queue, newId, changed: () => this.changed() });
    this.frame = new Frame(byId('frame'), {
      onView: () => this.editor?.redraw(),
      onSide: (side) => side === 'reconstruction' && this.round?.compared(),
      onPoint: (x, y) => this.actions?.pointAt(x, y),
      onError: (error) => this.notices.say(`difference: ${error.message}`),
    });
    this.editor = new Editor(this.frame, this.#pageOfEditor());
    const say = (text) => this.notices.say(text);
    this.actions = new Actions({ frame: this.frame, desk: this.desk, editor: this.editor, say, shown: () => this.showView() });
    this.panel = new Panel(byId('panel'), (...told) => this.perform(...told), {
      box: (text) => this.desk.attempt({ note: plainText(text) }),
      boxLeft: () => this.desk.settleBox(),
      pair: (text) => this.desk.setFlag({ note: plainText(text) }),
    });
    this.course = new Course(api, (alias) => this.queue.waiting(alias).some((one) => one.finished));
    this.stretch = new Stretch(me.breakAfterMin);
    this.round = new Round({
      ...{ course: this.course, desk: this.desk, frame: this.frame, pictures: new Pictures(), queue: this.queue },
      ...{ notices: this.notices, stretch: this.stretch, keeps: () => this.actions.keeps },
      ...{ settle: () => this.panel.settle(), changed: () => this.changed() },
      bring: () => this.actions.bring(),
    });
    this.choices.restore(this);
    this.#listen();
    this.showView();
    this.showState(this.queue.state);
  }

  #pageOfEditor() {
    return {
      boxes: () => this.desk.boxes,
      size: () => this.desk.pair,
      selected: () => this.desk.selected,
      select: (key) => this.desk.select(key),
      suggestions: () => this.desk.suggestions,
      suggested: () => this.desk.suggested,
      doubtful: () => this.desk.doubtful,
      changed: () => this.changed(),
    };
  }

  #listen() {
    listen(window, (act, argument) => this.perform(act, argument));
    const held = (event) => this.frame.holdSpace(event.type === 'keydown' && HELD.has(event.key));
    for (const name of ['keydown', 'keyup']) window.addEventListener(name, (event) => HELD.has(event.key) && held(event));
    window.addEventListener('blur', () => this.frame.holdSpace(false));
    for (const name of ['pointermove', 'pointerdown', 'keydown', 'wheel']) {
      window.addEventListener(name, () => this.touched(), { passive: true, capture: true });
    }
    window.addEventListener('pagehide', () => this.goes());
    // Afterwards the server would take nothing from this page any more.
    window.addEventListener('miscomp-logout', (event) => event.detail.waitFor(this.logsOut()));
    window.addEventListener('miscomp-logged-out', () => { this.over = true; });
    window.addEventListener('online', () => this.queue.hurry());
    window.addEventListener('focus', () => this.queue.hurry());
    document.addEventListener('visibilitychange', () => document.hidden && this.desk.settleBox());
    window.addEventListener('beforeunload', (event) => {
      this.panel.settle();
      if (this.queue.state.fragile) event.preventDefault();
    });
  }

  /** Something was done: time counts. */
  touched() {
    const now = performance.now();
    this.desk.visit?.touch(now);
    this.stretch.touch(now);
  }

  /** The window closes, or sleeps: everything is kept and sent as far as it goes. */
  goes() {
    if (this.over) return;
    this.panel.settle();
    this.desk.settle(performance.now());
    this.queue.lastWord();
  }

  /** The person logs out: all is sent, and answered if the server is there. */
  logsOut() {
    this.panel.settle();
    this.desk.settle(performance.now());
    return this.queue.hurry();
  }

  // Keys and buttons

  perform(act, argument, field) {
    const own = {
      go: () => this.round.go(argument),
      done: () => this.round.done(),
      escape: () => this.escape(),
      help: () => this.help(),
      panel: () => this.togglePanel(),
      batches: () => this.round.showBatches(),
      boxNote: () => this.desk.box && this.write('box-note'),
      pairNote: () => this.desk.pair && this.write('pair-note'),
    }[act];
    if (own && this.editor.dragging && act !== 'escape') return true;
    if (own) own();
    else this.actions.perform(act, argument, field);
    return true;
  }

  escape() {
    if (this.editor.cancel()) return;
    if (document.activeElement !== byId('frame')) byId('frame').focus({ preventScroll: true });
    else this.desk.select('');
  }

  help() {
    const dialog = keyList();
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  write(id) {
    if (byId('label').classList.contains('no-panel')) this.togglePanel();
    byId(id).focus();
  }

  togglePanel() {
    const hidden = byId('label').classList.toggle('no-panel');
    byId('unhide').hidden = !hidden;
    this.choices.keep(this);
    byId('frame').focus({ preventScroll: true });
  }

  // Showing

  changed() {
    this.round?.forgive();
    this.editor?.redraw();
    this.panel?.show(this.desk, this.course);
  }

  showView() {
    const { frame, editor, actions } = this;
    this.panel?.showView({ frame, draws: editor.draws, boxesShown: actions.boxesShown, keeps: actions.keeps });
    if (this.actions) this.choices.keep(this);
  }

  showState(state) {
    const words = stateWords(state, this.me.mode === 'single');
    this.panel?.showState(words);
    const links = { login: ['Log in', '/login'], other: [`Page of ${state.reason}`, '/'] };
    const link = links[state.name] ?? null;
    const actions = link ? [] : [['Try now', () => this.queue.hurry()]];
    if (words.loud) this.notices.show('state', { text: words.loud, tone: 'bad', link, actions });
    else this.notices.withdraw('state');
    if (state.fragile) this.notices.show('fragile', { text: 'This browser has no room to keep changes: leave this window open until all is saved.', tone: 'bad' });
    else this.notices.withdraw('fragile');
    this.#showRefused(state.refused);
  }

  #showRefused(count) {
    if (!count) {
      this.notices.withdraw('refused');
      return;
    }
    const text = `${count === 1 ? '1 change was' : `${count} changes were`} refused by the server and not saved.`;
    const look = () => {
      const list = made('ul', { className: 'refused' });
      for (const { event, reason } of this.queue.refused()) {
        const place = event.kind === 'box' ? ` ${event.action} ${event.w} × ${event.h} at ${event.x}, ${event.y}` : '';
        list.append(made('li', {}, made('b', {}, `${event.kind}${place}`), ` ${event.note ?? ''} — ${reason}`));
      }
      const forget = () => this.queue.refused().forEach(({ event }) => this.queue.letGo(event.uuid));
      ask('Not saved', list, [['Keep the list', () => this.showState(this.queue.state)], ['Forget them', forget]]);
    };
    this.notices.show('refused', { text, tone: 'bad', actions: [['Show', look]] });
  }

  // Other windows

  changedElsewhere(alias) {
    if (alias === this.desk.pair?.alias && !this.editor.dragging) this.round.lookAgain();
  }

  async conflict(event) {
    if (event.alias !== this.desk.pair?.alias) return;
    const fresh = await this.desk.refresh().catch(() => []);
    for (const one of fresh) this.desk.doubtful.add(one);
    const deleted = 'You deleted a box that was changed in another window at the same time: it is shown again.';
    const changed = 'A box was changed here and in another window at the same time: both are shown. Delete the wrong one.';
    this.changed();
    const act = () => {
      this.desk.doubtful.clear();
      this.changed();
    };
    this.notices.show('conflict', { text: event.action === 'delete' ? deleted : changed, actions: [['Understood', act]] });
  }
}

async function start() {
  const api = new Api(pageCsrf());
  try {
    const page = new LabelPage(await api.me(), api);
    page.queue.send();
    await page.round.begin();
    byId('frame').focus({ preventScroll: true });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const text = error.status === 401 ? 'You are not logged in.' : `The server cannot be used now: ${error.message}.`;
    const notices = new Notices(byId('notices'), byId('said'));
    notices.show('start', { text, tone: 'bad', link: ['Log in', '/login'], actions: [['Try again', () => location.reload()]] });
  }
}

start();
