// Short lines that are left out and faint features that are deepened, in JavaScript: engines/looks/details.py.

import { changed, clamp, shrunk } from "./cells.js";
import { DETAILS, detailsOf, gridOf, isDetailed } from "./grids.js";
import { rint } from "./tables.js";

const minus = (plane, other) => plane.map((code, at) => Math.max(0, code - other[at]));

/**
 * @param {Record<string, any>} look all its keys
 * @param {{y: Uint8Array, u: Uint8Array, v: Uint8Array, ink: Uint8Array}} fields of paint and ink
 * @param {Uint8Array} y luma of the paint, without speckle
 * @returns {{y: Uint8Array, ink: Uint8Array}} planes with deeper features and fewer lines
 */
export function detailed(look, fields, y, height, width) {
  if (!isDetailed(look)) return { y, ink: fields.ink };
  const [fine, coarse] = ["fine", "coarse"].map((key) => gridOf(key, height, width));
  const { strokes, bright, square, deepening } = detailsOf(look, height, width);
  const luma = shrunk(fields.y, width, height, fine), skin = skinOf(fields, height, width, coarse);
  const taken = (from, cells) => changed(from, [width, height], cells, fine, (code, less) => Math.max(0, code - less));
  const share = (plane, { window }, range) => {
    const cells = shrunk(plane, fine.columns, fine.rows, coarse).map((code) => code / (range.high - range.low));
    return meanAround(cells, coarse, window);
  };
  let { ink } = fields;
  if (deepening) {
    const { low, high } = DETAILS.feature;
    const faint = minus(closed(luma, fine, square), luma).map((code) => clamp(code, low, high) - low);
    const care = share(faint, DETAILS.texture, DETAILS.feature).map((one, at) => skin[at] * (1 - step(one, skin[at], DETAILS.texture)));
    const weights = care.map((share) => rint(255 * share));
    y = taken(y, changed(faint, [fine.columns, fine.rows], weights, coarse, (code, weight) => rint((code * deepening * weight) / 255)));
  }
  if (strokes.length) {
    const small = largest(ink, width, height, fine), long = opened(small, fine, strokes);
    const short = minus(small, long);
    const seen = small.map((code, at) => Math.max(0, Math.min(code, DETAILS.ink.high) - Math.max(long[at], DETAILS.ink.low)));
    const { low, high } = DETAILS.light;
    const dim = opened(luma, fine, bright).map((code) => rint(code * DETAILS.light.ratio));
    const light = minus(luma, dim).map((code) => clamp(code, low, high) - low);
    const [crowd, lights] = [share(seen, DETAILS.crowd, DETAILS.ink), share(light, DETAILS.lights, DETAILS.light)];
    const most = crowd.map((one, at) => rint(Math.max(DETAILS.crowd.codes * step(one, skin[at], DETAILS.crowd), 255 * step(lights[at], skin[at], DETAILS.lights))));
    ink = taken(ink, changed(short, [fine.columns, fine.rows], most, coarse, Math.min));
  }
  return { y, ink };
}

function step(share, skin, range) {
  const t = clamp((share - range.skin * skin - range.low) / (range.high - range.low), 0, 1);
  return t * t * (3 - 2 * t);
}

function skinOf({ u, v }, height, width, coarse) {
  const { axis, window, low, high } = DETAILS.skin;
  const [cb, cr] = [u, v].map((plane) => shrunk(plane, width / 2, height / 2, coarse));
  const shares = cb.map((code, at) => {
    const along = axis[1] * (cr[at] - 128) + axis[0] * (code - 128), across = axis[0] * (cr[at] - 128) - axis[1] * (code - 128);
    return clamp(2.2 - (4 * Math.abs(across)) / Math.max(along, 1), 0, 1) * clamp((along - 5) / 6, 0, 1) * clamp((62 - along) / 12, 0, 1);
  });
  return meanAround(shares, coarse, window).map((share) => clamp((share - low) / (high - low), 0, 1));
}

/** The largest value of a plane in every cell. */
function largest(plane, width, height, { step: side, columns, rows }) {
  const to = new Float32Array(columns * rows);
  for (let row = 0, at = 0; row < rows; row++) {
    const top = Math.floor((row * height) / rows);
    for (let column = 0; column < columns; column++, at++) {
      const left = Math.floor((column * width) / columns);
      for (let y = top; y < Math.min(height, top + side); y++) {
        for (let x = left; x < Math.min(width, left + side); x++) to[at] = Math.max(to[at], plane[y * width + x]);
      }
    }
  }
  return to;
}

/** The mean over the square of `window` cells around every cell; borders are repeated. */
function meanAround(cells, { columns, rows }, window) {
  const reach = window >> 1;
  const pass = (from, down) => from.map((_, at) => {
    const [x, y] = [at % columns, Math.floor(at / columns)];
    let sum = 0;
    for (let off = -reach; off <= reach; off++) sum += down ? from[clamp(y + off, 0, rows - 1) * columns + x] : from[y * columns + clamp(x + off, 0, columns - 1)];
    return sum / window;
  });
  return pass(pass(cells, false), true);
}

/** The least (or the most) of a plane under a stroke at every cell, as far as the stroke lies inside. */
function under(plane, { columns, rows }, stroke, isLeast) {
  const to = new Float32Array(plane.length).fill(isLeast ? 255 : 0);
  for (const [across, down] of stroke) {
    const [left, right] = [Math.max(0, -across), Math.min(columns, columns - across)];
    for (let y = Math.max(0, -down); y < Math.min(rows, rows - down); y++) {
      for (let x = left, at = y * columns + left, from = (y + down) * columns + left + across; x < right; x++, at++, from++) {
        const code = plane[from];
        if (isLeast ? code < to[at] : code > to[at]) to[at] = code;
      }
    }
  }
  return to;
}

/** What remains of a plane where one of the strokes fits in. */
function opened(plane, grid, strokes) {
  const to = new Float32Array(plane.length);
  for (const stroke of strokes) {
    const kept = under(under(plane, grid, stroke, true), grid, stroke, false);
    for (let at = 0; at < to.length; at++) if (kept[at] > to[at]) to[at] = kept[at];
  }
  return to;
}

/** A plane whose dark places are filled where no square of cells fits in. */
function closed(plane, grid, reach) {
  const side = Array.from({ length: 2 * reach + 1 }, (_, at) => at - reach);
  const [row, column] = [side.map((at) => [at, 0]), side.map((at) => [0, at])];
  const wide = under(under(plane, grid, row, false), grid, column, false);
  return under(under(wide, grid, row, true), grid, column, true);
}
