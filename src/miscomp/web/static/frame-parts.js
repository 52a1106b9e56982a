// The elements a frame is made of, and what it says about itself: which side is shown, how large, by which map.

import { drawn, element } from './elements.js';

const SIDES = { original: 'ORIGINAL', reconstruction: 'RECONSTRUCTION' };
let made = 0;

/** The frame's own style sheet, once per page; a page may also link it in its head, as that shows it sooner. */
function dress() {
  const address = new URL('./frame.css', import.meta.url).href;
  if ([...document.querySelectorAll('link[rel=stylesheet]')].some((link) => link.href === address)) return;
  document.head.append(element('link', { rel: 'stylesheet', href: address }));
}

/** A transfer curve as a filter: the browser applies it to what is shown, never to what is stored. */
function gammaFilter(id) {
  const channels = ['R', 'G', 'B'].map((channel) => drawn(`feFunc${channel}`, { type: 'gamma', amplitude: 1, exponent: 1, offset: 0 }));
  const transfer = drawn('feComponentTransfer', {}, ...channels);
  const filter = drawn('filter', { id, 'color-interpolation-filters': 'sRGB', x: '0', y: '0', width: '100%', height: '100%' }, transfer);
  return { svg: drawn('svg', { class: 'frame-filters', width: 0, height: 0, 'aria-hidden': 'true' }, filter), channels };
}

/**
 * Build a frame inside `root`.
 *
 * `stage` is the focusable place of the pictures, `picture` the pane that flips, `map` the pane of the difference.
 */
export function build(root) {
  dress();
  made += 1;
  const id = `frame-${made}`, gamma = gammaFilter(`${id}-gamma`);
  const overlay = drawn('svg', { class: 'frame-overlay', id: `${id}-overlay` });
  const mirror = drawn('svg', { class: 'frame-mirror', 'aria-hidden': 'true' }, drawn('use', { href: `#${id}-overlay` }));
  const picture = element('div', { class: 'frame-pane frame-picture' });
  const map = element('div', { class: 'frame-pane frame-map' });
  const stage = element('div', { class: 'frame-stage' }, picture, map);
  const badges = Object.entries(SIDES).map(([side, name]) => element('div', { class: `frame-badge frame-badge-${side}`, 'aria-hidden': 'true' },
    element('span', { class: 'frame-shape' }), name));
  const status = element('div', { class: 'frame-status', role: 'status' });
  const legend = element('div', { class: 'frame-legend', hidden: '' });
  const zoom = element('div', { class: 'frame-zoom' });
  const parts = { stage, picture, map, overlay, mirror, status, legend, zoom, gamma: gamma.channels, filter: `url(#${id}-gamma)` };
  root.classList.add('frame');
  root.replaceChildren(gamma.svg, stage, ...badges, legend, zoom, status);
  if (!root.hasAttribute('tabindex')) root.tabIndex = 0;
  return parts;
}

/** Turn the root's edge and badge to this side, and tell it to those who listen. */
export function tellSide(root, parts, side) {
  root.classList.toggle('is-original', side === 'original');
  root.classList.toggle('is-reconstruction', side === 'reconstruction');
  parts.status.textContent = `${SIDES[side]} is shown`;
}

export function tellScale(parts, scale) {
  const percent = (100 * scale).toFixed(scale < 0.1 ? 1 : 0);
  parts.zoom.textContent = `${percent} %${scale >= 2 ? ' · exact pixels' : scale === 1 ? ' · 1:1' : ''}`;
}
