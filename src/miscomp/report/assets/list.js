// The list of images, its filters, and the gallery of the strongest candidates.
const GALLERY = 12;

class List {
  constructor(onChange) {
    this.form = $('#filters');
    this.rows = [...document.querySelectorAll('.item')];
    this.order = this.rows.map((row) => Number(row.dataset.item));
    this.form.hidden = false;
    const read = () => { this.read(); this.apply(); onChange(); };
    this.form.addEventListener('input', read);
    this.form.addEventListener('reset', () => setTimeout(read));
    this.form.addEventListener('submit', (event) => event.preventDefault());
    this.read();
    this.apply();
  }

  read() {
    const { codec, symbol, minimum, sort, shown } = this.form.elements;
    filters.codec = codec.value;
    filters.symbol = symbol.checked;
    filters.minimum = Number(minimum.value);
    filters.sort = sort.value;
    filters.categories = new Set([...this.form.querySelectorAll('[name=category]:checked')].map((box) => box.value));
    shown.value = filters.minimum.toFixed(2);
  }

  // Per image: whether it is listed, how many findings pass, and the best of them.
  measure(item) {
    const found = item.pairs.map((pair) => {
      if (filters.codec && pair.model !== filters.codec) return null;
      const ranks = passing(pair);
      return { count: ranks.length, top: ranks.length ? pair.findings[ranks[0]][0] : 0 };
    });
    const kept = found.filter(Boolean);
    const count = kept.reduce((sum, pair) => sum + pair.count, 0);
    return { found, count, top: Math.max(0, ...kept.map((pair) => pair.top)), listed: kept.length > 0 && (count > 0 || unfiltered()) };
  }

  apply() {
    const measured = INDEX.items.map((item) => this.measure(item));
    const byName = (a, b) => { const p = INDEX.items[a].name, q = INDEX.items[b].name; return p < q ? -1 : p > q ? 1 : a - b; };
    const compare = {
      name: byName,
      score: (a, b) => measured[b].top - measured[a].top || measured[b].count - measured[a].count || byName(a, b),
      count: (a, b) => measured[b].count - measured[a].count || measured[b].top - measured[a].top || byName(a, b),
    }[filters.sort];
    const all = this.rows.map((row) => Number(row.dataset.item)).sort(compare);
    this.order = all.filter((item) => measured[item].listed);
    const byItem = new Map(this.rows.map((row) => [Number(row.dataset.item), row]));
    $('.items').append(...all.map((item) => this.update(byItem.get(item), measured[item])));
    const findings = this.order.reduce((sum, item) => sum + measured[item].count, 0);
    $('.matches').textContent = `${plural(this.order.length, 'image')}, ${plural(findings, 'finding')}`;
    $('.nothing').hidden = this.order.length > 0;
  }

  update(row, { found, listed }) {
    row.hidden = !listed;
    [...$('.item-pairs', row).children].forEach((line, i) => {
      line.hidden = !found[i];
      if (!found[i]) return;
      $('.tally', line).textContent = plural(found[i].count, 'finding');
      $('meter', line).value = found[i].top;
      $('.top', line).textContent = found[i].count ? found[i].top.toFixed(2) : '–';
    });
    return row;
  }
}

// The head shows the best finding, the gallery the next: one per image and codec first, then by score. Both borrow the
// crops that the printed sheets hold.
function fillGallery() {
  const section = $('#gallery');
  if (!section) return;
  const figures = [...document.querySelectorAll('.sheets .figure')].sort((a, b) => b.dataset.score - a.dataset.score);
  const seen = new Set(), first = [], rest = [];
  for (const figure of figures) {
    const pair = `${figure.dataset.item}/${figure.dataset.pair}`;
    (seen.has(pair) ? rest : first).push(figure);
    seen.add(pair);
  }
  const link = (figure) => {
    const { item, pair, rank } = figure.dataset;
    return el('a', { href: `#image=${item}&codec=${pair}&finding=${rank}` }, figure.cloneNode(true));
  };
  const [best] = figures;
  $('#hero').append(link(best));
  $('#hero').hidden = false;
  const others = [...first, ...rest].filter((figure) => figure !== best).slice(0, GALLERY);
  $('.gallery', section).append(...others.sort((a, b) => b.dataset.score - a.dataset.score).map(link));
  section.hidden = others.length === 0;
}
