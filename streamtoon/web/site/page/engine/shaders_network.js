// The network in WGSL: picture to blocks, convolutions, fields to planes.
//
// A picture is read in blocks of 4 x 4 pixels: 16 samples of luma and 4 of each chroma plane, 24 channels at a
// quarter of the side. Activations lie as [channel / 4][row][column] of vectors of four channels.

const TILE = 8; // positions a side that a workgroup makes
const STAGE = 2; // vectors of four channels that are in workgroup memory at a time
const RUN = 4; // positions in a row that one invocation makes

/**
 * One convolution: in and out are multiples of 8 channels.
 * @param {object} layer as layers.js plans it
 * @param {boolean} half whether activations and weights are of 16 bits; sums over all channels are of 32
 */
export function convolution(layer, half) {
  const { kernel, dilation, stride, repeat } = layer, reach = dilation * (kernel >> 1);
  const type = half ? "f16" : "f32", side = (TILE - 1) * stride + 1 + 2 * reach, threads = 2 * layer.out;
  const ends = layer.out / 4;
  const taps = Array.from({ length: kernel * kernel }, (_, tap) => tap);
  const sums = Array.from({ length: 2 * RUN }, (_, at) => at);
  const step = (tap) => {
    const [down, right] = [Math.floor(tap / kernel) * dilation, (tap % kernel) * dilation];
    return `{
        let w0 = weights[(channel * ${taps.length}u + ${tap}u) * ${ends}u + part];
        let w1 = weights[(channel * ${taps.length}u + ${tap}u) * ${ends}u + part + 1u];
        let at = corner + ${down * side + right}u;
        let x0 = tile[at]; let x1 = tile[at + ${stride}u]; let x2 = tile[at + ${2 * stride}u]; let x3 = tile[at + ${3 * stride}u];
        p0 += w0 * x0; p1 += w0 * x1; p2 += w0 * x2; p3 += w0 * x3;
        p4 += w1 * x0; p5 += w1 * x1; p6 += w1 * x2; p7 += w1 * x3;
      }`;
  };
  const store = (at) => {
    const own = at % RUN, which = Math.floor(at / RUN);
    const value = `s${at} + biases[part + ${which}u]${layer.added ? ` + vec4<f32>(added[to + ${which}u * area + ${own}u])` : ""}`;
    return `if (x + ${own}u < made.x) { output[to + ${which}u * area + ${own}u] = vec4<${type}>(${layer.relu ? `max(${value}, vec4<f32>())` : value}); }`;
  };
  return `${half ? "enable f16;" : ""}
@group(0) @binding(0) var<uniform> size: vec2<u32>; // in blocks
@group(0) @binding(1) var<storage, read> input: array<vec4<${type}>>;
@group(0) @binding(2) var<storage, read> weights: array<mat4x4<${type}>>;
@group(0) @binding(3) var<storage, read> biases: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4<${type}>>;
${layer.added ? `@group(0) @binding(5) var<storage, read> added: array<vec4<${type}>>;` : ""}
var<workgroup> tile: array<vec4<${type}>, ${side * side * STAGE}>;

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let made = size / ${layer.size}u;
  let taken = size / ${layer.size / stride}u; // where the taps lie
  let given = taken / ${repeat}u;
  let area = made.x * made.y;
  let part = (index / 16u) * 2u;
  let row = (index % 16u) / 2u;
  let column = (index % 2u) * ${RUN}u;
  let origin = vec2<i32>(group.xy * ${TILE * stride}u) - ${reach};
  ${sums.map((at) => `var s${at} = vec4<f32>();`).join(" ")}
  for (var first = 0u; first < ${layer.in / 4}u; first += ${STAGE}u) {
    workgroupBarrier();
    for (var at = index; at < ${side * side * STAGE}u; at += ${threads}u) {
      let within = at % ${side * side}u;
      let place = origin + vec2<i32>(vec2<u32>(within % ${side}u, within / ${side}u));
      var value = vec4<${type}>();
      if (all(place >= vec2<i32>()) && all(place < vec2<i32>(taken))) {
        let spot = vec2<u32>(place) / ${repeat}u;
        value = input[((first + at / ${side * side}u) * given.y + spot.y) * given.x + spot.x];
      }
      tile[at] = value;
    }
    workgroupBarrier();
    ${sums.map((at) => `var p${at} = vec4<${type}>();`).join(" ")}
    for (var one = 0u; one < ${STAGE}u; one++) {
      let channel = first + one;
      let corner = (one * ${side}u + row * ${stride}u) * ${side}u + column * ${stride}u;
      ${taps.map(step).join("\n      ")}
    }
    ${sums.map((at) => `s${at} += vec4<f32>(p${at});`).join(" ")}
  }
  let x = group.x * ${TILE}u + column;
  let y = group.y * ${TILE}u + row;
  if (y >= made.y) { return; }
  let to = part * area + y * made.x + x;
  ${sums.map(store).join("\n  ")}
}`;
}

