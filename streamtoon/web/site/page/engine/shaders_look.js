// The look in WGSL: fields in, a finished drawing out. Every step is a look-up, a sum or a product of bytes, as in
// engines/looks/renderer.py.
//
// Luma, ink and patterns lie as bytes, four to a word; chroma as one word a sample, Cb in its lowest byte.

import { TABLE_NAMES } from "./tables.js";

export const table = (name) => `${TABLE_NAMES.indexOf(name) * 256}u`;
/** Where the half widths of round brushes lie behind the tables: 16 for every radius. */
const BRUSHES = TABLE_NAMES.length * 256;
export const MOST_RADIUS = 15;
export const TABLE_BYTES = 4 * (BRUSHES + 16 * (MOST_RADIUS + 1));

/** @param {Record<string, ArrayLike<number>>} tables @returns {Float32Array} as the shaders read them */
export function packTables(tables) {
  const all = new Float32Array(TABLE_BYTES / 4);
  TABLE_NAMES.forEach((name, at) => all.set(tables[name], at * 256));
  for (let radius = 1; radius <= MOST_RADIUS; radius++) {
    for (let row = 0; row <= radius; row++) {
      all[BRUSHES + 16 * radius + row] = Math.round(radius * Math.sqrt((radius * radius - row * row) / (radius * radius)));
    }
  }
  return all;
}

/** Bits of what a look has. */
export const HAS = { edges: 1, pigment: 2, screen: 4, texture: 8, frame: 16, grain: 32, tones: 64 };
/** Planes of patterns in their buffer. */
export const PATTERN_PLANES = ["screen", "pigment", "texture", "frame", "grain"];

export const COMMON = `
struct Look {
  size: vec2<u32>,      // of the drawing, multiples of 4
  has: u32,
  reach: u32,           // of the mean around an edge
  radii: vec2<u32>,     // of the brushes that lines are widened with
  share: f32,           // of the larger one
  sigma: f32,           // of the blur of surroundings
  around: vec2<u32>,    // cells of the surroundings
  picture: vec2<u32>,   // pixels of the drawing that are shown
  ink: vec4<f32>,       // luma and chroma of lines, and how much chroma they cover, relative to luma
  screen: vec4<f32>,    // the same of a screen's marks
  slopes: vec2<u32>,    // cells of the slopes, the coarse grid
  slope: f32,           // of two cells whose luma differs by a code and that have one cell between them
  deepening: f32,       // of a faint feature, codes per code
  fine: vec2<u32>,      // cells of lines and features
  side: u32,            // of such a cell, pixels
  faintLines: f32,      // share of the ink that long lines lack
}
fn bytes(word: u32) -> vec4<u32> { return (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u); }
fn packed(codes: vec4<u32>) -> u32 {
  let all = codes << vec4<u32>(0u, 8u, 16u, 24u);
  return all.x | all.y | all.z | all.w;
}`;

const order = (a, b) => `{ let low = min(${a}, ${b}); ${b} = max(${a}, ${b}); ${a} = low; }`;

/** A 3 x 3 median of luma, four samples at a time; borders are repeated. */
export const median = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> given: array<u32>;
@group(0) @binding(2) var<storage, read_write> to: array<u32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let words = look.size.x / 4u;
  if (id.x >= words || id.y >= look.size.y) { return; }
  var v: array<vec4<u32>, 9>;
  for (var row = 0u; row < 3u; row++) {
    let line = u32(clamp(i32(id.y + row) - 1, 0, i32(look.size.y) - 1)) * words;
    let own = bytes(given[line + id.x]);
    var left = own.x;
    if (id.x > 0u) { left = given[line + id.x - 1u] >> 24u; }
    var right = own.w;
    if (id.x + 1u < words) { right = given[line + id.x + 1u] & 255u; }
    v[row * 3u] = vec4<u32>(left, own.xyz);
    v[row * 3u + 1u] = own;
    v[row * 3u + 2u] = vec4<u32>(own.yzw, right);
  }
  ${[[1, 2], [4, 5], [7, 8], [0, 1], [3, 4], [6, 7], [1, 2], [4, 5], [7, 8], [0, 3], [5, 8], [4, 7], [3, 6], [1, 4], [2, 5], [4, 7], [4, 2], [6, 4], [4, 2]]
    .map(([a, b]) => order(`v[${a}]`, `v[${b}]`)).join("\n  ")}
  to[id.y * words + id.x] = packed(v[4]);
}`;

/** Sums of the drawing's luma along a row, for the means around edges. */
export const rowSums = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> tables: array<f32>;
@group(0) @binding(2) var<storage, read> given: array<u32>;
@group(0) @binding(3) var<storage, read_write> to: array<u32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.size)) { return; }
  var sum = 0u;
  for (var at = -i32(look.reach); at <= i32(look.reach); at++) {
    let place = id.y * look.size.x + u32(clamp(i32(id.x) + at, 0, i32(look.size.x) - 1));
    sum += u32(round(tables[${table("luma")} + ((given[place / 4u] >> (8u * (place % 4u))) & 255u)]));
  }
  to[id.y * look.size.x + id.x] = sum;
}`;

