// Patterns that are fixed to the screen: dots, lines, paper and pigment, from fixed random seeds.
//
// As engines/looks/patterns.py makes them. Lengths are pixels of a picture whose short side is 720. hatching.js has
// the strokes of pencils.

import { Random } from "./random.js";
import { blurred, cubic, moments, plane, resized } from "./raster.js";
import { rint } from "./tables.js";

const MADE_FOR = 720, SMALLEST_SCALE = 0.5;

/** Pixels of the picture for a pixel of one that is 720 on its short side. */
export const scaleOf = (height, width) => Math.max(SMALLEST_SCALE, Math.min(height, width) / MADE_FOR);

/** @returns {[number, number]} rows and columns in which patterns are made before they are fitted */
export function canvasOf(height, width) {
  const scale = scaleOf(height, width);
  return [Math.ceil(height / scale), Math.ceil(width / scale)];
}

/** @param {ArrayLike<number>} values @returns {Uint8Array} */
export const bytes = (values) => {
  const result = new Uint8Array(values.length);
  for (let at = 0; at < values.length; at++) result[at] = Math.min(255, Math.max(0, rint(values[at])));
  return result;
};

/** Normal noise of standard deviation 1, smooth over `sigma` pixels. @returns {import("./raster.js").Plane} */
export function noise(rows, columns, sigma, seed) {
  const step = Math.max(1, sigma / 2);
  const [smallRows, smallColumns] = [Math.ceil(rows / step) + 1, Math.ceil(columns / step) + 1];
  let smooth = plane(smallRows, smallColumns, new Random(seed).normals(smallRows * smallColumns));
  if (sigma) smooth = blurred(smooth, sigma / step);
  const [mean, deviation] = moments(smooth.data);
  for (let at = 0; at < smooth.data.length; at++) smooth.data[at] = (smooth.data[at] - mean) / (deviation + 1e-6);
  if (step > 1) return cubic(smooth, rows, columns);
  const cut = plane(rows, columns);
  for (let y = 0; y < rows; y++) cut.data.set(smooth.data.subarray(y * smallColumns, y * smallColumns + columns), y * columns);
  return cut;
}

/** A sum of planes of one size, each times its weight. */
function mixed(...terms) {
  const result = plane(terms[0][1].rows, terms[0][1].columns);
  for (const [weight, { data }] of terms) for (let at = 0; at < data.length; at++) result.data[at] += weight * data[at];
  return result;
}

function scaled(one, factor) {
  for (let at = 0; at < one.data.length; at++) one.data[at] *= factor;
  return one;
}

/** Thresholds of a screen of round dots: as many of each value. @returns {Uint8Array} */
export function dots(height, width, size, angle) {
  const one = Float64Array.from({ length: 512 }, (_, at) => Math.cos((2 * Math.PI * at) / 512));
  const all = new Float64Array(512 * 512);
  for (let a = 0; a < 512; a++) for (let b = 0; b < 512; b++) all[a * 512 + b] = one[a] + one[b];
  all.sort();
  const rank = new Float32Array(1024);
  for (let at = 0, below = 0; at < 1024; at++) {
    while (below < all.length && all[below] < -2 + (4 * at) / 1023) below++;
    rank[at] = (below / all.length) * 255;
  }
  const turn = (2 * Math.PI) / size;
  return turned(height, width, angle, (along, across) => {
    const bump = Math.cos(along * turn) + Math.cos(across * turn);
    return rank[Math.min(1023, Math.max(0, Math.trunc(((bump + 2) / 4) * 1023)))];
  });
}

/** Thresholds of a screen of parallel lines. @returns {Uint8Array} */
export const lines = (height, width, size, angle) => turned(height, width, angle, (_, across) => {
  const place = across / size;
  return Math.abs(place - Math.floor(place) - 0.5) * 510;
});

function turned(height, width, angle, value) {
  const scale = scaleOf(height, width), turn = (angle * Math.PI) / 180;
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  const result = new Uint8Array(height * width);
  for (let row = 0; row < height; row++) {
    const y = (row - height / 2) / scale;
    for (let column = 0; column < width; column++) {
      const x = (column - width / 2) / scale;
      result[row * width + column] = Math.min(255, Math.max(0, rint(value(x * cos + y * sin, y * cos - x * sin))));
    }
  }
  return result;
}

/** Light on rough paper from the upper left: mean 0, standard deviation 1. @returns {Float32Array} */
export function paperLight(height, width) {
  const [rows, columns] = canvasOf(height, width);
  const make = (sigma, seed) => noise(rows + 2, columns + 2, sigma, seed);
  const rough = mixed([1, make(1, 1)], [1.3, make(2.2, 2)], [0.8, make(5, 3)]);
  const light = plane(rows, columns);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      light.data[y * columns + x] = rough.data[(y + 2) * (columns + 2) + x + 2] - rough.data[y * (columns + 2) + x];
    }
  }
  const both = mixed([1 / moments(light.data)[1], light], [0.35, noise(rows, columns, 0.6, 4)]);
  return resized(scaled(both, 1 / moments(both.data)[1]), height, width).data;
}

/** Height of the paper where pigment and graphite settle: mean 0, standard deviation 1. @returns {Float32Array} */
export function grain(height, width) {
  const [rows, columns] = canvasOf(height, width);
  const rough = mixed([0.8, noise(rows, columns, 0.8, 5)], [1, noise(rows, columns, 1.6, 6)], [0.5, noise(rows, columns, 4, 9)]);
  return resized(scaled(rough, 1 / moments(rough.data)[1]), height, width).data;
}

/** Density of a dried wash: broad clouds, darker rims where water stood. @returns {Float32Array} */
export function wash(height, width) {
  const [rows, columns] = canvasOf(height, width);
  const make = (sigma, seed) => noise(rows, columns, sigma, seed);
  const pool = mixed([1, make(30, 12)], [0.35, make(9, 13)], [0.1, make(3, 14)]);
  for (let at = 0; at < pool.data.length; at++) {
    const over = pool.data[at] - 0.7;
    pool.data[at] = over > 0 ? Math.exp(-over / 0.1) - 0.5 : 0;
  }
  const density = mixed([1, make(42, 10)], [0.55, make(16, 11)], [0.9, blurred(pool, 0.9)]);
  const [mean, deviation] = moments(density.data);
  for (let at = 0; at < density.data.length; at++) density.data[at] = (density.data[at] - mean) / deviation;
  return resized(density, height, width).data;
}

/** 255 where the drawing is, 0 on the blank paper around it. @returns {Uint8Array} */
export function frame(height, width, margin) {
  const [rows, columns] = canvasOf(height, width);
  const rough = mixed(
    [0.3 * margin, noise(rows, columns, 22, 15)], [0.06 * margin, noise(rows, columns, 5, 16)],
    [0.7, noise(rows, columns, 0.9, 17)],
  );
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const far = Math.min(x, columns - 1 - x, y, rows - 1 - y);
      const at = y * columns + x;
      rough.data[at] = Math.min(1, Math.max(0, (far - margin + rough.data[at]) / 2 + 0.5)) * 255;
    }
  }
  return bytes(resized(rough, height, width).data);
}