/**
 * The source, of any size, as planes and as samples in [-1, 1].
 * @param {boolean} external whether the source is an external texture, which a video's frame is without a copy
 */
export const blocks = (half, external) => `${half ? "enable f16;" : ""}
struct Source {
  size: vec2<u32>,    // in blocks
  picture: vec2<u32>, // pixels that count; beyond them the last ones are repeated
  scale: vec2<f32>,   // of the source to the picture
  mirror: u32,
  taps: u32,          // a side, of the means where the picture is smaller
}
@group(0) @binding(0) var<uniform> source: Source;
@group(0) @binding(1) var frame: ${external ? "texture_external" : "texture_2d<f32>"};
@group(0) @binding(2) var linear: sampler;
@group(0) @binding(3) var<storage, read_write> samples: array<vec4<${half ? "f16" : "f32"}>>;
@group(0) @binding(4) var<storage, read_write> luma: array<u32>;
@group(0) @binding(5) var<storage, read_write> chroma: array<u32>;

fn color(pixel: vec2<u32>) -> vec3<f32> {
  var at = min(pixel, source.picture - 1u);
  if (source.mirror == 1u) { at.x = source.picture.x - 1u - at.x; }
  var sum = vec3<f32>();
  if (source.taps == 1u && all(source.scale == vec2<f32>(1.0))) {
    sum = ${external ? "textureLoad(frame, at)" : "textureLoad(frame, at, 0)"}.rgb;
  } else {
    let size = vec2<f32>(${external ? "textureDimensions(frame)" : "textureDimensions(frame, 0)"});
    let step = source.scale / f32(source.taps);
    for (var y = 0u; y < source.taps; y++) {
      for (var x = 0u; x < source.taps; x++) {
        let place = vec2<f32>(at) * source.scale + (vec2<f32>(f32(x), f32(y)) + 0.5) * step;
        sum += ${external ? "textureSampleBaseClampToEdge(frame, linear, place / size)" : "textureSampleLevel(frame, linear, place / size, 0.0)"}.rgb;
      }
    }
    sum /= f32(source.taps * source.taps);
  }
  return round(sum * 255.0);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= source.size)) { return; }
  let area = source.size.x * source.size.y;
  let at = id.y * source.size.x + id.x;
  var u = array<vec2<u32>, 2>();
  var v = array<vec2<u32>, 2>();
  for (var row = 0u; row < 4u; row++) {
    var codes = vec4<f32>();
    var word = 0u;
    for (var column = 0u; column < 4u; column++) {
      let rgb = color(id.xy * 4u + vec2<u32>(column, row));
      let y = round(dot(rgb, vec3<f32>(${[0.2126, 0.7152, 0.0722].map((one) => (one * 219) / 255).join(", ")})) + 16.0);
      codes[column] = y;
      word |= u32(y) << (8u * column);
      u[row / 2u][column / 2u] += u32(round(dot(rgb, vec3<f32>(${[-0.2126, -0.7152, 0.9278].map((one) => ((one / 1.8556) * 224) / 255).join(", ")})) + 128.0));
      v[row / 2u][column / 2u] += u32(round(dot(rgb, vec3<f32>(${[0.7874, -0.7152, -0.0722].map((one) => ((one / 1.5748) * 224) / 255).join(", ")})) + 128.0));
    }
    samples[row * area + at] = vec4<${half ? "f16" : "f32"}>((codes - 127.5) / 127.5);
    luma[(id.y * 4u + row) * source.size.x + id.x] = word;
  }
  for (var row = 0u; row < 2u; row++) {
    u[row] = (u[row] + 2u) / 4u;
    v[row] = (v[row] + 2u) / 4u;
    let to = (id.y * 2u + row) * source.size.x * 2u + id.x * 2u;
    chroma[to] = u[row].x | (v[row].x << 8u);
    chroma[to + 1u] = u[row].y | (v[row].y << 8u);
  }
  samples[4u * area + at] = vec4<${half ? "f16" : "f32"}>((vec4<f32>(vec4<u32>(u[0], u[1])) - 127.5) / 127.5);
  samples[5u * area + at] = vec4<${half ? "f16" : "f32"}>((vec4<f32>(vec4<u32>(v[0], v[1])) - 127.5) / 127.5);
}`;

