/** The supervisor's page: how far the labelers are, how fast they go, where they disagree, what reviewers say. */
import { byId, drawn, made } from './elements.js';
import { begin, bind, tellFailure } from './second.js';
import { Disagreements, KEYS } from './supervise-pairs.js';
import { day, hours, interval, known, percent, shareWords } from './supervise-words.js';

const [WIDTH, HEIGHT, FOOT] = [720, 150, 22];

function row(cells, tag = 'td') {
  return made('tr', {}, ...cells.map((one, at) => made(at ? tag : 'th', { scope: at ? '' : 'row', className: at ? 'number' : '' }, String(one))));
}

function table(place, head, rows) {
  const heads = head.map(([word, about]) => made('th', { scope: 'col', title: about ?? '' }, word));
  place.replaceChildren(made('thead', {}, made('tr', {}, ...heads)), made('tbody', {}, ...rows.map((one) => row(one))));
}

/** Pairs done per day as bars; a day without work has none. */
function throughput(days) {
  const first = Date.parse(days[0].day);
  const span = Math.round((Date.parse(days.at(-1).day) - first) / 86_400_000) + 1;
  const most = Math.max(...days.map((one) => one.pairs), 1);
  const step = WIDTH / span;
  const bars = days.map((one) => {
    const height = ((HEIGHT - FOOT - 16) * one.pairs) / most;
    const x = (step * (Date.parse(one.day) - first)) / 86_400_000;
    const shape = { x: x + Math.min(step * 0.1, 6), width: Math.max(Math.min(step * 0.8, 48), 1), y: HEIGHT - FOOT - height, height, class: 'bar' };
    return drawn('rect', shape, drawn('title', {}, `${one.day}: ${one.pairs} pairs done, ${hours(one.activeS)} of work`));
  });
  const line = drawn('line', { x1: 0, x2: WIDTH, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT, class: 'axis' });
  const ends = [drawn('text', { x: 0, y: HEIGHT - 6 }, days[0].day)];
  if (days.length > 1) ends.push(drawn('text', { x: WIDTH, y: HEIGHT - 6, 'text-anchor': 'end' }, days.at(-1).day));
  const top = drawn('text', { x: 0, y: 11 }, `most on a day: ${most} ${most === 1 ? 'pair' : 'pairs'}`);
  const about = `Pairs done per day from ${days[0].day} to ${days.at(-1).day}, at most ${most}`;
  return drawn('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': about, class: 'throughput' }, line, ...bars, ...ends, top);
}

/** How long the rest takes, and that nobody knows. */
function estimate({ hoursLeft, daysLeft }) {
  const parts = [];
  if (hoursLeft !== null) parts.push(`about ${hours(3600 * hoursLeft)} of work`);
  if (daysLeft !== null) parts.push(`about ${day(daysLeft)} like those so far for who has most left`);
  if (!parts.length) return 'How long that takes is not known: somebody has no pace yet.';
  return `An estimate from the pace so far: ${parts.join(', ')}.`;
}

function tellProgress({ overall, labelers }) {
  const left = overall.pairs - overall.pairsDone;
  byId('overall').textContent =
    `${overall.pairsDone} of ${overall.pairs} assigned pairs done (${percent(overall.pairsDone, overall.pairs)}), ${left} left; ` +
    `a pair that several are to look at counts once for each. ${estimate(overall)}`;
  byId('all').max = Math.max(overall.pairs, 1);
  byId('all').value = overall.pairsDone;
  const head = [
    ['Labeler'],
    ['Batches', 'done of those assigned'],
    ['Pairs', 'done of those assigned'],
    ['Left'],
    ['Boxes', 'that stand'],
    ['Work', 'time in which something was done on the page'],
    ['Pairs per hour', 'of work, over pairs that are done and timed'],
    ['Median s per pair', 'seconds of work, of the same pairs'],
    ['Days', 'on which something was done (UTC)'],
    ['Work left', 'an estimate: pairs left times the mean time per pair'],
    ['Days left', 'an estimate: pairs left by the median pairs of a day with any'],
  ];
  const rows = labelers.map((one) => [
    one.labeler,
    `${one.batchesDone} of ${one.batches}`,
    `${one.pairsDone} of ${one.pairs}`,
    one.pairs - one.pairsDone,
    one.boxes,
    hours(one.activeS),
    known(one.pairsPerHour, (value) => value.toFixed(1)),
    known(one.medianS, (value) => `${value.toFixed(0)} (n = ${one.timed})`),
    one.days.length,
    known(one.hoursLeft, (value) => `about ${hours(3600 * value)}`),
    known(one.daysLeft, (value) => `about ${value}`),
  ]);
  table(byId('labelers'), head, rows);
  byId('days').replaceChildren(overall.days.some((one) => one.pairs) ? throughput(overall.days) : made('p', { className: 'muted' }, 'No pair was done yet.'));
}

