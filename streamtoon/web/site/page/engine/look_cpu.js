// The look in JavaScript, for browsers without WebGPU: the same steps on the same bytes as shaders_look.js.

import { changed, clamp, shrunk } from "./cells.js";
import { detailed } from "./details.js";
import { gridOf, SLOPE, SURROUNDINGS } from "./grids.js";
import { scaleOf } from "./patterns.js";
import { BLACK, isSoftened, makeTables, rint, toTable } from "./tables.js";

const times = (a, b) => ((a * b * 2 + 255) / 510) | 0;

/** Means of 2 x 2 samples. */
function halved(from, width, height) {
  const to = new Uint8Array((width * height) / 4);
  for (let y = 0, at = 0; y < height; y += 2) {
    for (let x = 0, line = y * width; x < width; x += 2, line += 2, at++) {
      to[at] = (from[line] + from[line + 1] + from[line + width] + from[line + width + 1] + 2) >> 2;
    }
  }
  return to;
}

const looked = (plane, table, Kind = Uint8Array) => {
  const to = new Kind(plane.length);
  for (let at = 0; at < plane.length; at++) to[at] = table[plane[at]];
  return to;
};

export class CpuLook {
  #look; #made; #patterns; #width; #height; #scale;

  /** @param {Record<string, Uint8Array>} patterns as `patternPlanes` makes them for this size, multiples of 4 */
  constructor(look, patterns, height, width) {
    [this.#look, this.#patterns, this.#height, this.#width] = [look, patterns, height, width];
    this.#made = makeTables(look);
    this.#scale = scaleOf(height, width);
  }

  /**
   * @param {{y: Uint8Array, u: Uint8Array, v: Uint8Array, ink: Uint8Array}} fields of paint and ink
   * @returns {{y: Uint8Array, u: Uint8Array, v: Uint8Array}} the drawing, limited range
   */
  draw(fields) {
    const { tables, covers } = this.#made, look = this.#look, p = this.#patterns;
    const details = detailed(look, fields, this.#calmed(fields.y), this.#height, this.#width);
    const paint = this.#lifted(details.y), own = this.#toned(paint);
    const isTouched = look.edge_darkening || p.pigment || p.screen; // before the lines are drawn
    let luma = isTouched ? looked(own, toTable(tables.luma)) : looked(own, tables.luma, Float32Array);
    const [u, v] = this.#colors(fields, own);
    if (look.edge_darkening) this.#darkenEdges(luma);
    if (p.pigment) this.#settle(luma, [u, v], p.pigment);
    if (p.screen) {
      const marks = paint.map((code, at) => Math.max(0, p.screen[at] - tables.tone[code]));
      luma = this.#cover(luma, u, v, marks, tables.screen, covers.screen);
    }
    luma = this.#cover(luma, u, v, this.#response(details.ink), tables.ink, covers.ink);
    if (p.frame) {
      const small = halved(p.frame, this.#width, this.#height);
      for (let at = 0; at < luma.length; at++) luma[at] = Math.min(255, times(luma[at], p.frame[at]) + tables.blankLuma[p.frame[at]]);
      for (let at = 0; at < u.length; at++) {
        u[at] = Math.min(255, times(u[at], small[at]) + tables.blankU[small[at]]);
        v[at] = Math.min(255, times(v[at], small[at]) + tables.blankV[small[at]]);
      }
    }
    for (let at = 0; at < luma.length; at++) luma[at] = Math.min(255, (p.grain ? times(luma[at], p.grain[at]) : luma[at]) + BLACK);
    return { y: luma, u, v };
  }

  #calmed(plane) {
    const [width, height] = [this.#width, this.#height];
    const values = new Uint8Array(9);
    for (let pass = 0; pass < this.#look.smooth; pass++) {
      const to = new Uint8Array(plane.length);
      for (let y = 0; y < height; y++) {
        const rows = [Math.max(0, y - 1) * width, y * width, Math.min(height - 1, y + 1) * width];
        for (let x = 0; x < width; x++) {
          const [left, right] = [x ? x - 1 : 0, x + 1 < width ? x + 1 : x];
          for (let row = 0; row < 3; row++) {
            values[3 * row] = plane[rows[row] + left];
            values[3 * row + 1] = plane[rows[row] + x];
            values[3 * row + 2] = plane[rows[row] + right];
          }
          to[y * width + x] = middle(values);
        }
      }
      plane = to;
    }
    return plane;
  }

  #lifted(plane) {
    if (!this.#look.local) return plane;
    const [width, height] = [this.#width, this.#height];
    const grid = gridOf("local", height, width);
    const around = blurred(shrunk(plane, width, height, grid), grid, (SURROUNDINGS * Math.min(width, height)) / grid.step);
    return changed(plane, [width, height], looked(around, this.#made.tables.lift), grid, (code, lift) => Math.min(255, code + lift));
  }

  #toned(plane) {
    if (!isSoftened(this.#look)) return plane;
    const { seen, softTone, hardTone } = this.#made.tables, grid = gridOf("coarse", this.#height, this.#width);
    const cells = looked(shrunk(plane, this.#width, this.#height, grid), seen, Float32Array);
    return changed(plane, [this.#width, this.#height], steepness(cells, grid, this.#scale), grid, (code, hard) => rint(softTone[code] + ((hardTone[code] - softTone[code]) * hard) / 255));
  }

  #colors(fields, own) {
    const { tables } = this.#made, half = halved(own, this.#width, this.#height);
    return [[fields.u, tables.ofLumaU], [fields.v, tables.ofLumaV]].map(([plane, added]) =>
      plane.map((code, at) => clamp(rint(tables.chroma[code] + added[half[at]] - 128), 0, 255)));
  }

  #darkenEdges(luma) {
    const [width, height] = [this.#width, this.#height];
    const reach = Math.max(1, Math.round((this.#look.edge_width * this.#scale) / 2)), count = (2 * reach + 1) ** 2;
    const sums = new Uint32Array(luma.length), around = new Uint32Array(width);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) for (let at = -reach; at <= reach; at++) sums[y * width + x] += luma[y * width + clamp(x + at, 0, width - 1)];
    }
    for (let y = 0; y < height; y++) {
      around.fill(0);
      for (let at = -reach; at <= reach; at++) {
        const line = clamp(y + at, 0, height - 1) * width;
        for (let x = 0; x < width; x++) around[x] += sums[line + x];
      }
      for (let x = 0; x < width; x++) {
        const mean = ((around[x] * 2 + count) / (2 * count)) | 0;
        const code = luma[y * width + x];
        luma[y * width + x] = Math.max(0, code - this.#made.tables.edge[Math.max(0, mean - code)]);
      }
    }
  }

  #settle(luma, chroma, pigment) {
    const { thin, dense, strength, strengthZero, strongest } = this.#made.tables;
    for (let at = 0; at < luma.length; at++) luma[at] = Math.max(0, thin[luma[at]] - times(dense[luma[at]], pigment[at]));
    const small = halved(pigment, this.#width, this.#height);
    for (const plane of chroma) {
      for (let at = 0; at < plane.length; at++) plane[at] = Math.min(255, times(strongest[plane[at]], strength[small[at]]) + strengthZero[small[at]]);
    }
  }

  /** Lays a colour over the paint where `marks` are; chroma changes in place. @returns {Uint8Array} luma */
  #cover(luma, u, v, marks, shares, [y, cb, cr, ofChroma]) {
    const covered = new Uint8Array(luma.length);
    for (let at = 0; at < luma.length; at++) covered[at] = rint(luma[at] + (y - luma[at]) * shares[marks[at]]);
    const half = halved(looked(marks, toTable(shares.map((share) => 255 * share))), this.#width, this.#height);
    for (let at = 0; at < u.length; at++) {
      const share = clamp((half[at] / 255) * ofChroma, 0, 1);
      u[at] = rint(u[at] + (cb - u[at]) * share);
      v[at] = rint(v[at] + (cr - v[at]) * share);
    }
    return covered;
  }

  #response(ink) {
    const wide = this.#look.line_width * this.#scale, low = Math.floor(wide), share = wide - low;
    let codes = ink;
    if (wide) {
      codes = this.#widened(ink, low);
      if (share) {
        const larger = this.#widened(ink, low + 1);
        codes = codes.map((code, at) => rint(code * (1 - share) + larger[at] * share));
      }
    }
    const { texture } = this.#patterns;
    return texture ? codes.map((code, at) => Math.max(0, code - texture[at])) : codes;
  }

  #widened(ink, radius) {
    if (!radius) return ink;
    const [width, height] = [this.#width, this.#height];
    const to = new Uint8Array(ink.length);
    for (let row = -radius; row <= radius; row++) {
      const reach = Math.round(radius * Math.sqrt((radius * radius - row * row) / (radius * radius)));
      for (let y = Math.max(0, -row); y < Math.min(height, height - row); y++) {
        for (let x = 0; x < width; x++) {
          let most = to[y * width + x];
          for (let at = Math.max(0, x - reach); at <= Math.min(width - 1, x + reach); at++) most = Math.max(most, ink[(y + row) * width + at]);
          to[y * width + x] = most;
        }
      }
    }
    return to;
  }
}

function middle(values) { // of nine, by a partial sort
  for (let at = 0; at < 5; at++) {
    let least = at;
    for (let other = at + 1; other < 9; other++) if (values[other] < values[least]) least = other;
    const value = values[least];
    values[least] = values[at];
    values[at] = value;
  }
  return values[4];
}

function blurred(plane, { columns, rows }, sigma) {
  const reach = (Math.round(sigma * 6 + 1) | 1) >> 1;
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, at) => Math.exp(-((at - reach) ** 2) / (2 * sigma * sigma)));
  const all = weights.reduce((sum, one) => sum + one, 0);
  const pass = (from, down) => {
    const to = new Float32Array(from.length);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        let sum = 0;
        for (let at = -reach; at <= reach; at++) {
          sum += weights[at + reach] * (down ? from[clamp(y + at, 0, rows - 1) * columns + x] : from[y * columns + clamp(x + at, 0, columns - 1)]);
        }
        to[y * columns + x] = sum / all;
      }
    }
    return to;
  };
  return Uint8Array.from(pass(pass(plane, false), true), rint);
}

/** How steep luma is around every cell: 0 up to SLOPE.soft, 255 from SLOPE.hard. Edges of things do not count. */
function steepness(cells, { step, columns, rows }, scale) {
  const place = (x, y) => clamp(y, 0, rows - 1) * columns + clamp(x, 0, columns - 1);
  const slopes = new Float32Array(cells.length), to = new Uint8Array(cells.length);
  for (let y = 0, at = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, at++) {
      slopes[at] = Math.hypot(cells[place(x + 1, y)] - cells[place(x - 1, y)], cells[place(x, y + 1)] - cells[place(x, y - 1)]) * (scale / (2 * step));
    }
  }
  const reach = SLOPE.window >> 1;
  for (let y = 0, at = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, at++) {
      let sum = 0, count = 0;
      for (let down = -reach; down <= reach; down++) {
        for (let across = -reach; across <= reach; across++) {
          const slope = slopes[place(x + across, y + down)];
          if (slope <= SLOPE.edge) [sum, count] = [sum + slope, count + 1];
        }
      }
      to[at] = clamp(rint((255 * ((count ? sum / count : SLOPE.hard) - SLOPE.soft)) / (SLOPE.hard - SLOPE.soft)), 0, 255);
    }
  }
  return to;
}
