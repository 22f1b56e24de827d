// The surroundings of a place in WGSL: means of luma in the cells of a coarse grid, and what a look makes of them.

import { SLOPE } from "./grids.js";
import { COMMON, table } from "./shaders_look.js";

/** A WGSL function of the mean of `name(place)` over a cell of a grid. Halves are rounded up for 2 x 2, as in OpenCV. */
export const areaMean = (name, type, grid) => `
fn ${name}Mean(cell: vec2<u32>, size: vec2<u32>) -> ${type} {
  let scale = vec2<f32>(size) / vec2<f32>(look.${grid});
  let low = vec2<f32>(cell) * scale;
  let high = min(low + scale, vec2<f32>(size));
  var sum = ${type}();
  for (var y = u32(low.y); f32(y) < high.y; y++) {
    let tall = min(high.y, f32(y + 1u)) - max(low.y, f32(y));
    for (var x = u32(low.x); f32(x) < high.x; x++) {
      sum += tall * (min(high.x, f32(x + 1u)) - max(low.x, f32(x))) * ${name}(vec2<u32>(x, y));
    }
  }
  let mean = sum / ((high.x - low.x) * (high.y - low.y));
  return select(round(mean), floor(mean + 0.5), all(size == 2u * look.${grid}));
}`;

/** A WGSL function of a sample of a plane of luma's size. */
export const sampleOf = (name, plane) => `
fn ${name}(at: vec2<u32>) -> f32 {
  let place = at.y * look.size.x + at.x;
  return f32((${plane}[place / 4u] >> (8u * (place % 4u))) & 255u);
}`;

/** Luma in the cells of a grid, `around` or `slopes`: area means. */
export const shrunk = (grid) => `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> given: array<u32>;
@group(0) @binding(2) var<storage, read_write> to: array<f32>;
${sampleOf("luma", "given")}${areaMean("luma", "f32", grid)}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.${grid})) { return; }
  to[id.y * look.${grid}.x + id.x] = lumaMean(id.xy, look.size);
}`;

/** A Gaussian blur of the surroundings along one direction; borders are repeated. */
export const smoothed = (down) => `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> given: array<f32>;
@group(0) @binding(2) var<storage, read_write> to: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.around)) { return; }
  let reach = i32((u32(round(look.sigma * 6.0 + 1.0)) | 1u) >> 1u);
  var sum = 0.0;
  var weights = 0.0;
  for (var at = -reach; at <= reach; at++) {
    let weight = exp(-f32(at * at) / (2.0 * look.sigma * look.sigma));
    let place = clamp(vec2<i32>(id.xy) + ${down ? "vec2<i32>(0, at)" : "vec2<i32>(at, 0)"}, vec2<i32>(), vec2<i32>(look.around) - 1);
    sum += weight * given[u32(place.y) * look.around.x + u32(place.x)];
    weights += weight;
  }
  to[id.y * look.around.x + id.x] = ${down ? "round(sum / weights)" : "sum / weights"};
}`;

/** How steep luma is around every cell: 0 up to SLOPE.soft, 255 from SLOPE.hard. Edges of things do not count. */
export const steepness = `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> tables: array<f32>;
@group(0) @binding(2) var<storage, read> given: array<f32>;
@group(0) @binding(3) var<storage, read_write> to: array<f32>;

fn inside(place: vec2<i32>) -> vec2<i32> { return clamp(place, vec2<i32>(), vec2<i32>(look.slopes) - 1); }
fn cell(place: vec2<i32>) -> f32 {
  let at = vec2<u32>(inside(place));
  return tables[${table("seen")} + u32(given[at.y * look.slopes.x + at.x])];
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= look.slopes)) { return; }
  var sum = 0.0;
  var count = 0.0;
  for (var one = 0; one < ${SLOPE.window ** 2}; one++) {
    let at = inside(vec2<i32>(id.xy) + vec2<i32>(one % ${SLOPE.window}, one / ${SLOPE.window}) - ${SLOPE.window >> 1});
    let across = cell(at + vec2<i32>(1, 0)) - cell(at - vec2<i32>(1, 0));
    let down = cell(at + vec2<i32>(0, 1)) - cell(at - vec2<i32>(0, 1));
    let slope = length(vec2<f32>(across, down)) * look.slope;
    if (slope <= ${SLOPE.edge}) {
      sum += slope;
      count += 1.0;
    }
  }
  let mean = select(f32(${SLOPE.hard}), sum / max(count, 1.0), count > 0.0);
  to[id.y * look.slopes.x + id.x] = round(255.0 * clamp((mean - ${SLOPE.soft}) / ${SLOPE.hard - SLOPE.soft}, 0.0, 1.0));
}`;

/** Luma changed by what a grid holds, a value between its cells at every place. A word of the plane is kept by `keep`. */
const changed = (grid, value, change, keep = "") => `${COMMON}
@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var<storage, read> tables: array<f32>;
@group(0) @binding(2) var<storage, read> cells: array<f32>;
@group(0) @binding(3) var<storage, read> given: array<u32>;
@group(0) @binding(4) var<storage, read_write> to: array<u32>;

fn cell(place: vec2<i32>) -> f32 {
  let at = vec2<u32>(clamp(place, vec2<i32>(), vec2<i32>(look.${grid}) - 1));
  let value = cells[at.y * look.${grid}.x + at.x];
  return ${value};
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let words = look.size.x / 4u;
  if (id.x >= words || id.y >= look.size.y) { return; }
  let word = id.y * words + id.x;
  let own = bytes(given[word]);
  var codes: vec4<u32>;
  for (var one = 0u; one < 4u; one++) {
    let place = (vec2<f32>(f32(id.x * 4u + one), f32(id.y)) + 0.5) * vec2<f32>(look.${grid}) / vec2<f32>(look.size) - 0.5;
    let low = vec2<i32>(floor(place));
    let part = place - floor(place);
    let upper = mix(cell(low), cell(low + vec2<i32>(1, 0)), part.x);
    let lower = mix(cell(low + vec2<i32>(0, 1)), cell(low + vec2<i32>(1, 1)), part.x);
    let found = round(mix(upper, lower, part.y));
    codes[one] = ${change};
  }
  to[word] = packed(codes);${keep}
}`;

/** Luma with dark surroundings brought nearer to a middle tone. */
export const lifted = changed("around", `tables[${table("lift")} + u32(value)]`, "min(255u, own[one] + u32(found))");

/** Tones, whose edges are soft where luma is not steep; behind them luma as it was. */
export const toned = changed("slopes", "value",
  `u32(round(mix(tables[${table("softTone")} + own[one]], tables[${table("hardTone")} + own[one]], found / 255.0)))`,
  "\n  to[words * look.size.y + word] = given[word];");