function kappa({ value, interval: ends }) {
  if (value === null) return 'undefined';
  return ends ? `${value.toFixed(2)} (${interval(ends, 2)})` : `${value.toFixed(2)} (no interval)`;
}

function tellLooks(looks) {
  const { confirmed, rejected, disputed, unsure } = looks.verdicts;
  byId('looks').textContent = looks.lookedAt
    ? `${looks.lookedAt} of ${looks.boxes} boxes looked at again: ${confirmed} confirmed, ${rejected} rejected, ${disputed} confirmed by one and rejected by another, ${unsure} unsure.`
    : `None of ${looks.boxes} boxes was looked at again yet.`;
  const head = [['Labeler'], ['Boxes'], ['Looked at'], ['Confirmed'], ['Rejected'], ['Disputed'], ['Unsure'], ['Share confirmed', 'of boxes looked at; 95 % Wilson interval, which takes boxes for independent']];
  const rows = looks.labelers
    .filter((one) => one.lookedAt)
    .map((one) => [one.labeler, one.boxes, one.lookedAt, ...['confirmed', 'rejected', 'disputed', 'unsure'].map((name) => one.verdicts[name]), `${percent(one.confirmed.count, one.confirmed.total)} (${interval(one.confirmed.interval.map((end) => 100 * end), 0)} %)`]);
  table(byId('look-labelers'), head, rows);
  const pairs = looks.agreement.map((one) => [
    `${one.first} and ${one.second}`,
    `${one.boxes} (${one.photographs})`,
    kappa(one.judgement),
    `${kappa(one.category)}, n = ${one.categorised}`,
    `${kappa(one.symbol)}, n = ${one.categorised}`,
  ]);
  const words = [['Reviewers'], ['Boxes (photographs)'], ['Kappa: judgement', 'Cohen; 95 % by drawing photographs'], ['Kappa: main category', 'on boxes that neither rejected'], ['Kappa: SYMBOL', 'on boxes that neither rejected']];
  table(byId('reviewers'), words, pairs);
  byId('look-labelers').hidden = rows.length === 0;
  byId('reviewers').hidden = pairs.length === 0;
}

function tellSuggestions({ suggestions, suggestionUse }) {
  byId('suggestions').textContent = suggestions
    ? 'ON: labelers are shown what detectors found. This biases what they draw; what was shown to whom is recorded.'
    : 'off, as they should be for labels that are to judge detectors or codecs.';
  byId('suggestions').className = suggestions ? 'warning' : '';
  const head = [
    ['Labeler'],
    ['Pairs', 'in which suggestions were shown, training left out'],
    ['Shown', 'suggestions, each once a pair and batch'],
    ['Taken', 'of those shown, with a box of the labeler of IoU 0.5 or more'],
    ['Share taken', '95 % interval that knows that suggestions of one photograph resemble each other'],
    ['Boxes', 'that the labeler drew in these pairs and that stand'],
    ['Alike', 'of these boxes, with IoU 0.5 or more with a suggestion'],
    ['Equal', 'of these, with the very pixels of a suggestion'],
  ];
  const rows = suggestionUse.map((one) => [one.labeler, one.pairs, one.shown, one.taken, shareWords(one.rate), one.boxes, one.like, one.equal]);
  table(byId('suggestion-use'), head, rows);
  byId('suggestion-used').hidden = rows.length === 0;
}

async function main() {
  const page = await begin();
  const disagreements = new Disagreements(page);
  bind(KEYS, (act, argument) => disagreements.perform(act, argument));
  try {
    const [state, shared] = await Promise.all([page.api.get('/api/supervise'), page.api.get('/api/supervise/disagreements')]);
    tellProgress(state);
    tellLooks(state.looks);
    tellSuggestions(state);
    disagreements.tell(shared);
  } catch (error) {
    tellFailure(page.notices, error, () => location.reload());
  }
}

main();
