// Graphite strokes in three layers, the darker the tone the more of them.
//
// What is drawn for one tone is drawn for every darker one too, as in the tonal art maps of Praun, Hoppe, Webb and
// Finkelstein (Real-Time Hatching, 2001). The strokes are those of engines/looks/patterns.py, number for number;
// their soft edges are a formula here, where Python has OpenCV's tables.

import { bytes, canvasOf, noise } from "./patterns.js";
import { Random } from "./random.js";
import { blurred, plane, resized } from "./raster.js";
import { rint } from "./tables.js";

const LAYERS = [[0, 0.98, 0.5], [58, 0.62, 0.3], [-38, 0.36, 0.08]]; // turn in degrees, tones of first and last stroke
const VALUE_STEP = 3;
const POINTS = 5, FINE = 16; // points of a stroke, in sixteenths of a pixel
const SPREAD = 0.569, PEAK = 0.992; // of a line's Gaussian profile: twice the variance in square pixels, and opacity
const ROUND = 0.85; // opacity at the edge of a round end
const BORDER = 2; // pixels at the picture's edge that stay blank

/** @returns {Uint8Array} thresholds, height x width */
export function hatching(height, width, size, angle) {
  const [rows, columns] = canvasOf(height, width);
  const random = new Random(7);
  const strokes = LAYERS.flatMap(([turn, first, last]) => makeStrokes(random, rows, columns, size, angle + turn, first, last));
  for (const stroke of strokes) stroke.isThick = random.random() < 0.55;
  const order = strokes.map((_, at) => at);
  order.sort((a, b) => strokes[a].value - strokes[b].value || strokes[a].isThick - strokes[b].isThick || a - b);
  const canvas = plane(rows, columns);
  for (const at of order) draw(canvas, strokes[at]);
  const tooth = noise(rows, columns, 0.7, 8).data;
  const soft = blurred(canvas, 0.5);
  for (let at = 0; at < tooth.length; at++) {
    soft.data[at] *= Math.min(1.1, Math.max(0.2, 1 - 0.22 * Math.max(tooth[at], -0.5)));
  }
  return bytes(resized(soft, height, width).data);
}

function makeStrokes(random, rows, columns, size, angle, first, last) {
  const turn = (angle * Math.PI) / 180, normal = ((angle + 90) * Math.PI) / 180;
  const [along, across] = [[Math.cos(turn), Math.sin(turn)], [Math.cos(normal), Math.sin(normal)]];
  const reach = Math.hypot(rows, columns) / 2 + 2 * size;
  const lines = Math.ceil((2 * reach) / size), each = Math.ceil((2 * reach + 20 * size) / (6.75 * size));
  const all = (draw) => Float64Array.from({ length: lines * each }, draw);
  const length = all(() => size * random.uniform(9, 24));
  const step = all(() => random.uniform(0.75, 1));
  const shift = Float64Array.from({ length: lines }, () => random.uniform(0, 20 * size));
  const offset = all(() => random.normal(0, 0.25));
  const lean = all(() => random.normal(0, 0.025));
  const bow = all((_, at) => length[at] * random.normal(0.012, 0.01));
  const turnOf = all(() => random.uniform(0, 0.35));
  const strokes = [];
  for (let line = 0; line < lines; line++) {
    for (let one = 0, far = 0; one < each; one++) {
      const at = line * each + one;
      far += length[at] * step[at];
      const start = far - length[at] - (reach + shift[line]);
      const side = size * (line + offset[at]) - reach;
      const middle = [0, 1].map((axis) => (start + length[at] / 2) * along[axis] + side * across[axis]);
      if (Math.abs(middle[0]) > columns / 2 + length[at] || Math.abs(middle[1]) > rows / 2 + length[at]) continue;
      const order = (line * 0.618034 + turnOf[at]) % 1;
      const value = rint((255 * (first + (last - first) * order)) / VALUE_STEP) * VALUE_STEP;
      const points = Array.from({ length: POINTS }, (_, point) => {
        const place = -0.5 + point / (POINTS - 1);
        const ahead = place * length[at], sideways = ahead * lean[at] + (4 * place * place - 1) * bow[at];
        return [0, 1].map((axis) => rint((middle[axis] + ahead * along[axis] + sideways * across[axis] + (axis ? rows : columns) / 2) * FINE) / FINE);
      });
      strokes.push({ value, points, isThick: false });
    }
  }
  return strokes;
}

function draw(canvas, { value, points, isThick }) {
  for (let at = 1; at < points.length; at++) {
    const [from, to] = [points[at - 1], points[at]];
    if (isThick) thick(canvas, from, to, value);
    else thin(canvas, from, to, value);
  }
}

/** Lays a value over one pixel, twice as opaque as once. */
function lay(canvas, x, y, value, opacity) {
  if (x < BORDER || y < BORDER || x >= canvas.columns - BORDER || y >= canvas.rows - BORDER) return;
  const at = y * canvas.columns + x;
  const left = (1 - opacity) ** 2;
  canvas.data[at] = value + (canvas.data[at] - value) * left;
}

/** A line about a pixel wide. Pixels have their centres at whole numbers. */
function thin(canvas, from, to, value) {
  const isFlat = Math.abs(to[0] - from[0]) > Math.abs(to[1] - from[1]);
  const [major, minor] = isFlat ? [0, 1] : [1, 0];
  const [a, b] = from[major] <= to[major] ? [from, to] : [to, from];
  const slope = (b[minor] - a[minor]) / Math.max(b[major] - a[major], 1e-9);
  const strength = PEAK * Math.SQRT1_2 * Math.sqrt(1 + slope * slope);
  for (let at = Math.floor(a[major]); at <= Math.floor(b[major]) + 1; at++) {
    const end = Math.min(1, (at - a[major] + 1) / 2, (b[major] - at + 1) / 2);
    const middle = a[minor] + slope * (at - a[major]);
    for (let side = Math.round(middle) - 1; side <= Math.round(middle) + 1; side++) {
      const opacity = end * strength * Math.exp(-((side - middle) ** 2) / SPREAD);
      if (isFlat) lay(canvas, at, side, value, opacity);
      else lay(canvas, side, at, value, opacity);
    }
  }
}

/** A line two pixels wide with round ends. */
function thick(canvas, from, to, value) {
  const [x, y] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(x, y) || 1e-9;
  const lean = length / Math.max(Math.abs(x), Math.abs(y), 1e-9), steep = PEAK * Math.SQRT1_2 * lean;
  for (let row = Math.floor(Math.min(from[1], to[1]) - 3); row <= Math.max(from[1], to[1]) + 3; row++) {
    for (let column = Math.floor(Math.min(from[0], to[0]) - 3); column <= Math.max(from[0], to[0]) + 3; column++) {
      const [u, v] = [column - from[0], row - from[1]];
      const along = Math.min(1, Math.max(0, (u * x + v * y) / (length * length)));
      const far = Math.hypot(u - along * x, v - along * y) - 1;
      if (far > 1.6) continue;
      const isBeside = along > 0 && along < 1;
      const edge = isBeside ? steep * Math.exp(-((far * lean) ** 2) / SPREAD) : ROUND * Math.exp(-(far * far) / SPREAD);
      lay(canvas, column, row, value, far <= 0 ? 1 : edge);
    }
  }
}
