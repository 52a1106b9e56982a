// The geometry of one view: which part of a picture lies where in a port. Pure functions, no page.
//
// A port is the drawing area in device pixels, a picture is measured in its own pixels, and a view is
// `{scale, x, y}`: device pixels per picture pixel and the picture point at the port's centre.

/** Whole picture pixels are shown as squares from this scale on; below it the picture is smoothed. */
export const NEAREST_FROM = 2;
export const LARGEST_SCALE = 32;
const LARGEST_FIT = 8;

/**
 * @typedef {{width: number, height: number}} Size
 * @typedef {{scale: number, x: number, y: number}} View
 * @typedef {{x: number, y: number, w: number, h: number}} Box
 */

const between = (value, low, high) => Math.min(Math.max(value, low), high);

/** The whole picture in the port. A picture smaller than half of the port is shown in whole steps, 8 at most. */
export function fitted(picture, port) {
  const room = Math.min(port.width / picture.width, port.height / picture.height);
  const scale = room >= NEAREST_FROM ? Math.min(Math.floor(room), LARGEST_FIT) : room;
  return { scale, x: picture.width / 2, y: picture.height / 2 };
}

/** Half of the fitted view, or half of 1:1 where the picture is small. */
export function smallestScale(picture, port) {
  return Math.min(1, port.width / picture.width, port.height / picture.height) / 2;
}

/** The nearest allowed view: the scale within its limits, the centre on the picture. */
export function allowed(view, picture, port) {
  return {
    scale: between(view.scale, smallestScale(picture, port), LARGEST_SCALE),
    x: between(view.x, 0, picture.width),
    y: between(view.y, 0, picture.height),
  };
}

/**
 * Where the picture's top left corner lies in the port. Always whole device pixels, so that at 1:1 every picture
 * pixel is one device pixel and both sides are sampled alike.
 */
export function corner(view, port) {
  return [Math.round(port.width / 2 - view.x * view.scale), Math.round(port.height / 2 - view.y * view.scale)];
}

export function imagePoint(view, port, px, py) {
  const [left, top] = corner(view, port);
  return [(px - left) / view.scale, (py - top) / view.scale];
}

export function portPoint(view, port, x, y) {
  const [left, top] = corner(view, port);
  return [left + x * view.scale, top + y * view.scale];
}

/** Zoom so that the picture point under (px, py), in device pixels of the port, stays there. */
export function zoomed(view, picture, port, { factor, px = port.width / 2, py = port.height / 2 }) {
  const scale = between(view.scale * factor, smallestScale(picture, port), LARGEST_SCALE);
  const dx = px - port.width / 2, dy = py - port.height / 2;
  const x = view.x + dx / view.scale - dx / scale, y = view.y + dy / view.scale - dy / scale;
  return allowed({ scale, x, y }, picture, port);
}

/** Move the picture by (dx, dy) device pixels. */
export function panned(view, picture, port, { dx, dy }) {
  return allowed({ scale: view.scale, x: view.x - dx / view.scale, y: view.y - dy / view.scale }, picture, port);
}

/** A view with the box in its middle and its own size around it on every side. */
export function lookedAt(box, picture, port, largest = LARGEST_FIT) {
  const room = Math.min(port.width / Math.max(3 * box.w, 60), port.height / Math.max(3 * box.h, 60));
  const scale = Math.min(room >= NEAREST_FROM ? Math.floor(room) : room, largest);
  return allowed({ scale, x: box.x + box.w / 2, y: box.y + box.h / 2 }, picture, port);
}

/**
 * The part of a picture that a port shows, in whole pixels of a copy that is `reduction` times smaller, with one pixel
 * around it for smoothing, and where that part lies in the port. Null where nothing shows.
 *
 * @param {Size} copy the size of the copy that will be drawn
 */
export function visiblePart(view, port, copy, reduction = 1) {
  const scale = view.scale * reduction, [left, top] = corner(view, port);
  const x0 = Math.max(0, Math.floor(-left / scale) - 1), x1 = Math.min(copy.width, Math.ceil((port.width - left) / scale) + 1);
  const y0 = Math.max(0, Math.floor(-top / scale) - 1), y1 = Math.min(copy.height, Math.ceil((port.height - top) / scale) + 1);
  if (x1 <= x0 || y1 <= y0) return null;
  const from = { x: x0, y: y0, w: x1 - x0, h: y1 - y0 };
  return { from, to: { x: left + x0 * scale, y: top + y0 * scale, w: from.w * scale, h: from.h * scale } };
}

/** How many times a copy should be halved before it is drawn at this scale, so that drawing reduces by less than 2. */
export function halvings(scale, most = 6) {
  let times = 0;
  while (scale * 2 ** (times + 1) <= 1 && times < most) times += 1;
  return times;
}

/**
 * How many times a map of largest values should be halved for this scale: until one of its pixels covers at least one
 * device pixel, so that drawing leaves none of them out.
 */
export function poolings(scale, most = 8) {
  let times = 0;
  while (scale * 2 ** times < 1 && times < most) times += 1;
  return times;
}
