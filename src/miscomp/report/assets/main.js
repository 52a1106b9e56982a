// Keys, buttons and the address line.
document.documentElement.classList.add('scripted');
fillGallery();
const list = new List(() => {});
const viewer = new Viewer(() => list.order);
const help = $('#help');

const actions = {
  flip: () => viewer.flip(),
  difference: () => viewer.toggle('difference'),
  outlines: () => viewer.toggle('outlines'),
  enlarge: () => viewer.enlarge(),
  nextFinding: () => viewer.step(1),
  previousFinding: () => viewer.step(-1),
  nextImage: () => viewer.stepImage(1),
  previousImage: () => viewer.stepImage(-1),
  nextCodec: () => viewer.stepCodec(),
  zoomIn: () => viewer.stage.zoom(1.5),
  zoomOut: () => viewer.stage.zoom(1 / 1.5),
  fit: () => viewer.stage.fit(),
  actual: () => viewer.stage.look(1, viewer.stage.x, viewer.stage.y),
  help: () => help.showModal(),
  close: () => viewer.close(),
};
const keys = {
  ' ': 'flip', d: 'difference', f: 'outlines', n: 'nextFinding', p: 'previousFinding', c: 'nextCodec', x: 'enlarge',
  j: 'nextImage', k: 'previousImage', ArrowRight: 'nextImage', ArrowLeft: 'previousImage',
  '+': 'zoomIn', '=': 'zoomIn', '-': 'zoomOut', 0: 'fit', 1: 'actual',
};
const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button) { actions[button.dataset.do](); return; }
  const link = event.target.closest('a[href^="#image="]');
  if (link) { event.preventDefault(); openAddress(link.getAttribute('href')); }
});

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open || $('#closeup').open) return;
  const typing = event.target.closest?.('input, select, textarea');
  if (event.key === '?' && !typing) { event.preventDefault(); actions.help(); return; }
  if (!viewer.isOpen || typing) return;
  if (event.shiftKey && steps[event.key]) {
    event.preventDefault();
    const [dx, dy] = steps[event.key];
    viewer.stage.pan(dx * viewer.stage.canvas.width / 8, dy * viewer.stage.canvas.height / 8);
    return;
  }
  const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  if (!event.repeat || ['zoomIn', 'zoomOut'].includes(action)) actions[action]();
});
// A focused button must not answer the space bar as well.
document.addEventListener('keyup', (event) => { if (event.key === ' ' && viewer.isOpen && !help.open && !$('#closeup').open) event.preventDefault(); });

function openAddress(address) {
  const wanted = new URLSearchParams(address.slice(1));
  if (!wanted.has('image')) return;
  const number = (name, otherwise) => (/^\d+$/.test(wanted.get(name) ?? '') ? Number(wanted.get(name)) : otherwise);
  const item = number('image', -1);
  const filtered = INDEX.items[item]?.pairs.findIndex((pair) => pair.model === filters.codec) ?? -1;
  viewer.open(item, number('codec', Math.max(filtered, 0)), number('finding', -1));
}
window.addEventListener('hashchange', () => openAddress(location.hash));
openAddress(location.hash);
