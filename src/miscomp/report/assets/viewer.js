// The viewer: which image, codec, finding and side are shown, and what follows from it.
class Viewer {
  constructor(order) {
    this.dialog = $('#viewer');
    this.order = order; // () => numbers of the images in the list's present order
    this.item = -1;
    this.pair = 0;
    this.finding = -1;
    this.stage = new Stage($('#canvas'), (scale) => {
      const percent = (100 * scale).toFixed(scale < 0.1 ? 1 : 0);
      $('#zoom').textContent = `${percent} %` + (scale >= NEAREST_FROM ? ' · exact pixels' : '');
    });
    this.stage.onPick = (rank) => { if (rank >= 0) this.choose(rank, { zoom: false }); };
    this.stage.onPoint = (x, y) => {
      const inside = x >= 0 && y >= 0 && x < this.stage.width && y < this.stage.height;
      const [left, top, factor] = this.current?.cut ?? [0, 0, 1]; // where a cut-out begins, and how much it was reduced
      $('#cursor').textContent = inside ? `x ${Math.floor(left + x * factor)}, y ${Math.floor(top + y * factor)}` : '';
    };
    this.dialog.addEventListener('close', () => { this.item = -1; this.stage.clear(); decoded.clear(); this.remember(); });
  }

  get isOpen() { return this.dialog.open; }
  get current() { return INDEX.items[this.item]; }

  async open(item, pair = 0, finding = -1, { keep = false } = {}) {
    const entry = INDEX.items[item];
    if (!entry) return;
    const kept = keep && item === this.item;
    Object.assign(this, { item, pair: Math.min(Math.max(pair, 0), entry.pairs.length - 1), finding: -1 });
    if (!this.isOpen) this.dialog.showModal();
    this.header();
    $('#loading').hidden = false;
    $('#loading').textContent = 'loading …';
    const shown = entry.pairs[this.pair], ticket = (this.ticket = Symbol('open'));
    try {
      const [detail, original, reconstruction, heat] = await Promise.all(
        [detailsOf(item), picture(shown.original), picture(shown.reconstruction), picture(shown.heat)]);
      if (ticket !== this.ticket || !this.isOpen) return;
      this.detail = detail[this.pair];
      this.pictures = { original, reconstruction, heat };
    } catch (error) {
      if (ticket === this.ticket) $('#loading').textContent = 'A picture of this image could not be read. Is report_files still beside the page?';
      return;
    }
    $('#loading').hidden = true;
    // A finding that was asked for by its address is shown even when the filters leave it out.
    this.ranks = shown.findings.map((_, rank) => rank).filter((rank) => rank === finding || passes(shown.findings[rank]));
    this.stage.selected = -1;
    this.stage.boxes = this.ranks.map((rank) => ({ rank, box: this.detail.findings[rank].box, category: shown.findings[rank][1][0] ?? 'none' }));
    this.stage.resize();
    this.stage.show(this.pictures, { keep: kept });
    this.panel(shown);
    this.side(kept ? this.stage.showing : 'original');
    if (finding >= 0 && finding < shown.findings.length) this.choose(finding); else this.remember();
  }

  close() { this.dialog.close(); }

  header() {
    const { name, width, height, pairs } = this.current, order = this.order();
    $('#viewer-name').replaceChildren(el('bdi', {}, name), el('small', {}, `${width} × ${height}`));
    const place = order.indexOf(this.item);
    $('#viewer-place').textContent = place < 0 ? 'outside the filters' : `${place + 1} / ${order.length}`;
    $('#viewer-codecs').replaceChildren(...pairs.map((pair, i) => el('button',
      { type: 'button', 'aria-pressed': String(i === this.pair), onclick: () => this.open(this.item, i, -1, { keep: true }) },
      el('bdi', {}, pair.model), el('small', {}, `${fixed(pair.bpp, 3)} bpp`))));
  }

  panel(shown) {
    const hidden = shown.findings.length - this.ranks.length;
    $('#viewer-count').textContent = shown.findings.length
      ? `${plural(this.ranks.length, WORDS.count[0])} ${WORDS.count[1]}` + (hidden ? ` (${hidden} more outside the filters)` : '')
      : WORDS.none;
    const quality = shown.msSsim !== null ? ` · MS-SSIM ${fixed(shown.msSsim, 4)}` : shown.ssim !== null ? ` · SSIM ${fixed(shown.ssim, 4)}` : '';
    $('#viewer-metrics').textContent = `${fixed(shown.bpp, 3)} real bpp · PSNR ${fixed(shown.psnr, 2)} dB${quality}${WORDS.of}`;
    const link = $('#viewer-disclosed');
    if (link) { link.hidden = !shown.disclosed; if (shown.disclosed) link.href = shown.disclosed; }
    $('#viewer-warnings').hidden = !this.detail.warnings.length;
    $('#viewer-warnings').replaceChildren(...this.detail.warnings.map((text) => el('li', {}, el('bdi', {}, text))));
    const list = $('#viewer-findings');
    fillCards(list, { ranks: this.ranks, briefs: shown.findings, findings: this.detail.findings, pictures: this.pictures },
      { choose: (rank) => this.choose(rank), enlarge: (rank) => this.enlarge(rank) });
    if (!shown.findings.length) list.append(el('li', { class: 'empty' }, 'Nothing was found that may have changed in meaning here. That does not prove this reconstruction faithful: flip and look.'));
    list.parentElement.scrollTop = 0;
    $('#focus-note').hidden = true;
  }

