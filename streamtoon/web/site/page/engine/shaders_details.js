// Short lines that are left out and faint ones that are drawn, in WGSL: engines/looks/details.py.

import { DETAILS, detailsOf, gridOf, strokeOf } from "./grids.js";
import { areaMean, sampleOf } from "./shaders_around.js";
import { COMMON } from "./shaders_look.js";

const cellsOf = (strokes) => strokes.flat().map(([across, down]) => `vec2<i32>(${across}, ${down})`).join(", ");

/** The strokes of lines and of lights, one behind the other, as constants. */
function strokes(reach) {
  const { inkDirections, lightDirections } = DETAILS;
  const of = (count) => Array.from({ length: count }, (_, at) => strokeOf(reach, at / count));
  const long = 2 * reach + 1;
  return `
const LONG = ${long};
const INK = array<vec2<i32>, ${long * inkDirections}>(${cellsOf(of(inkDirections))});
const LIGHT = array<vec2<i32>, ${long * lightDirections}>(${cellsOf(of(lightDirections))});`;
}

const inside = (grid) => `
fn isInside(at: vec2<i32>) -> bool { return all(at >= vec2<i32>()) && all(at < vec2<i32>(look.${grid})); }
fn index(at: vec2<i32>) -> u32 { return u32(at.y) * look.${grid}.x + u32(at.x); }`;

/** Luma and the most of the ink in every fine cell: two bytes. */
const fine = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> paint: array<u32>;
@group(0) @binding(2) var<storage, read> ink: array<u32>;
@group(0) @binding(3) var<storage, read_write> to: array<u32>;
${sampleOf("luma", "paint")}${sampleOf("response", "ink")}${areaMean("luma", "f32", "fine")}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.fine)) { return; }
  let first = vec2<u32>(vec2<f32>(id.xy) * vec2<f32>(look.size) / vec2<f32>(look.fine));
  var most = 0.0;
  for (var y = first.y; y < min(first.y + look.side, look.size.y); y++) {
    for (var x = first.x; x < min(first.x + look.side, look.size.x); x++) { most = max(most, response(vec2<u32>(x, y))); }
  }
  to[id.y * look.fine.x + id.x] = u32(lumaMean(id.xy, look.size)) | (u32(most) << 8u);
}`;

/** The least ink under every stroke, the least luma under those of lights, and the most luma under a square. */
const under = (reach, square) => `${COMMON}${strokes(reach)}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> cells: array<u32>;
@group(0) @binding(2) var<storage, read_write> to: array<vec4<u32>>;
${inside("fine")}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.fine)) { return; }
  let own = vec2<i32>(id.xy);
  var found = array<vec4<u32>, 3>(vec4<u32>(255u), vec4<u32>(255u), vec4<u32>(255u));
  for (var at = 0; at < LONG * ${DETAILS.inkDirections}; at++) {
    let place = own + INK[at];
    if (!isInside(place)) { continue; }
    let turn = at / LONG;
    found[turn / 4][turn % 4] = min(found[turn / 4][turn % 4], cells[index(place)] >> 8u);
  }
  for (var at = 0; at < LONG * ${DETAILS.lightDirections}; at++) {
    let place = own + LIGHT[at];
    if (isInside(place)) { found[2][at / LONG] = min(found[2][at / LONG], cells[index(place)] & 255u); }
  }
  var wide = 0u;
  for (var y = max(0, own.y - ${square}); y <= min(i32(look.fine.y) - 1, own.y + ${square}); y++) {
    for (var x = max(0, own.x - ${square}); x <= min(i32(look.fine.x) - 1, own.x + ${square}); x++) {
      wide = max(wide, cells[index(vec2<i32>(x, y))] & 255u);
    }
  }
  to[index(own)] = vec4<u32>(packed(found[0]), packed(found[1]), packed(found[2]), wide);
}`;

/** What is short, what of it is seen, what is a light and what is a faint feature, four bytes; and what is long. */
const found = (reach, square) => `${COMMON}${strokes(reach)}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> cells: array<u32>;
@group(0) @binding(2) var<storage, read> least: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> to: array<vec2<u32>>;
${inside("fine")}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.fine)) { return; }
  let own = vec2<i32>(id.xy);
  var long = 0u;
  for (var at = 0; at < LONG * ${DETAILS.inkDirections}; at++) {
    let place = own + INK[at];
    let turn = u32(at / LONG);
    if (isInside(place)) { long = max(long, (least[index(place)][turn / 4u] >> (8u * (turn % 4u))) & 255u); }
  }
  var dim = 0u;
  for (var at = 0; at < LONG * ${DETAILS.lightDirections}; at++) {
    let place = own + LIGHT[at];
    if (isInside(place)) { dim = max(dim, (least[index(place)].z >> (8u * u32(at / LONG))) & 255u); }
  }
  var around = 255u;
  for (var y = max(0, own.y - ${square}); y <= min(i32(look.fine.y) - 1, own.y + ${square}); y++) {
    for (var x = max(0, own.x - ${square}); x <= min(i32(look.fine.x) - 1, own.x + ${square}); x++) {
      around = min(around, least[index(vec2<i32>(x, y))].w);
    }
  }
  let luma = cells[index(own)] & 255u;
  let ink = cells[index(own)] >> 8u;
  let top = min(ink, ${DETAILS.ink.high}u);
  let seen = top - min(top, max(long, ${DETAILS.ink.low}u));
  let light = clamp(luma - min(luma, u32(round(f32(dim) * ${DETAILS.light.ratio}))), ${DETAILS.light.low}u, ${DETAILS.light.high}u) - ${DETAILS.light.low}u;
  let faint = clamp(around - luma, ${DETAILS.feature.low}u, ${DETAILS.feature.high}u) - ${DETAILS.feature.low}u;
  to[index(own)] = vec2<u32>(packed(vec4<u32>(ink - long, seen, light, faint)), long);
}`;

/** Shares of every coarse cell: short lines, lights, faintness, and the colours of skin. */
const coarse = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> given: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> colors: array<u32>;
@group(0) @binding(3) var<storage, read_write> to: array<vec4<f32>>;

fn color(at: vec2<u32>) -> vec4<f32> { return vec4<f32>(bytes(colors[at.y * (look.size.x / 2u) + at.x])); }
fn detail(at: vec2<u32>) -> vec4<f32> { return vec4<f32>(bytes(given[at.y * look.fine.x + at.x].x)); }
${areaMean("color", "vec4<f32>", "slopes")}${areaMean("detail", "vec4<f32>", "slopes")}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.slopes)) { return; }
  let c = colorMean(id.xy, look.size / 2u).xy - 128.0;
  let axis = vec2<f32>(${DETAILS.skin.axis.join(", ")});
  let along = dot(axis, c);
  let across = abs(axis.x * c.y - axis.y * c.x);
  let hue = clamp(2.2 - 4.0 * across / max(along, 1.0), 0.0, 1.0);
  let skin = hue * clamp((along - 5.0) / 6.0, 0.0, 1.0) * clamp((62.0 - along) / 12.0, 0.0, 1.0);
  let most = vec3<f32>(${[DETAILS.ink, DETAILS.light, DETAILS.feature].map(({ low, high }) => high - low).join(", ")});
  to[id.y * look.slopes.x + id.x] = vec4<f32>(detailMean(id.xy, look.fine).yzw / most, skin);
}`;

