// What patterns are made of: Gaussian blurs and resizes of planes of floating-point numbers, as OpenCV does them.

/** @typedef {{rows: number, columns: number, data: Float32Array}} Plane */

/** @returns {Plane} */
export const plane = (rows, columns, data = new Float32Array(rows * columns)) => ({ rows, columns, data });

const mirrored = (at, size) => { // ... 2 1 | 0 1 2 ...
  if (size === 1) return 0;
  while (at < 0 || at >= size) at = at < 0 ? -at : 2 * size - 2 - at;
  return at;
};

/** @param {Plane} from @param {number} sigma in pixels @returns {Plane} borders are mirrored */
export function blurred(from, sigma) {
  const reach = (Math.round(sigma * 8 + 1) | 1) >> 1;
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, at) => Math.exp(-((at - reach) ** 2) / (2 * sigma * sigma)));
  const sum = kernel.reduce((all, one) => all + one, 0);
  const weights = Float32Array.from(kernel, (one) => one / sum);
  const { rows, columns } = from;
  const across = plane(rows, columns), result = plane(rows, columns);
  for (let y = 0; y < rows; y++) {
    const row = y * columns;
    for (let x = 0; x < columns; x++) {
      let value = 0;
      if (x >= reach && x + reach < columns) {
        for (let at = -reach; at <= reach; at++) value += weights[at + reach] * from.data[row + x + at];
      } else {
        for (let at = -reach; at <= reach; at++) value += weights[at + reach] * from.data[row + mirrored(x + at, columns)];
      }
      across.data[row + x] = value;
    }
  }
  const lines = new Int32Array(2 * reach + 1);
  for (let y = 0; y < rows; y++) {
    for (let at = -reach; at <= reach; at++) lines[at + reach] = mirrored(y + at, rows) * columns;
    for (let x = 0; x < columns; x++) {
      let value = 0;
      for (let at = 0; at < lines.length; at++) value += weights[at] * across.data[lines[at] + x];
      result.data[y * columns + x] = value;
    }
  }
  return result;
}

/** Four taps of cubic convolution with A = -0.75, for every place of one axis. */
function cubicTaps(from, to) {
  const places = new Int32Array(4 * to), weights = new Float32Array(4 * to);
  const A = -0.75;
  for (let at = 0; at < to; at++) {
    const middle = (at + 0.5) * (from / to) - 0.5;
    const low = Math.floor(middle), x = middle - low;
    const taps = [
      ((A * (x + 1) - 5 * A) * (x + 1) + 8 * A) * (x + 1) - 4 * A,
      ((A + 2) * x - (A + 3)) * x * x + 1,
      ((A + 2) * (1 - x) - (A + 3)) * (1 - x) * (1 - x) + 1,
    ];
    taps.push(1 - taps[0] - taps[1] - taps[2]);
    for (let tap = 0; tap < 4; tap++) {
      places[4 * at + tap] = Math.min(from - 1, Math.max(0, low - 1 + tap));
      weights[4 * at + tap] = taps[tap];
    }
  }
  return { places, weights, each: 4 };
}

/** Shares of every sample that a larger one covers, for one axis. */
function areaTaps(from, to) {
  const scale = from / to, each = Math.ceil(scale) + 2;
  const places = new Int32Array(each * to), weights = new Float32Array(each * to);
  for (let at = 0; at < to; at++) {
    const low = at * scale, high = Math.min(from, low + scale);
    for (let tap = 0; tap < each; tap++) {
      const place = Math.floor(low) + tap;
      const share = Math.max(0, Math.min(high, place + 1) - Math.max(low, place));
      places[each * at + tap] = Math.min(from - 1, place);
      weights[each * at + tap] = share / (high - low);
    }
  }
  return { places, weights, each };
}

/** @param {Plane} from @returns {Plane} by area averages where it shrinks, by cubic convolution where it grows */
export function resized(from, rows, columns) {
  if (from.rows === rows && from.columns === columns) return from;
  const taps = from.rows > rows ? areaTaps : cubicTaps;
  return applied(from, taps(from.rows, rows), taps(from.columns, columns), rows, columns);
}

/** @param {Plane} from @returns {Plane} by cubic convolution, whatever the size */
export const cubic = (from, rows, columns) =>
  applied(from, cubicTaps(from.rows, rows), cubicTaps(from.columns, columns), rows, columns);

function applied(from, down, right, rows, columns) {
  const across = plane(from.rows, columns), result = plane(rows, columns);
  for (let y = 0; y < from.rows; y++) {
    for (let x = 0; x < columns; x++) {
      let value = 0;
      for (let tap = right.each * x; tap < right.each * (x + 1); tap++) value += right.weights[tap] * from.data[y * from.columns + right.places[tap]];
      across.data[y * columns + x] = value;
    }
  }
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      let value = 0;
      for (let tap = down.each * y; tap < down.each * (y + 1); tap++) value += down.weights[tap] * across.data[down.places[tap] * columns + x];
      result.data[y * columns + x] = value;
    }
  }
  return result;
}

/** @returns {[number, number]} mean and standard deviation */
export function moments(data) {
  let sum = 0;
  for (let at = 0; at < data.length; at++) sum += data[at];
  const mean = sum / data.length;
  let squares = 0;
  for (let at = 0; at < data.length; at++) squares += (data[at] - mean) ** 2;
  return [mean, Math.sqrt(squares / data.length)];
}
