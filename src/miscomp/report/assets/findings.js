// The list beside the picture: crops at up to four times their size, and the answers in words.
const CROP_SCALE = 4;

// The part of the image a crop shows: the box and half of it around, at least 10 pixels.
function cropRegion([x, y, w, h], width, height) {
  const margin = Math.max(10, Math.round(Math.max(w, h) * 0.25));
  const left = Math.max(x - margin, 0), top = Math.max(y - margin, 0);
  return [left, top, Math.min(x + w + margin, width) - left, Math.min(y + h + margin, height) - top];
}

// Side by side, or one above the other for wide boxes: whichever shows them larger.
function cropLayout([, , w, h], room) {
  const beside = Math.min(CROP_SCALE, (room - 8) / 2 / w, 420 / h);
  const above = Math.min(CROP_SCALE, room / w, 260 / h);
  return above > beside * 1.15 ? { scale: above, tall: true } : { scale: beside, tall: false };
}

function cropFigure(picture, box, region, scale, words) {
  const [left, top, w, h] = region;
  const canvas = el('canvas', { width: w, height: h, role: 'img', 'aria-label': `${words}, cut around the box` });
  const context = canvas.getContext('2d');
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, left, top, w, h, 0, 0, w, h);
  const mark = el('span', { class: 'crop-box' });
  Object.assign(mark.style, { left: `${(box[0] - left) * scale - 2}px`, top: `${(box[1] - top) * scale - 2}px`, width: `${box[2] * scale + 4}px`, height: `${box[3] * scale + 4}px` });
  const frame = el('div', { class: 'crop-frame' }, canvas, mark);
  Object.assign(frame.style, { width: `${w * scale}px`, height: `${h * scale}px` });
  const times = Number.isInteger(scale) ? scale : scale.toFixed(1);
  return el('figure', { class: 'pixels' }, frame, el('figcaption', {}, `${words} · ${times}×`));
}

function fillCrops(holder, pictures, box) {
  const { naturalWidth, naturalHeight } = pictures.original;
  const region = cropRegion(box, naturalWidth, naturalHeight);
  const { scale, tall } = cropLayout(region, holder.clientWidth || 400);
  holder.classList.toggle('tall', tall);
  holder.replaceChildren(
    cropFigure(pictures.original, box, region, scale, 'original'),
    cropFigure(pictures.reconstruction, box, region, scale, 'reconstruction'));
}

// Both crops at exactly four times their size, whatever the window.
function fillCloseup(pictures, box) {
  const { naturalWidth, naturalHeight } = pictures.original;
  const region = cropRegion(box, naturalWidth, naturalHeight);
  const holder = $('.closeup-crops');
  holder.classList.toggle('tall', region[2] * CROP_SCALE * 2 + 64 > window.innerWidth);
  holder.replaceChildren(
    cropFigure(pictures.original, box, region, CROP_SCALE, 'original'),
    cropFigure(pictures.reconstruction, box, region, CROP_SCALE, 'reconstruction'));
}

function answerRow([value, words], [, question, direction]) {
  const bar = el('i');
  bar.style.width = `${Math.round(value * 100)}%`;
  return el('div', { class: 'answer' },
    el('dt', {}, question, direction ? el('i', {}, direction) : ''),
    el('dd', { class: 'gauge' + (direction === 'speaks against' ? ' against' : ''), 'aria-hidden': 'true' }, bar),
    el('dd', { class: 'value' }, value.toFixed(2)),
    el('dd', { class: 'words' }, el('bdi', {}, words)));
}

function numbersTable(answers) {
  if (!answers.length) return '';
  const box = el('details', {}, el('summary', {}, 'the numbers behind the answers'));
  answers.forEach(([, , numbers], question) => {
    if (!numbers.length) return;
    box.append(el('table', {}, el('caption', {}, INDEX.questions[question][1]),
      el('tbody', {}, ...numbers.map(([name, value]) => el('tr', {}, el('td', {}, name), el('td', {}, el('bdi', {}, value)))))));
  });
  return box;
}

function findingCard(rank, brief, detail, { choose, enlarge }) {
  const [x, y, w, h] = detail.place ?? detail.box; // a box in a cut-out has its place in the whole picture
  const pick = () => choose(rank);
  return el('li', { class: 'card', 'data-rank': rank },
    el('div', { class: 'card-head' },
      el('button', { type: 'button', onclick: pick, title: 'Show in the picture' }, el('span', { class: 'rank' }, `${rank + 1}  `), WORDS.claim),
      ...kind(brief), ...(brief[0] === null ? [] : [el('b', { class: 'score', title: 'score, 0 to 1; not a probability' }, brief[0].toFixed(2))])),
    ...(detail.note ? [el('p', { class: 'card-note' }, el('bdi', {}, detail.note))] : []),
    el('div', { class: 'card-crops', title: 'Show at 4× (x)', onclick: () => enlarge(rank) }),
    el('dl', { class: 'answers' }, ...detail.answers.map((answer, i) => answerRow(answer, INDEX.questions[i]))),
    numbersTable(detail.answers),
    el('p', { class: 'id' }, el('bdi', {}, detail.id), ` · x ${x}, y ${y}, ${w} × ${h} · ${WORDS.by} ${detail.foundBy}${detail.multi ? ' · several in one' : ''}`));
}

// Cards are light; crops are drawn when a card comes near the window.
function fillCards(list, { ranks, briefs, findings, pictures }, actions) {
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      fillCrops($('.card-crops', entry.target), pictures, findings[Number(entry.target.dataset.rank)].box);
    }
  }, { root: list.parentElement, rootMargin: '600px 0px' });
  list.replaceChildren(...ranks.map((rank) => findingCard(rank, briefs[rank], findings[rank], actions)));
  for (const card of list.children) watcher.observe(card);
}