/** The most that short lines lose, and how far features are deepened, around every coarse cell: two bytes. */
const weights = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> given: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> to: array<u32>;

fn mean(own: vec2<i32>, window: i32) -> vec4<f32> {
  var sum = vec4<f32>();
  for (var y = -window / 2; y <= window / 2; y++) {
    for (var x = -window / 2; x <= window / 2; x++) {
      let at = vec2<u32>(clamp(own + vec2<i32>(x, y), vec2<i32>(), vec2<i32>(look.slopes) - 1));
      sum += given[at.y * look.slopes.x + at.x];
    }
  }
  return sum / f32(window * window);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.slopes)) { return; }
  let own = vec2<i32>(id.xy);
  let skin = clamp((mean(own, ${DETAILS.skin.window}).w - ${DETAILS.skin.low}) / ${DETAILS.skin.high - DETAILS.skin.low}, 0.0, 1.0);
  let wide = mean(own, ${DETAILS.crowd.window}); // that of texture has the same window
  let crowd = wide.x - ${DETAILS.crowd.skin} * skin;
  let care = skin * (1.0 - smoothstep(${DETAILS.texture.low}, ${DETAILS.texture.high}, wide.z));
  let lights = mean(own, ${DETAILS.lights.window}).y - ${DETAILS.lights.skin} * skin;
  let most = max(${DETAILS.crowd.codes}.0 * smoothstep(${DETAILS.crowd.low}, ${DETAILS.crowd.high}, crowd), 255.0 * smoothstep(${DETAILS.lights.low}, ${DETAILS.lights.high}, lights));
  let codes = vec2<u32>(round(vec2<f32>(most, 255.0 * care)));
  to[id.y * look.slopes.x + id.x] = codes.x | (codes.y << 8u);
}`;

const interpolated = (grid) => `
fn bytesAt(place: vec2<i32>) -> vec3<f32> {
  let at = vec2<u32>(clamp(place, vec2<i32>(), vec2<i32>(look.${grid}) - 1));
  let word = cells[at.y * look.${grid}.x + at.x];
  return vec3<f32>(bytes(word).xyz);
}
fn interpolated(place: vec2<f32>) -> vec3<f32> {
  let low = vec2<i32>(floor(place));
  let part = place - floor(place);
  let upper = mix(bytesAt(low), bytesAt(low + vec2<i32>(1, 0)), part.x);
  let lower = mix(bytesAt(low + vec2<i32>(0, 1)), bytesAt(low + vec2<i32>(1, 1)), part.x);
  return round(mix(upper, lower, part.y));
}`;

/** What is taken from the ink and from luma, and given to the ink, in every fine cell: three bytes. */
const taken = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> cells: array<u32>;
@group(0) @binding(2) var<storage, read> given: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> to: array<u32>;
${interpolated("slopes")}${inside("fine")}

/** The ink that a faint line gains, unless there is a stronger one next to it. */
fn missing(own: vec2<i32>) -> u32 {
  var long = 0u;
  for (var y = -${DETAILS.faint.reach}; y <= ${DETAILS.faint.reach}; y++) {
    for (var x = -${DETAILS.faint.reach}; x <= ${DETAILS.faint.reach}; x++) {
      let place = own + vec2<i32>(x, y);
      if (isInside(place)) { long = max(long, given[index(place)].y); }
    }
  }
  let lack = f32(${DETAILS.faint.drawn}u - min(long, ${DETAILS.faint.drawn}u));
  let share = clamp((f32(long) - ${DETAILS.faint.low}.0) / ${DETAILS.faint.high - DETAILS.faint.low}.0, 0.0, 1.0);
  return u32(round(look.faintLines * share * lack));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.fine)) { return; }
  let around = interpolated((vec2<f32>(id.xy) + 0.5) * vec2<f32>(look.slopes) / vec2<f32>(look.fine) - 0.5);
  let at = id.y * look.fine.x + id.x;
  let own = bytes(given[at].x);
  let plain = select(0u, u32(round(around.y * look.deepening / ${DETAILS.feature.deepest}.0)), own.w == 0u);
  let less = vec2<u32>(min(own.x, max(u32(around.x), plain)), u32(round(f32(own.w) * look.deepening * around.y / 255.0)));
  to[at] = less.x | (less.y << 8u) | (missing(vec2<i32>(id.xy)) << 16u);
}`;