/** The drawing itself: eight samples of luma and two of each chroma plane at a time. Behind tones lies their paint. */
export const drawing = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> tables: array<f32>;
@group(0) @binding(2) var<storage, read> paint: array<u32>;
@group(0) @binding(3) var<storage, read> colors: array<u32>;
@group(0) @binding(4) var<storage, read> ink: array<u32>;
@group(0) @binding(5) var<storage, read> patterns: array<u32>;
@group(0) @binding(6) var<storage, read> sums: array<u32>;
@group(0) @binding(7) var<storage, read_write> luma: array<u32>;
@group(0) @binding(8) var<storage, read_write> chroma: array<u32>;

fn exact(first: u32, codes: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(tables[first + codes.x], tables[first + codes.y], tables[first + codes.z], tables[first + codes.w]);
}
fn lookup(first: u32, codes: vec4<u32>) -> vec4<u32> { return vec4<u32>(round(exact(first, codes))); }
fn times(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> { return (a * b * 2u + 255u) / 510u; }
fn plus(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> { return min(a + b, vec4<u32>(255u)); }
fn minus(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> { return a - min(a, b); }
/** Means of 2 x 2, for both samples of chroma; each twice, as Cb Cb Cr Cr are laid out. */
fn half(upper: vec4<u32>, lower: vec4<u32>) -> vec4<u32> {
  let sum = upper + lower;
  let mean = (vec2<u32>(sum.x + sum.y, sum.z + sum.w) + 2u) / 4u;
  return mean.xyxy;
}
fn both(u: u32, v: u32, codes: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(tables[u + codes.x], tables[u + codes.y], tables[v + codes.z], tables[v + codes.w]);
}
/** Chroma under a colour that covers shares of the luma, once rounded. */
fn tinted(c: vec4<u32>, color: vec4<f32>, upper: vec4<f32>, lower: vec4<f32>) -> vec4<u32> {
  let share = vec4<f32>(half(vec4<u32>(round(upper * 255.0)), vec4<u32>(round(lower * 255.0)))) / 255.0;
  return vec4<u32>(round(mix(vec4<f32>(c), color.yyzz, clamp(share * color.w, vec4<f32>(), vec4<f32>(1.0)))));
}
fn pattern(which: u32, word: u32) -> vec4<u32> { return bytes(patterns[which * (look.size.x / 4u) * look.size.y + word]); }

fn widest(x: u32, y: u32, radius: u32) -> u32 {
  var most = 0u;
  for (var row = -i32(radius); row <= i32(radius); row++) {
    let line = i32(y) + row;
    if (line < 0 || line >= i32(look.size.y)) { continue; }
    let wide = i32(tables[${BRUSHES}u + 16u * radius + u32(abs(row))]);
    for (var at = max(0, i32(x) - wide); at <= min(i32(look.size.x) - 1, i32(x) + wide); at++) {
      let place = u32(line) * look.size.x + u32(at);
      most = max(most, (ink[place / 4u] >> (8u * (place % 4u))) & 255u);
    }
  }
  return most;
}

fn response(word: u32, x: u32, y: u32) -> vec4<u32> {
  var codes = bytes(ink[word]);
  if (look.radii.y > 0u) {
    for (var one = 0u; one < 4u; one++) {
      var code = f32(codes[one]);
      if (look.radii.x > 0u) { code = f32(widest(x + one, y, look.radii.x)); }
      if (look.radii.y != look.radii.x) { code = round(code * (1.0 - look.share) + f32(widest(x + one, y, look.radii.y)) * look.share); }
      codes[one] = u32(code);
    }
  }
  if ((look.has & ${HAS.texture}u) != 0u) { codes = minus(codes, pattern(2u, word)); }
  return codes;
}

fn darkened(codes: vec4<u32>, x: u32, y: u32) -> vec4<u32> {
  var around = vec4<u32>();
  for (var at = -i32(look.reach); at <= i32(look.reach); at++) {
    let first = u32(clamp(i32(y) + at, 0, i32(look.size.y) - 1)) * look.size.x + x;
    around += vec4<u32>(sums[first], sums[first + 1u], sums[first + 2u], sums[first + 3u]);
  }
  let count = (2u * look.reach + 1u) * (2u * look.reach + 1u);
  let mean = (around * 2u + count) / (2u * count);
  return minus(codes, lookup(${table("edge")}, minus(mean, codes)));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let words = look.size.x / 4u;
  if (id.x >= words || id.y >= look.size.y / 2u) { return; }
  let word = vec2<u32>(id.y * 2u * words + id.x, (id.y * 2u + 1u) * words + id.x);
  let place = vec2<u32>(id.x * 4u, id.y * 2u);
  let own = array<vec4<u32>, 2>(bytes(paint[word.x]), bytes(paint[word.y]));
  var l = array<vec4<u32>, 2>(lookup(${table("luma")}, own[0]), lookup(${table("luma")}, own[1]));
  let isTouched = (look.has & ${HAS.edges | HAS.pigment | HAS.screen}u) != 0u; // before the lines are drawn

  let at = id.y * words * 2u + id.x * 2u;
  let given = vec4<u32>(colors[at] & 255u, colors[at + 1u] & 255u, colors[at] >> 8u, colors[at + 1u] >> 8u);
  let added = both(${table("ofLumaU")}, ${table("ofLumaV")}, half(own[0], own[1]));
  var c = vec4<u32>(clamp(round(exact(${table("chroma")}, given) + added - 128.0), vec4<f32>(), vec4<f32>(255.0)));

  if ((look.has & ${HAS.edges}u) != 0u) {
    l[0] = darkened(l[0], place.x, place.y);
    l[1] = darkened(l[1], place.x, place.y + 1u);
  }
  if ((look.has & ${HAS.pigment}u) != 0u) {
    let p = array<vec4<u32>, 2>(pattern(1u, word.x), pattern(1u, word.y));
    for (var row = 0u; row < 2u; row++) {
      let dense = times(lookup(${table("dense")}, l[row]), p[row]);
      l[row] = minus(lookup(${table("thin")}, l[row]), dense);
    }
    let small = half(p[0], p[1]);
    c = plus(times(lookup(${table("strongest")}, c), lookup(${table("strength")}, small)), lookup(${table("strengthZero")}, small));
  }
  if ((look.has & ${HAS.screen}u) != 0u) {
    var covered: array<vec4<f32>, 2>;
    let under = select(0u, words * look.size.y, (look.has & ${HAS.tones}u) != 0u);
    for (var row = 0u; row < 2u; row++) {
      let tone = lookup(${table("tone")}, bytes(paint[under + word[row]]));
      covered[row] = exact(${table("screen")}, minus(pattern(0u, word[row]), tone));
      l[row] = vec4<u32>(round(mix(vec4<f32>(l[row]), vec4<f32>(look.screen.x), covered[row])));
    }
    c = tinted(c, look.screen, covered[0], covered[1]);
  }
  {
    var covered: array<vec4<f32>, 2>;
    for (var row = 0u; row < 2u; row++) {
      covered[row] = exact(${table("ink")}, response(word[row], place.x, place.y + row));
      let bare = select(exact(${table("luma")}, own[row]), vec4<f32>(l[row]), isTouched);
      l[row] = vec4<u32>(round(mix(bare, vec4<f32>(look.ink.x), covered[row])));
    }
    c = tinted(c, look.ink, covered[0], covered[1]);
  }
  if ((look.has & ${HAS.frame}u) != 0u) {
    let inside = array<vec4<u32>, 2>(pattern(3u, word.x), pattern(3u, word.y));
    for (var row = 0u; row < 2u; row++) { l[row] = plus(times(l[row], inside[row]), lookup(${table("blankLuma")}, inside[row])); }
    let small = half(inside[0], inside[1]);
    c = plus(times(c, small), vec4<u32>(both(${table("blankU")}, ${table("blankV")}, small)));
  }
  for (var row = 0u; row < 2u; row++) {
    if ((look.has & ${HAS.grain}u) != 0u) { l[row] = times(l[row], pattern(4u, word[row])); }
    luma[word[row]] = packed(plus(l[row], vec4<u32>(16u)));
  }
  chroma[at] = c.x | (c.z << 8u);
  chroma[at + 1u] = c.y | (c.w << 8u);
}`;

/** Fields of a smaller picture at the drawing's size, so that lines are as crisp as the drawing. */
export const enlarged = `${COMMON}
struct Sizes { small: vec2<u32>, whole: vec2<u32>, large: vec2<u32> } // the part of the whole that is made is large
@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> fromPaint: array<u32>;
@group(0) @binding(2) var<storage, read> fromColors: array<u32>;
@group(0) @binding(3) var<storage, read> fromInk: array<u32>;
@group(0) @binding(4) var<storage, read_write> paint: array<u32>;
@group(0) @binding(5) var<storage, read_write> colors: array<u32>;
@group(0) @binding(6) var<storage, read_write> ink: array<u32>;

fn sample(place: vec2<i32>) -> vec2<f32> {
  let at = vec2<u32>(clamp(place, vec2<i32>(), vec2<i32>(sizes.small) - 1));
  let word = at.y * (sizes.small.x / 4u) + at.x / 4u;
  let shift = 8u * (at.x % 4u);
  return vec2<f32>(f32((fromPaint[word] >> shift) & 255u), f32((fromInk[word] >> shift) & 255u));
}
fn color(place: vec2<i32>) -> vec2<f32> {
  let at = vec2<u32>(clamp(place, vec2<i32>(), vec2<i32>(sizes.small / 2u) - 1));
  let both = fromColors[at.y * (sizes.small.x / 2u) + at.x];
  return vec2<f32>(f32(both & 255u), f32(both >> 8u));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let words = sizes.large.x / 4u;
  if (id.x >= words || id.y >= sizes.large.y) { return; }
  let ratio = vec2<f32>(sizes.small) / vec2<f32>(sizes.whole);
  var y: vec4<u32>;
  var i: vec4<u32>;
  for (var one = 0u; one < 4u; one++) {
    let place = (vec2<f32>(f32(id.x * 4u + one), f32(id.y)) + 0.5) * ratio - 0.5;
    let low = vec2<i32>(floor(place));
    let part = place - floor(place);
    let upper = mix(sample(low), sample(low + vec2<i32>(1, 0)), part.x);
    let lower = mix(sample(low + vec2<i32>(0, 1)), sample(low + vec2<i32>(1, 1)), part.x);
    let both = vec2<u32>(round(mix(upper, lower, part.y)));
    y[one] = both.x;
    i[one] = both.y;
  }
  paint[id.y * words + id.x] = packed(y);
  ink[id.y * words + id.x] = packed(i);
  if (id.y % 2u == 1u) { return; }
  for (var one = 0u; one < 2u; one++) {
    let at = vec2<u32>(id.x * 2u + one, id.y / 2u);
    let place = (vec2<f32>(at) + 0.5) * ratio - 0.5;
    let low = vec2<i32>(floor(place));
    let part = place - floor(place);
    let upper = mix(color(low), color(low + vec2<i32>(1, 0)), part.x);
    let lower = mix(color(low + vec2<i32>(0, 1)), color(low + vec2<i32>(1, 1)), part.x);
    let both = vec2<u32>(round(mix(upper, lower, part.y)));
    colors[at.y * words * 2u + at.x] = both.x | (both.y << 8u);
  }
}`;

/** Planes as RGB on a canvas; chroma is enlarged bilinearly. */
export const shown = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> luma: array<u32>;
@group(0) @binding(2) var<storage, read> chroma: array<u32>;

@vertex fn corners(@builtin(vertex_index) at: u32) -> @builtin(position) vec4<f32> {
  return vec4<f32>(f32(at & 1u) * 4.0 - 1.0, f32(at >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

fn color(place: vec2<i32>) -> vec2<f32> {
  let at = vec2<u32>(clamp(place, vec2<i32>(), vec2<i32>(look.size / 2u) - 1));
  let both = chroma[at.y * (look.size.x / 2u) + at.x];
  return vec2<f32>(f32(both & 255u), f32(both >> 8u));
}

@fragment fn pixel(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
  let at = min(vec2<u32>(position.xy), look.size - 1u);
  let y = 1.1643835616438356 * (f32((luma[at.y * (look.size.x / 4u) + at.x / 4u] >> (8u * (at.x % 4u))) & 255u) - 16.0);
  let place = (vec2<f32>(at) + 0.5) / 2.0 - 0.5;
  let low = vec2<i32>(floor(place));
  let part = place - floor(place);
  let upper = mix(color(low), color(low + vec2<i32>(1, 0)), part.x);
  let lower = mix(color(low + vec2<i32>(0, 1)), color(low + vec2<i32>(1, 1)), part.x);
  let c = round(mix(upper, lower, part.y)) - 128.0;
  let rgb = vec3<f32>(y + 1.7927410714285714 * c.y, y - 0.21324861427372963 * c.x - 0.5329093285594763 * c.y, y + 2.1124017857142854 * c.x);
  return vec4<f32>(clamp(round(rgb), vec3<f32>(), vec3<f32>(255.0)) / 255.0, 1.0);
}`;
