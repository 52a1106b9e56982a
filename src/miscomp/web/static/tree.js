/**
 * The decision tree: four questions that settle whether a change is a miscompression.
 *
 * Source: Hofer and Böhme, SCLIC, Figure 3 and section 3.2.2; unsure means annotate (appendix 2.2.1).
 *
 * @typedef {'' | 'no' | 'unsure' | 'yes'} Answer
 * @typedef {{changed: Answer, relevant: Answer, suspicion: Answer, expected: Answer}} Answers
 * @typedef {'open' | 'annotate' | 'not'} Outcome
 */

/** The questions in their order; `ends` says at which answers the tree ends, and with what. */
export const QUESTIONS = Object.freeze([
  Object.freeze({
    field: 'changed',
    name: 'DN1',
    question: 'Is the change visible?',
    hint: 'The two sides differ here to the eye: something appeared, vanished, or became something else.',
    ends: Object.freeze({ no: 'not', unsure: 'annotate' }),
  }),
  Object.freeze({
    field: 'relevant',
    name: 'DN2',
    question: 'Does it carry meaning?',
    hint: 'It can be named, and one would describe the scene or the thing differently without it.',
    ends: Object.freeze({ no: 'not', unsure: 'annotate' }),
  }),
  Object.freeze({
    field: 'suspicion',
    name: 'DN3',
    question: 'Do traces give it away?',
    hint: 'Looking at the reconstruction alone, traces tell that something was different here.',
    ends: Object.freeze({ no: 'annotate', unsure: 'annotate' }),
  }),
  Object.freeze({
    field: 'expected',
    name: 'DN4',
    question: 'Was it to be expected?',
    hint: 'The surroundings are so visibly damaged that nobody would rely on this spot.',
    ends: Object.freeze({ no: 'annotate', unsure: 'annotate', yes: 'not' }),
  }),
]);

const ENDINGS = Object.freeze({
  'changed no': 'No visible change: not a miscompression. Delete the box.',
  'relevant no': 'The change carries no meaning: not a miscompression. Delete the box.',
  'suspicion no': 'Nothing gives the change away: a miscompression. Keep the box.',
  'expected no': 'Nobody would expect it here: a miscompression. Keep the box.',
  'expected yes': 'To be expected given the damage around it: do not annotate. Delete the box.',
});

/**
 * Follow the answers until one ends the tree or a question is open.
 *
 * @param {Answers} answers
 * @returns {{asked: string[], next: string, outcome: Outcome, words: string}} `asked` are the fields that count, in
 *   order; `next` is the open one, or '' at an end.
 */
export function follow(answers) {
  const asked = [];
  for (const { field, name, ends } of QUESTIONS) {
    const answer = answers[field];
    if (!answer) return { asked, next: field, outcome: 'open', words: `${name} is open: answer y, n or u.` };
    asked.push(field);
    const outcome = ends[answer];
    if (outcome) {
      const words = answer === 'unsure' ? 'Unsure: annotate. Keep the box.' : ENDINGS[`${field} ${answer}`];
      return { asked, next: '', outcome, words };
    }
  }
  throw new Error('the tree has no end for these answers');
}

/**
 * The answers after one more; those behind an end are emptied.
 *
 * @param {Answers} answers
 * @param {string} field
 * @param {Answer} answer '' takes the answer and all behind it back.
 * @returns {Answers}
 */
export function answered(answers, field, answer) {
  const at = QUESTIONS.findIndex((one) => one.field === field);
  if (at < 0) throw new Error(`there is no question ${field}`);
  const kept = { changed: '', relevant: '', suspicion: '', expected: '' };
  for (const one of QUESTIONS.slice(0, at)) kept[one.field] = answers[one.field];
  kept[field] = answer;
  const ended = follow(kept).next === '';
  for (const one of QUESTIONS.slice(at + 1)) if (answer && !ended) kept[one.field] = answers[one.field];
  return onlyAsked(kept);
}

/** The answers with the last one taken back. */
export function steppedBack(answers) {
  const { asked } = follow(answers);
  return asked.length ? answered(answers, asked[asked.length - 1], '') : onlyAsked(answers);
}

function onlyAsked(answers) {
  const { asked } = follow(answers);
  const kept = { changed: '', relevant: '', suspicion: '', expected: '' };
  for (const field of asked) kept[field] = answers[field];
  return kept;
}