/** What the network gives, as planes: paint is the picture plus a change, ink is as it is. */
export const fields = (half) => `${half ? "enable f16;" : ""}
struct Sizes { given: vec2<u32>, made: vec2<u32> } // in blocks: beyond those made, the picture was extended
@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> given: array<vec4<${half ? "f16" : "f32"}>>;
@group(0) @binding(2) var<storage, read> luma: array<u32>;
@group(0) @binding(3) var<storage, read> chroma: array<u32>;
@group(0) @binding(4) var<storage, read_write> paint: array<u32>;
@group(0) @binding(5) var<storage, read_write> colors: array<u32>;
@group(0) @binding(6) var<storage, read_write> ink: array<u32>;

fn codes(at: u32) -> vec4<i32> {
  return vec4<i32>(clamp(round(vec4<f32>(given[at]) * 127.5 + 127.5), vec4<f32>(), vec4<f32>(255.0)));
}

fn packed(codes: vec4<i32>) -> u32 {
  let all = vec4<u32>(clamp(codes, vec4<i32>(), vec4<i32>(255))) << vec4<u32>(0u, 8u, 16u, 24u);
  return all.x | all.y | all.z | all.w;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (any(id.xy >= sizes.made)) { return; }
  let area = sizes.given.x * sizes.given.y;
  let at = id.y * sizes.given.x + id.x;
  for (var row = 0u; row < 4u; row++) {
    let word = (id.y * 4u + row) * sizes.made.x + id.x;
    let own = vec4<i32>((vec4<u32>(luma[(id.y * 4u + row) * sizes.given.x + id.x]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
    paint[word] = packed(own + codes(row * area + at) - 128);
    ink[word] = packed(codes((6u + row) * area + at));
  }
  let u = codes(4u * area + at);
  let v = codes(5u * area + at);
  for (var one = 0u; one < 4u; one++) {
    let to = (id.y * 2u + one / 2u) * sizes.made.x * 2u + id.x * 2u + one % 2u;
    let code = chroma[(id.y * 2u + one / 2u) * sizes.given.x * 2u + id.x * 2u + one % 2u];
    let own = vec2<i32>(i32(code & 255u), i32(code >> 8u));
    let sum = vec2<u32>(clamp(own + vec2<i32>(u[one], v[one]) - 128, vec2<i32>(), vec2<i32>(255)));
    colors[to] = sum.x | (sum.y << 8u);
  }
}`;
