// Pictures fetched and decoded before they are shown, and closed when they are not needed any more.

const SIDES = ['original', 'reconstruction'];
/** Decoded pixels held beside the pair that is shown: 4 bytes each, so 256 MiB. Larger pairs are fetched, not decoded. */
const AHEAD = 64 * 2 ** 20;

/** A picture that cannot be had: `status` is the server's answer, 0 where there was none. */
export class PictureError extends Error {
  constructor(message, status) {
    super(message);
    this.name = 'PictureError';
    this.status = status;
  }
}

async function fetched(address, signal) {
  let response;
  try {
    response = await fetch(address, { signal, credentials: 'same-origin' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new PictureError('the server cannot be reached', 0);
  }
  if (!response.ok) throw new PictureError(`the server answers ${response.status}`, response.status);
  return response.blob();
}

/** The stored values, neither colour managed nor premultiplied, so that what is compared is what the codec gave. */
async function decoded(blob) {
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  } catch {
    throw new PictureError('the picture cannot be decoded', 200);
  }
}

/** One pair on its way: fetched at once, decoded when wanted. */
class Load {
  constructor(alias, address) {
    this.alias = alias;
    this.abort = new AbortController();
    this.blobs = Promise.all(SIDES.map((side) => fetched(address(alias, side), this.abort.signal)));
    this.blobs.catch(() => {}); // told to whoever awaits the pair
    this.decoding = null;
    this.closed = false;
  }

  /** @returns {Promise<import('./frame.js').Pair>} */
  pair() {
    this.decoding ??= this.decode();
    return this.decoding;
  }

  async decode() {
    const blobs = await this.blobs, done = await Promise.allSettled(blobs.map(decoded));
    const failed = done.find(({ status }) => status === 'rejected');
    const [original, reconstruction] = done.map(({ value }) => value);
    const unequal = !failed && (original.width !== reconstruction.width || original.height !== reconstruction.height);
    if (failed || unequal || this.closed) {
      original?.close();
      reconstruction?.close();
      throw failed?.reason ?? (unequal ? new PictureError('the two sides differ in size', 200) : new DOMException('dropped', 'AbortError'));
    }
    return { original, reconstruction, alias: this.alias };
  }

  close() {
    this.closed = true;
    this.abort.abort();
    this.decoding?.then(({ original, reconstruction }) => { original.close(); reconstruction.close(); }, () => {});
  }
}

export class Pictures {
  /** @param {(alias: string, side: string) => string} address */
  constructor(address = (alias, side) => `/pictures/${encodeURIComponent(alias)}/${side}.png`) {
    this.address = address;
    this.loads = new Map();
  }

  #load(alias) {
    if (!this.loads.has(alias)) this.loads.set(alias, new Load(alias, this.address));
    return this.loads.get(alias);
  }

  /**
   * A pair, decoded. It stays open until `keep` leaves it out.
   *
   * @throws {PictureError} where a side cannot be fetched or decoded; the next call tries again
   */
  async pair(alias) {
    const load = this.#load(alias);
    try {
      return await load.pair();
    } catch (error) {
      if (this.loads.get(alias) === load) this.loads.delete(alias);
      throw error;
    }
  }

  /**
   * Close every pair but these; fetch those not there yet, and decode them ahead while they are of bounded size.
   * Call it after the pair has been shown: `keep(shown, next)`.
   *
   * @param {string} shown @param {...({alias: string, width: number, height: number})} next
   */
  keep(shown, ...next) {
    const stay = new Set([shown, ...next.map(({ alias }) => alias)]);
    for (const [alias, load] of this.loads) {
      if (stay.has(alias)) continue;
      this.loads.delete(alias);
      load.close();
    }
    let room = AHEAD;
    for (const { alias, width, height } of next) {
      room -= 2 * width * height;
      if (room >= 0) this.pair(alias).catch(() => {}); // asked for again, and told, when it is to be shown
      else this.#load(alias);
    }
  }
}
