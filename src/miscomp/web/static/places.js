// What is said of the boxes of a training pair: who marked what, in which colour and dash. No page, no network.

/** Told apart by the colour-blind too (Okabe and Ito); after these come the same ones with other dashes. */
const COLOURS = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#d55e00', '#cc79a7'];
const DASHES = ['', '10 5', '4 4', '14 4 4 4'];
const ANSWERS = [['changed', 'visible'], ['relevant', 'matters'], ['suspicion', 'traces'], ['expected', 'expected']];

/**
 * Up to three letters that tell labelers apart, in the order of the names.
 *
 * @param {string[]} names
 * @returns {string[]}
 */
export function initialsOf(names) {
  const parts = names.map((name) => name.split(/[^A-Za-z0-9]+/).filter(Boolean));
  const short = parts.map((words) => words.map((word) => word[0]).join('').slice(0, 3).toUpperCase());
  return short.map((one, k) => {
    const alone = short.filter((other) => other === one).length === 1;
    return alone ? one : String(k + 1);
  });
}

/** Colour and dash of the k-th labeler. */
export function looksOf(k) {
  return { colour: COLOURS[k % COLOURS.length], dash: DASHES[(k + Math.floor(k / COLOURS.length)) % DASHES.length] };
}

/** How many of those who are done marked a place: `3 of 4 marked this`. */
export function markedWords(place, labelers) {
  const by = place.labelers.length, all = labelers.length;
  if (all === 1) return 'marked by the only one who is done';
  if (by === all) return `all ${all} marked this`;
  return `${by} of ${all} marked this`;
}

/** The answers of a box in one line; what was not asked is left out. */
export function answerWords(box) {
  const said = ANSWERS.filter(([field]) => box[field]).map(([field, word]) => `${word}: ${box[field]}`);
  return said.length ? said.join(', ') : 'no answers';
}

/** What else is known of a box. */
export function extraWords(box) {
  return [box.category, box.symbol ? 'symbol' : '', box.note].filter(Boolean).join('; ');
}

/** What a labeler said of the whole picture; empty for nothing. */
export function flagWords(flag) {
  if (!flag) return '';
  const multi = flag.multi ? `multi${flag.multiKind ? ` (${flag.multiKind})` : ''}` : '';
  return [multi, flag.overall ? 'overall appearance' : '', flag.note].filter(Boolean).join('; ');
}

/**
 * Boxes by their event, each with the place of its labeler in the list.
 *
 * @returns {Map<string, {box: object, labeler: number}>}
 */
export function boxesByEvent(labelers) {
  const found = new Map();
  labelers.forEach((one, labeler) => one.boxes.forEach((box) => found.set(box.event, { box, labeler })));
  return found;
}
