// Planes in the cells of a grid, and values between these cells.

import { rint } from "./tables.js";

export const clamp = (value, low, high) => (value < low ? low : value > high ? high : value);

/** The means of a plane in the cells of a grid. Two halves are rounded up for cells of 2 x 2, as OpenCV does. */
export function shrunk(plane, width, height, { columns, rows }) {
  const to = new Uint8Array(columns * rows), isHalf = width === 2 * columns && height === 2 * rows;
  if (width % columns === 0 && height % rows === 0) return wholeCells(plane, width, to, columns, rows, width / columns, height / rows, isHalf);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [left, right] = [(column * width) / columns, ((column + 1) * width) / columns];
      const [top, bottom] = [(row * height) / rows, ((row + 1) * height) / rows];
      let sum = 0;
      for (let y = Math.floor(top); y < bottom; y++) {
        const tall = Math.min(bottom, y + 1) - Math.max(top, y);
        for (let x = Math.floor(left); x < right; x++) sum += tall * (Math.min(right, x + 1) - Math.max(left, x)) * plane[y * width + x];
      }
      to[row * columns + column] = rint(sum / ((right - left) * (bottom - top)));
    }
  }
  return to;
}

function wholeCells(plane, width, to, columns, rows, wide, tall, isHalf) {
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) {
      let sum = 0;
      for (let y = 0, line = row * tall * width + column * wide; y < tall; y++, line += width) {
        for (let x = line; x < line + wide; x++) sum += plane[x];
      }
      to[at] = isHalf ? (sum + 2) >> 2 : rint(sum / (wide * tall));
    }
  }
  return to;
}

/** A value between the samples of a plane. */
export function between(plane, columns, rows, x, y) {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [l, r, t, b] = [clamp(left, 0, columns - 1), clamp(left + 1, 0, columns - 1), clamp(top, 0, rows - 1) * columns, clamp(top + 1, 0, rows - 1) * columns];
  const upper = plane[t + l] + (plane[t + r] - plane[t + l]) * (x - left);
  const lower = plane[b + l] + (plane[b + r] - plane[b + l]) * (x - left);
  return upper + (lower - upper) * (y - top);
}

/** A plane changed by what the cells of a grid hold, a value between them at every place, rounded as OpenCV does. */
export function changed(plane, [width, height], cells, { columns, rows }, change) {
  const to = new Uint8Array(plane.length), line = new Float64Array(columns);
  const [left, right, part] = [new Int32Array(width), new Int32Array(width), new Float64Array(width)];
  for (let x = 0; x < width; x++) {
    const place = ((x + 0.5) * columns) / width - 0.5, low = Math.floor(place);
    [left[x], right[x], part[x]] = [clamp(low, 0, columns - 1), clamp(low + 1, 0, columns - 1), place - low];
  }
  for (let y = 0, at = 0; y < height; y++) {
    const place = ((y + 0.5) * rows) / height - 0.5, low = Math.floor(place), down = place - low;
    const [upper, lower] = [clamp(low, 0, rows - 1) * columns, clamp(low + 1, 0, rows - 1) * columns];
    for (let x = 0; x < columns; x++) line[x] = cells[upper + x] + (cells[lower + x] - cells[upper + x]) * down;
    for (let x = 0; x < width; x++, at++) {
      const value = line[left[x]];
      to[at] = change(plane[at], (value + (line[right[x]] - value) * part[x] + 0.5) | 0);
    }
  }
  return to;
}
