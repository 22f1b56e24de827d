// The random numbers of NumPy's default generator, so that paper and strokes are those of the Python program.
//
// PCG64 (O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
// Generation", 2014), seeded by NumPy's SeedSequence; normal numbers by the ziggurat method (Marsaglia and Tang,
// "The Ziggurat Method for Generating Random Variables", Journal of Statistical Software 5/8, 2000).

const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const MASK = (1n << 128n) - 1n;
const EDGE = 3.6541528853610088, AREA = 0.00492867323399; // of the ziggurat's lowest layer; of each layer

/** Four 64-bit words of NumPy's SeedSequence for a small seed. */
function seedWords(seed) {
  let constant = 0x43b0d7e5;
  const hashed = (value) => {
    let one = value ^ constant;
    constant = Math.imul(constant, 0x931e8875);
    one = Math.imul(one, constant);
    return (one ^ (one >>> 16)) >>> 0;
  };
  const mixed = (x, y) => {
    const one = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
    return (one ^ (one >>> 16)) >>> 0;
  };
  const pool = [seed, 0, 0, 0].map(hashed);
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));
  }
  let last = 0x8b51f9dd;
  const words = Array.from({ length: 8 }, (_, at) => {
    let one = pool[at % 4] ^ last;
    last = Math.imul(last, 0x58f38ded);
    one = Math.imul(one, last);
    return BigInt((one ^ (one >>> 16)) >>> 0);
  });
  return [0, 2, 4, 6].map((at) => words[at] | (words[at + 1] << 32n));
}

/** Eight 16-bit parts of a 128-bit number, the lowest first. */
const parts = (number) => Array.from({ length: 8 }, (_, at) => Number((number >> BigInt(16 * at)) & 0xffffn));

function ziggurat(bits) {
  const one = 2 ** bits;
  const [k, w, f] = [new Float64Array(256), new Float64Array(256), new Float64Array(256)];
  let x = EDGE;
  f[255] = Math.exp(-0.5 * x * x);
  w[255] = x / one;
  k[0] = Math.round(((x * f[255]) / AREA) * one);
  w[0] = AREA / f[255] / one;
  f[0] = 1;
  for (let at = 254; at >= 1; at--) {
    const next = Math.sqrt(-2 * Math.log(AREA / x + f[at + 1]));
    k[at + 1] = Math.round((next / x) * one);
    w[at] = next / one;
    f[at] = Math.exp(-0.5 * next * next);
    x = next;
  }
  return { k, w, f };
}
const DOUBLES = ziggurat(52), FLOATS = ziggurat(23);
FLOATS.w = Float32Array.from(FLOATS.w);
FLOATS.f = Float32Array.from(FLOATS.f);

/** As `numpy.random.default_rng(seed)`. */
export class Random {
  #state; #factor; #step; #product = new Float64Array(8);
  #low = 0; #high = 0; // the 64 bits drawn last
  #kept = null; // the upper half of 64 bits of which the lower one was given away

  /** @param {number} seed 0 to 2^32 - 1 */
  constructor(seed) {
    const [a, b, c, d] = seedWords(seed);
    const step = ((((c << 64n) | d) << 1n) | 1n) & MASK;
    const start = ((step + ((a << 64n) | b)) * MULTIPLIER + step) & MASK;
    [this.#state, this.#factor, this.#step] = [parts(start), parts(MULTIPLIER), parts(step)];
  }

  #draw() { // one step, then the upper half xor the lower one, rotated by the uppermost six bits
    const [s, f, add, to] = [this.#state, this.#factor, this.#step, this.#product];
    let carry = 0;
    for (let at = 0; at < 8; at++) {
      let sum = carry + add[at];
      for (let one = 0; one <= at; one++) sum += s[one] * f[at - one];
      to[at] = sum % 65536;
      carry = (sum - to[at]) / 65536;
    }
    for (let at = 0; at < 8; at++) s[at] = to[at];
    const low = ((s[0] ^ s[4]) | ((s[1] ^ s[5]) << 16)) >>> 0, high = ((s[2] ^ s[6]) | ((s[3] ^ s[7]) << 16)) >>> 0;
    const turn = s[7] >>> 10, by = turn & 31;
    const [x, y] = turn & 32 ? [high, low] : [low, high];
    this.#low = (by ? (x >>> by) | (y << (32 - by)) : x) >>> 0;
    this.#high = (by ? (y >>> by) | (x << (32 - by)) : y) >>> 0;
  }

  #bits32() {
    if (this.#kept !== null) {
      const kept = this.#kept;
      this.#kept = null;
      return kept;
    }
    this.#draw();
    this.#kept = this.#high;
    return this.#low;
  }

  #float() { return (this.#bits32() >>> 8) / 16777216; }

  /** @returns {number} 0 to 1, without 1 */
  random() {
    this.#draw();
    return (this.#high * 2 ** 21 + (this.#low >>> 11)) / 2 ** 53;
  }

  uniform(low, high) { return low + (high - low) * this.random(); }

  /** One normal number of 64 bits. */
  normal(mean = 0, deviation = 1) {
    const { k, w, f } = DOUBLES;
    for (;;) {
      this.#draw();
      const [low, high] = [this.#low, this.#high];
      const layer = low & 255;
      const rest = (high % 2 ** 29) * 2 ** 23 + (low >>> 9); // 52 bits above the layer and the sign
      const x = (low >>> 8) & 1 ? -rest * w[layer] : rest * w[layer];
      if (rest < k[layer]) return mean + deviation * x;
      if (layer === 0) {
        for (;;) {
          const far = -Math.log1p(-this.random()) / EDGE;
          const up = -Math.log1p(-this.random());
          if (up + up > far * far) return mean + deviation * ((Math.floor(rest / 256) & 1) ? -(EDGE + far) : EDGE + far);
        }
      }
      if ((f[layer - 1] - f[layer]) * this.random() + f[layer] < Math.exp(-0.5 * x * x)) return mean + deviation * x;
    }
  }

  /** @param {number} count @returns {Float32Array} normal numbers of 32 bits, drawn as NumPy draws those */
  normals(count) {
    const { k, w, f } = FLOATS;
    const all = new Float32Array(count);
    for (let at = 0; at < count; at++) {
      for (;;) {
        const bits = this.#bits32();
        const layer = bits & 255, distance = bits >>> 9;
        const x = Math.fround((bits >>> 8) & 1 ? -distance * w[layer] : distance * w[layer]);
        if (distance < k[layer]) { all[at] = x; break; }
        if (layer === 0) { all[at] = this.#tail(distance); break; }
        const height = Math.fround(Math.fround(f[layer - 1] - f[layer]) * this.#float());
        if (Math.fround(height + f[layer]) < Math.exp(-0.5 * x * x)) { all[at] = x; break; }
      }
    }
    return all;
  }

  #tail(distance) {
    for (;;) {
      const far = -Math.log1p(-this.#float()) / EDGE;
      const up = -Math.log1p(-this.#float());
      if (up + up > far * far) return (distance >>> 8) & 1 ? -(EDGE + far) : EDGE + far;
    }
  }
}
