// RGB to planes of YUV 4:2:0 (BT.709, limited range) and back, in JavaScript.

import { between } from "./cells.js";
import { rint } from "./tables.js";

const LUMA = [0.2126, 0.7152, 0.0722].map((one) => (one * 219) / 255);
const CB = [-0.2126, -0.7152, 0.9278].map((one) => ((one / 1.8556) * 224) / 255);
const CR = [0.7874, -0.7152, -0.0722].map((one) => ((one / 1.5748) * 224) / 255);

/** @param {Uint8ClampedArray} rgba width x height, multiples of 4 */
export function toPlanes(rgba, width, height) {
  const y = new Uint8Array(width * height), u = new Uint8Array(y.length / 4), v = new Uint8Array(y.length / 4);
  const [sumU, sumV] = [new Uint16Array(u.length), new Uint16Array(v.length)];
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at++) {
      const [r, g, b] = [rgba[4 * at], rgba[4 * at + 1], rgba[4 * at + 2]];
      y[at] = rint(LUMA[0] * r + LUMA[1] * g + LUMA[2] * b + 16);
      const small = (row >> 1) * (width >> 1) + (column >> 1);
      sumU[small] += rint(CB[0] * r + CB[1] * g + CB[2] * b + 128);
      sumV[small] += rint(CR[0] * r + CR[1] * g + CR[2] * b + 128);
    }
  }
  for (let at = 0; at < u.length; at++) [u[at], v[at]] = [(sumU[at] + 2) >> 2, (sumV[at] + 2) >> 2];
  return { y, u, v };
}

/** @returns {Uint8ClampedArray} RGBA; chroma is enlarged bilinearly */
export function toPixels({ y, u, v }, width, height) {
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at++) {
      const [x, down] = [(column + 0.5) / 2 - 0.5, (row + 0.5) / 2 - 0.5];
      const luma = 1.1643835616438356 * (y[at] - 16);
      const cb = rint(between(u, width / 2, height / 2, x, down)) - 128, cr = rint(between(v, width / 2, height / 2, x, down)) - 128;
      rgba[4 * at] = luma + 1.7927410714285714 * cr;
      rgba[4 * at + 1] = luma - 0.21324861427372963 * cb - 0.5329093285594763 * cr;
      rgba[4 * at + 2] = luma + 2.1124017857142854 * cb;
      rgba[4 * at + 3] = 255;
    }
  }
  return rgba;
}

/** Planes in blocks of 4 x 4 pixels as six layers of four bytes a block. @returns {Uint8Array} */
export function toBlocks({ y, u, v }, width, height) {
  const [columns, rows] = [width / 4, height / 4], area = columns * rows;
  const to = new Uint8Array(24 * area);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = 4 * (row * columns + column);
      for (let line = 0; line < 4; line++) {
        for (let one = 0; one < 4; one++) to[4 * area * line + at + one] = y[(4 * row + line) * width + 4 * column + one];
      }
      for (let one = 0; one < 4; one++) {
        const small = (2 * row + (one >> 1)) * (width / 2) + 2 * column + (one & 1);
        to[16 * area + at + one] = u[small];
        to[20 * area + at + one] = v[small];
      }
    }
  }
  return to;
}

/**
 * Ten layers of four bytes a block as planes of paint and ink.
 * @param {{y: Uint8Array, u: Uint8Array, v: Uint8Array}} source what the network was given, wholeWidth x wholeHeight
 * @param {number} width @param {number} height of the planes: the upper left part of the source, multiples of 4
 */
export function fromBlocks(codes, source, wholeWidth, wholeHeight, width, height) {
  const across = wholeWidth / 4, area = across * (wholeHeight / 4), [columns, rows] = [width / 4, height / 4];
  const limited = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);
  const fields = { y: new Uint8Array(width * height), u: new Uint8Array((width * height) / 4), v: new Uint8Array((width * height) / 4), ink: new Uint8Array(width * height) };
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = 4 * (row * across + column);
      for (let line = 0; line < 4; line++) {
        for (let one = 0; one < 4; one++) {
          const to = (4 * row + line) * width + 4 * column + one, from = (4 * row + line) * wholeWidth + 4 * column + one;
          fields.y[to] = limited(source.y[from] + codes[4 * area * line + at + one] - 128);
          fields.ink[to] = codes[4 * area * (6 + line) + at + one];
        }
      }
      for (let one = 0; one < 4; one++) {
        const to = (2 * row + (one >> 1)) * (width / 2) + 2 * column + (one & 1), from = (2 * row + (one >> 1)) * (wholeWidth / 2) + 2 * column + (one & 1);
        fields.u[to] = limited(source.u[from] + codes[16 * area + at + one] - 128);
        fields.v[to] = limited(source.v[from] + codes[20 * area + at + one] - 128);
      }
    }
  }
  return fields;
}