  choose(rank, { zoom = true } = {}) {
    this.finding = rank;
    this.stage.selected = rank;
    const { box } = this.detail.findings[rank], brief = this.current.pairs[this.pair].findings[rank];
    if (zoom) this.stage.zoomTo(box); else this.stage.draw();
    for (const card of $('#viewer-findings').children) {
      const chosen = Number(card.dataset.rank) === rank;
      card.classList.toggle('selected', chosen);
      if (chosen) card.scrollIntoView({ block: 'start', behavior: 'instant' });
    }
    const panel = $('.panel');
    panel.scrollTop -= $('.panel-head').offsetHeight;
    const note = $('#focus-note');
    note.hidden = false;
    note.replaceChildren(el('b', {}, `${rank + 1}`), WORDS.claim, ...kind(brief), scored(brief));
    $('#live').textContent = [`${WORDS.box} ${rank + 1} of ${this.ranks.length}`, WORDS.claim, brief[1].join(' and ') || 'no category', scored(brief)].filter(Boolean).join(', ');
    this.remember();
  }

  enlarge(rank = this.finding) {
    if (rank < 0) return;
    if (rank !== this.finding) this.choose(rank);
    const brief = this.current.pairs[this.pair].findings[rank];
    fillCloseup(this.pictures, this.detail.findings[rank].box);
    $('#closeup-note').replaceChildren(`${rank + 1} ${WORDS.claim}`, ...kind(brief), scored(brief));
    $('#closeup').showModal();
  }

  step(by) {
    if (!this.ranks?.length) return;
    const at = this.ranks.indexOf(this.finding), n = this.ranks.length;
    this.choose(this.ranks[at < 0 ? (by > 0 ? 0 : n - 1) : (at + by + n) % n]);
  }

  stepImage(by) {
    const order = this.order();
    if (!order.length) return;
    const at = order.indexOf(this.item);
    const next = order[at < 0 ? 0 : (at + by + order.length) % order.length];
    // The same codec in the next image, where it has one.
    const model = this.current.pairs[this.pair].model;
    this.open(next, Math.max(INDEX.items[next].pairs.findIndex((pair) => pair.model === model), 0));
  }

  stepCodec() {
    const n = this.current.pairs.length;
    if (n > 1) this.open(this.item, (this.pair + 1) % n, -1, { keep: true });
  }

  side(showing) {
    this.stage.showing = showing;
    const original = showing === 'original', model = this.current.pairs[this.pair].model;
    this.dialog.classList.toggle('is-original', original);
    this.dialog.classList.toggle('is-reconstruction', !original);
    const name = $('.flip-name');
    if (original) name.replaceChildren('ORIGINAL');
    else name.replaceChildren('RECONSTRUCTION ', el('bdi', {}, `· ${model}`));
    $('#flip').setAttribute('aria-label', `${name.textContent} is shown; press to flip`);
    $('#canvas').setAttribute('aria-label', `${name.textContent} of ${this.current.name}`);
    $('#live').textContent = name.textContent;
    this.stage.draw();
  }

  flip() { if (this.pictures) this.side(this.stage.showing === 'original' ? 'reconstruction' : 'original'); }

  toggle(what) {
    if (what === 'difference' && !this.pictures?.heat) { $('#live').textContent = 'No difference map was made'; return; }
    this.stage[what] = !this.stage[what];
    $('#' + what).setAttribute('aria-pressed', String(this.stage[what]));
    if (what === 'difference') $('#heat-key').hidden = !this.stage.difference;
    $('#live').textContent = `${what} ${this.stage[what] ? 'on' : 'off'}`;
    this.stage.draw();
  }

  // The address names what is shown, so that a place can be passed on or reloaded.
  remember() {
    const address = this.item < 0 ? '#images' : `#image=${this.item}&codec=${this.pair}` + (this.finding >= 0 ? `&finding=${this.finding}` : '');
    try { history.replaceState(null, '', address); } catch { /* some browsers refuse this for files; nothing depends on it */ }
  }
}
