// Short lines that are left out and faint ones that are drawn, in JavaScript: engines/looks/details.py.

import { changed, clamp, shrunk } from "./cells.js";
import { DETAILS, detailsOf, gridOf, isDetailed } from "./grids.js";
import { rint } from "./tables.js";

function minus(plane, other) {
  const to = new Uint8Array(plane.length);
  for (let at = 0; at < to.length; at++) to[at] = plane[at] > other[at] ? plane[at] - other[at] : 0;
  return to;
}

/**
 * @param {Record<string, any>} look all its keys
 * @param {{y: Uint8Array, u: Uint8Array, v: Uint8Array, ink: Uint8Array}} fields of paint and ink
 * @param {Uint8Array} y luma of the paint, without speckle
 * @returns {{y: Uint8Array, ink: Uint8Array}} luma with deeper features, and the ink of the lines that are drawn
 */
export function detailed(look, fields, y, height, width) {
  if (!isDetailed(look)) return { y, ink: fields.ink };
  const [fine, coarse] = ["fine", "coarse"].map((key) => gridOf(key, height, width));
  const { strokes, bright, square, deepening, missing } = detailsOf(look, height, width);
  const luma = shrunk(fields.y, width, height, fine), skin = skinOf(fields, height, width, coarse);
  const each = (from, cells, rule) => changed(from, [width, height], cells, fine, rule);
  const less = (code, taken) => Math.max(0, code - taken), more = (code, given) => Math.min(255, code + given);
  const share = (plane, { window }, range) => {
    const cells = Float32Array.from(shrunk(plane, fine.columns, fine.rows, coarse), (code) => code / (range.high - range.low));
    return meanAround(cells, coarse, window);
  };
  let { ink } = fields, plain = new Uint8Array(luma.length);
  if (deepening) {
    const { low, high } = DETAILS.feature;
    const faint = minus(closed(luma, fine, square), luma).map((code) => clamp(code, low, high) - low);
    const care = share(faint, DETAILS.texture, DETAILS.feature).map((one, at) => skin[at] * (1 - step(one, skin[at], DETAILS.texture)));
    const weights = Uint8Array.from(care, (share) => rint(255 * share));
    plain = changed(faint, [fine.columns, fine.rows], weights, coarse, (code, weight) => (code ? 0 : rint(weight * look.features)));
    const deeper = changed(faint, [fine.columns, fine.rows], weights, coarse, (code, weight) => rint((code * deepening * weight) / 255));
    y = each(y, deeper, less);
    ink = each(ink, deeper, (code, given) => more(code, DETAILS.feature.inked * given));
  }
  if (strokes.length) {
    const small = largest(fields.ink, width, height, fine), long = opened(small, fine, strokes);
    const short = minus(small, long);
    if (look.faint_lines) ink = each(ink, largestAround(long, fine, DETAILS.faint.reach).map((code) => missing[code]), more);
    const seen = small.map((code, at) => Math.max(0, Math.min(code, DETAILS.ink.high) - Math.max(long[at], DETAILS.ink.low)));
    const [crowd, lights] = [share(seen, DETAILS.crowd, DETAILS.ink), share(lightsOf(luma, fine, bright), DETAILS.lights, DETAILS.light)];
    const limit = Uint8Array.from(crowd, (one, at) => rint(Math.max(DETAILS.crowd.codes * step(one, skin[at], DETAILS.crowd), 255 * step(lights[at], skin[at], DETAILS.lights))));
    const most = changed(plain, [fine.columns, fine.rows], limit, coarse, Math.max);
    ink = each(ink, short.map((code, at) => Math.min(code, most[at])), less);
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
  const shares = Float32Array.from(cb, (code, at) => {
    const along = axis[1] * (cr[at] - 128) + axis[0] * (code - 128), across = axis[0] * (cr[at] - 128) - axis[1] * (code - 128);
    return clamp(2.2 - (4 * Math.abs(across)) / Math.max(along, 1), 0, 1) * clamp((along - 5) / 6, 0, 1) * clamp((62 - along) / 12, 0, 1);
  });
  return meanAround(shares, coarse, window).map((share) => clamp((share - low) / (high - low), 0, 1));
}

/** The largest value of a plane in every cell. */
function largest(plane, width, height, { step: side, columns, rows }) {
  const to = new Uint8Array(columns * rows);
  for (let row = 0, at = 0; row < rows; row++) {
    const top = Math.floor((row * height) / rows), bottom = Math.min(height, top + side);
    for (let column = 0; column < columns; column++, at++) {
      const left = Math.floor((column * width) / columns), right = Math.min(width, left + side);
      let most = 0;
      for (let y = top; y < bottom; y++) {
        for (let x = y * width + left; x < y * width + right; x++) if (plane[x] > most) most = plane[x];
      }
      to[at] = most;
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

/** Calls `one(first, last, apart)` for every row of cells that a cell of a stroke, `apart` places away, lies inside with. */
function eachRow({ columns, rows }, [across, down], one) {
  const [left, right] = [Math.max(0, -across), Math.min(columns, columns - across)];
  for (let y = Math.max(0, -down); y < Math.min(rows, rows - down); y++) one(y * columns + left, y * columns + right, down * columns + across);
}

/** The least of a plane under a stroke at every cell, as far as the stroke lies inside. */
function least(plane, grid, stroke) {
  const to = new Uint8Array(plane.length).fill(255);
  for (const cell of stroke) {
    eachRow(grid, cell, (first, last, apart) => {
      for (let at = first; at < last; at++) if (plane[at + apart] < to[at]) to[at] = plane[at + apart];
    });
  }
  return to;
}

/** The most of a plane under a stroke at every cell. */
function most(plane, grid, stroke, to = new Uint8Array(plane.length)) {
  for (const cell of stroke) {
    eachRow(grid, cell, (first, last, apart) => {
      for (let at = first; at < last; at++) if (plane[at + apart] > to[at]) to[at] = plane[at + apart];
    });
  }
  return to;
}

/** Cells of a grid under strokes around any cell: places relative to it, and how far they reach. */
function laid(strokes, { columns }) {
  return strokes.map((stroke) => ({
    across: Int32Array.from(stroke, ([across]) => across), down: Int32Array.from(stroke, ([, down]) => down),
    apart: Int32Array.from(stroke, ([across, down]) => down * columns + across), reach: stroke.length >> 1,
  }));
}

const isInside = (x, y, { columns, rows }) => x >= 0 && x < columns && y >= 0 && y < rows;
const isFarInside = (x, y, reach, { columns, rows }) => x >= reach && x < columns - reach && y >= reach && y < rows - reach;

/** The least of a plane under a stroke around a cell, as far as it lies inside; or something below `enough`. */
function under(plane, grid, { across, down, apart, reach }, x, y, enough) {
  const at = y * grid.columns + x, isWhole = isFarInside(x, y, reach, grid);
  let found = 255;
  for (let cell = 0; cell < apart.length; cell++) {
    if (!isWhole && !isInside(x + across[cell], y + down[cell], grid)) continue;
    const code = plane[at + apart[cell]];
    if (code < enough) return code;
    if (code < found) found = code;
  }
  return found;
}

/** What remains of the ink where one of the strokes fits in. Ink that is too weak for almost every look remains. */
function opened(plane, grid, strokes) {
  const { unseen } = DETAILS, to = plane.map((code) => Math.min(code, unseen)), all = laid(strokes, grid);
  for (let y = 0, at = 0; y < grid.rows; y++) {
    for (let x = 0; x < grid.columns; x++, at++) {
      if (plane[at] < unseen) continue;
      for (const stroke of all) {
        const code = under(plane, grid, stroke, x, y, unseen);
        if (code < unseen) continue;
        for (let cell = 0; cell < stroke.apart.length; cell++) {
          const place = at + stroke.apart[cell];
          if (isInside(x + stroke.across[cell], y + stroke.down[cell], grid) && to[place] < code) to[place] = code;
        }
      }
    }
  }
  return to;
}

/** Codes by which every cell is a small light. Most cells are none as soon as the first stroke fits in. */
function lightsOf(luma, grid, strokes) {
  const to = new Uint8Array(luma.length), { ratio, low, high } = DETAILS.light, all = laid(strokes, grid);
  for (let y = 0, at = 0; y < grid.rows; y++) {
    for (let x = 0; x < grid.columns; x++, at++) {
      const enough = (luma[at] - low) / ratio;
      if (enough <= 0) continue;
      const dim = brightest(luma, grid, all, x, y, enough);
      if (dim < enough) to[at] = clamp(luma[at] - rint(dim * ratio), low, high) - low;
    }
  }
  return to;
}

/** The most of what lies under the strokes through a cell; or as soon as it is found, something that is `enough`. */
function brightest(plane, grid, strokes, x, y, enough) {
  let dim = 0;
  for (const stroke of strokes) {
    for (let cell = 0; cell < stroke.apart.length; cell++) {
      const [column, row] = [x - stroke.across[cell], y - stroke.down[cell]];
      if (!isInside(column, row, grid)) continue;
      const code = under(plane, grid, stroke, column, row, dim);
      if (code >= enough) return code;
      if (code > dim) dim = code;
    }
  }
  return dim;
}

/** A row and a column of cells, which together make a square. */
function sides(reach) {
  const side = Array.from({ length: 2 * reach + 1 }, (_, at) => at - reach);
  return [side.map((at) => [at, 0]), side.map((at) => [0, at])];
}

/** The largest value of a plane in the square around every cell. */
function largestAround(plane, grid, reach) {
  const [row, column] = sides(reach);
  return most(most(plane, grid, row), grid, column);
}

/** A plane whose dark places are filled where no square of cells fits in. */
function closed(plane, grid, reach) {
  const [row, column] = sides(reach);
  return least(least(largestAround(plane, grid, reach), grid, row), grid, column);
}
