// What the other scripts share, and the only door to what the page holds. Texts reach the page as text nodes, never as markup.
const $ = (selector, root = document) => root.querySelector(selector);
const INDEX = JSON.parse($('#index').textContent);
// What a box is called; a page whose boxes are not a detector's findings has words of its own.
const WORDS = { box: 'Finding', count: ['place', 'may have changed'], claim: 'may have changed', by: 'found by', of: '', none: 'No findings', ...INDEX.words };

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') node.className = value;
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const fixed = (value, digits) => value === null ? '–' : value === 'inf' ? '∞' : Number(value).toFixed(digits);
const scored = ([score]) => score === null ? '' : `score ${score.toFixed(2)}`; // people give none
const plural = (n, noun) => `${n.toLocaleString('en').replaceAll(',', '\u202f')} ${noun}${n === 1 ? '' : 's'}`;

// Pictures are decoded only when an image is opened; the last few stay, so that flipping codecs is immediate.
const KEEP = 12;
const decoded = new Map();
function picture(number) {
  if (number === null) return Promise.resolve(null);
  let promise = decoded.get(number);
  if (promise) {
    decoded.delete(number);
  } else {
    const image = new Image();
    image.src = INDEX.beside ? INDEX.pictures[number] : $('#picture-' + number).textContent;
    promise = image.decode().then(() => image);
    promise.catch(() => decoded.delete(number));
  }
  decoded.set(number, promise);
  while (decoded.size > KEEP) decoded.delete(decoded.keys().next().value);
  return promise;
}

// Details of an image: in the page, or in a script beside it (a page on disk may not read other files any other way).
const waiting = new Map();
const details = new Map();
window.miscompDetails = (item, content) => { details.set(item, content); waiting.get(item)?.(); };
async function detailsOf(item) {
  if (!details.has(item)) {
    const inside = $('#details-' + item);
    if (!inside) {
      await new Promise((done, failed) => {
        waiting.set(item, done);
        document.head.append(el('script', { src: `report_files/details-${item}.js`, onerror: failed }));
      });
    } else {
      details.set(item, JSON.parse(inside.textContent));
    }
  }
  return details.get(item);
}

// What the reader wants to see; the list and the viewer share it.
const filters = { codec: '', categories: new Set(['AMPLITUDE', 'GEOMETRY', 'SHAPE']), symbol: false, minimum: 0, sort: 'score' };
const everyKind = () => filters.categories.size === 3;
function passes([score, categories, symbol]) {
  if (score < filters.minimum || (filters.symbol && !symbol)) return false;
  return everyKind() || categories.some((name) => filters.categories.has(name));
}
const unfiltered = () => everyKind() && !filters.symbol && filters.minimum === 0;
const passing = (pair) => pair.findings.map((finding, rank) => rank).filter((rank) => passes(pair.findings[rank]));

const COLOURS = { AMPLITUDE: '#f0c419', GEOMETRY: '#2bc79a', SHAPE: '#e58bc0', none: '#c9cdd3' };
const DASHES = { AMPLITUDE: [7, 4], GEOMETRY: [2, 3], SHAPE: [], none: [10, 3, 2, 3] };
function kind([, categories, symbol]) {
  const names = categories.length ? categories : ['none'];
  const chips = names.map((name) => el('span', { class: 'chip' },
    el('span', { class: `mark mark-${name.toLowerCase()}`, 'aria-hidden': 'true' }), name === 'none' ? 'no category' : name));
  if (symbol) chips.push(el('span', { class: 'chip chip-symbol' }, 'SYMBOL'));
  return chips;
}