/** Luma with deeper features, and the ink of the lines that are drawn. */
const detailed = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> cells: array<u32>;
@group(0) @binding(2) var<storage, read> paint: array<u32>;
@group(0) @binding(3) var<storage, read> ink: array<u32>;
@group(0) @binding(4) var<storage, read_write> toPaint: array<u32>;
@group(0) @binding(5) var<storage, read_write> toInk: array<u32>;
${interpolated("fine")}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let words = look.size.x / 4u;
  if (id.x >= words || id.y >= look.size.y) { return; }
  let word = id.y * words + id.x;
  var y = bytes(paint[word]);
  var i = bytes(ink[word]);
  for (var one = 0u; one < 4u; one++) {
    let change = vec3<u32>(interpolated((vec2<f32>(f32(id.x * 4u + one), f32(id.y)) + 0.5) * vec2<f32>(look.fine) / vec2<f32>(look.size) - 0.5));
    i[one] = min(255u, i[one] + ${DETAILS.feature.inked}u * change.y);
    i[one] = min(255u, i[one] + change.z);
    i[one] -= min(i[one], change.x);
    y[one] -= min(y[one], change.y);
  }
  toPaint[word] = packed(y);
  toInk[word] = packed(i);
}`;

/** @returns {Record<string, number>} bytes of the buffers that the steps need */
export function detailBuffers(height, width) {
  const [fine, coarse] = ["fine", "coarse"].map((key) => gridOf(key, height, width)).map(({ columns, rows }) => columns * rows);
  return {
    drawnInk: width * height, fineCells: 4 * fine, fineLeast: 16 * fine, fineFound: 8 * fine, fineTaken: 4 * fine,
    coarseShares: 16 * coarse, coarseWeights: 4 * coarse,
  };
}

/**
 * @param {GPUBuffer} uniforms of the look @param {Record<string, GPUBuffer>} b with those of `detailBuffers`
 * @param {GPUBuffer} from luma without speckle @param {GPUBuffer} to where it goes; ink goes to `b.drawnInk`
 * @returns {[string, GPUBuffer[], number[]][]} code, resources and groups of every step
 */
export function detailSteps(look, height, width, uniforms, b, from, to) {
  const [onFine, onCoarse] = ["fine", "coarse"].map((key) => gridOf(key, height, width)).map(({ columns, rows }) => [Math.ceil(columns / 8), Math.ceil(rows / 8)]);
  const { reach, square } = detailsOf(look, height, width);
  return [
    [fine, [b.paint, b.ink, b.fineCells], onFine],
    [under(reach, square), [b.fineCells, b.fineLeast], onFine],
    [found(reach, square), [b.fineCells, b.fineLeast, b.fineFound], onFine],
    [coarse, [b.fineFound, b.colors, b.coarseShares], onCoarse],
    [weights, [b.coarseShares, b.coarseWeights], onCoarse],
    [taken, [b.coarseWeights, b.fineFound, b.fineTaken], onFine],
    [detailed, [b.fineTaken, from, b.ink, to, b.drawnInk], [Math.ceil(width / 32), Math.ceil(height / 8)]],
  ].map(([code, resources, groups]) => [code, [uniforms, ...resources], groups]);
}
