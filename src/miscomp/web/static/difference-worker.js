// Computes the differences of one pair beside the page, once, and answers what is asked about them.
import { changedBox } from './changed-box.js';
import { LARGEST_MAP, MARGIN, coloured, measureStrip, pooled } from './difference-maps.js';

const STRIP = 2 ** 20; // pixels read at a time
const NOTICED = 2.5 * 256; // CIEDE2000 below this is not taken for a change

let maps = null; // {width, height, absolute, perceptual}
let reduced = {}; // kind -> the map halved 0, 1, 2 ... times

function reader(picture, rows) {
  const canvas = new OffscreenCanvas(picture.width, rows), context = canvas.getContext('2d', { willReadFrequently: true });
  context.globalCompositeOperation = 'copy';
  return (top, bottom) => {
    context.drawImage(picture, 0, top, picture.width, bottom - top, 0, 0, picture.width, bottom - top);
    return context.getImageData(0, 0, picture.width, bottom - top).data;
  };
}

function measure({ original, reconstruction }) {
  const { width, height } = original, rows = Math.max(Math.floor(STRIP / width), 1);
  const made = { width, height, absolute: new Uint8Array(width * height), perceptual: new Uint16Array(width * height) };
  const [first, second] = [original, reconstruction].map((picture) => reader(picture, rows + 2 * MARGIN));
  for (let top = 0; top < height; top += rows) {
    const bottom = Math.min(top + rows, height), begin = Math.max(top - MARGIN, 0), end = Math.min(bottom + MARGIN, height);
    measureStrip(made, first(begin, end), second(begin, end), top, bottom);
  }
  original.close();
  reconstruction.close();
  maps = made;
  reduced = {};
}

function halved(kind, times) {
  reduced[kind] ??= [{ values: maps[kind], width: maps.width, height: maps.height }];
  const list = reduced[kind];
  while (list.length <= times) list.push(pooled(list.at(-1)));
  return list[times];
}

async function map({ kind, gain, over, halvings }) {
  let times = halvings;
  while ((maps.width * maps.height) / 4 ** times > LARGEST_MAP) times += 1;
  const part = halved(kind, times), pixels = coloured(part, { kind, gain, over });
  return { bitmap: await createImageBitmap(new ImageData(pixels, part.width, part.height)), reduction: 2 ** times };
}

const JOBS = {
  measure,
  map,
  box: ({ rect }) => changedBox(maps, rect, NOTICED),
  forget() { maps = null; reduced = {}; },
};

addEventListener('message', async ({ data: { id, job, ...order } }) => {
  try {
    const answer = await JOBS[job](order);
    postMessage({ id, answer }, answer?.bitmap ? [answer.bitmap] : []);
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  }
});
