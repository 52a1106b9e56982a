// The gallery's cards and their filters; it stands where an audit's report has its list of images.
function fillGallery() {} // the cards are in the page

class List {
  constructor(onChange) {
    this.form = $('#filters');
    this.cards = [...document.querySelectorAll('.annotation')];
    this.form.hidden = false;
    const apply = () => { this.apply(); onChange(); };
    this.form.addEventListener('input', apply);
    this.form.addEventListener('reset', () => setTimeout(apply));
    this.form.addEventListener('submit', (event) => event.preventDefault());
    this.apply();
  }

  passes(card) {
    return [...this.form.querySelectorAll('select')].every(({ name, selectedOptions: [chosen] }) =>
      chosen.hasAttribute('data-all') || (name === 'category' ? card.dataset.category.split('+').includes(chosen.value) : card.dataset[name] === chosen.value));
  }

  apply() {
    const kept = this.cards.filter((card) => { const passes = this.passes(card); card.hidden = !passes; return passes; });
    this.order = kept.map((card) => Number(card.dataset.item));
    for (const group of document.querySelectorAll('.group')) {
      const shown = group.querySelectorAll('.annotation:not([hidden])').length;
      group.hidden = shown === 0;
      $('.group-count', group).textContent = plural(shown, 'annotation');
    }
    $('.matches').textContent = `${this.order.length} of ${plural(this.cards.length, 'annotation')}`;
    $('.nothing').hidden = this.order.length > 0;
  }
}
