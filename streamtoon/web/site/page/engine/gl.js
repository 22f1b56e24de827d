// The engine for browsers without WebGPU: the network by WebGL 2 fragment shaders, the look in JavaScript.

import { sizeOf } from "./gpu.js";
import { CpuLook } from "./look_cpu.js";
import { BLOCK, planned, SAMPLES, stepOf } from "./layers.js";
import { makePatterns } from "./pattern_maker.js";
import { patternsOf } from "./pattern_planes.js";
import { fromBlocks, toBlocks, toPixels, toPlanes } from "./planes.js";
import { toFloats } from "./weights.js";

const ROW = 1024; // texels of a row of weights
const TARGETS = 4; // vectors of four channels that a draw writes; every WebGL 2 has as many
const up = (number, multiple) => Math.ceil(number / multiple) * multiple;

const CORNERS = `#version 300 es
void main() { gl_Position = vec4(float(gl_VertexID & 1) * 4.0 - 1.0, float(gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`;

const HEAD = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp sampler2DArray;`;

/** One convolution: sixteen channels out at a time. */
const convolution = (layer) => `${HEAD}
uniform sampler2DArray given;
uniform sampler2DArray added;
uniform sampler2D weights;
uniform sampler2D biases;
uniform ivec2 size;
uniform int first;
${[0, 1, 2, 3].map((at) => `layout(location = ${at}) out vec4 out${at};`).join("\n")}
vec4 weight(int at) { return texelFetch(weights, ivec2(at % ${ROW}, at / ${ROW}), 0); }
vec4 times(int at, vec4 x) { return weight(at) * x.x + weight(at + 1) * x.y + weight(at + 2) * x.z + weight(at + 3) * x.w; }
void main() {
  ivec2 place = ivec2(gl_FragCoord.xy), taken = size / ${layer.size / layer.stride}; // where the taps lie
  ${[0, 1, 2, 3].map((at) => `vec4 s${at} = texelFetch(biases, ivec2(first + ${at}, 0), 0);`).join(" ")}
  for (int channel = 0; channel < ${layer.in / 4}; channel++) {
    for (int tap = 0; tap < ${layer.kernel ** 2}; tap++) {
      ivec2 at = place * ${layer.stride} + (ivec2(tap % ${layer.kernel}, tap / ${layer.kernel}) - ${layer.kernel >> 1}) * ${layer.dilation};
      if (any(lessThan(at, ivec2(0))) || any(greaterThanEqual(at, taken))) continue;
      vec4 x = texelFetch(given, ivec3(at / ${layer.repeat}, channel), 0)${layer.from === SAMPLES ? " * 2.0 - 1.0" : ""};
      int from = ((channel * ${layer.kernel ** 2} + tap) * ${layer.out / 4} + first) * 4;
      ${[0, 1, 2, 3].map((at) => `s${at} += times(from + ${4 * at}, x);`).join(" ")}
    }
  }
  ${layer.added ? [0, 1, 2, 3].map((at) => `s${at} += texelFetch(added, ivec3(place, first + ${at}), 0);`).join(" ") : ""}
  ${[0, 1, 2, 3].map((at) => `out${at} = ${layer.relu ? `max(s${at}, 0.0)` : `s${at}`};`).join("\n  ")}
}`;

/** Fields as bytes, one layer below the other. */
const CODES = `${HEAD}
uniform sampler2DArray given;
uniform ivec2 size;
out vec4 codes;
void main() {
  ivec2 place = ivec2(gl_FragCoord.xy);
  codes = floor(texelFetch(given, ivec3(place.x, place.y % size.y, place.y / size.y), 0) * 127.5 + 128.0) / 255.0;
}`;

/** @returns {GlEngine|null} null where the browser has no WebGL 2 with floating-point targets */
export function openGl(canvas) {
  const gl = document.createElement("canvas").getContext("webgl2", { antialias: false, depth: false, powerPreference: "high-performance" });
  return gl?.getExtension("EXT_color_buffer_float") ? new GlEngine(gl, canvas) : null;
}

class GlEngine {
  kind = "webgl2";
  precision = "fp32";
  #gl; #canvas; #context; #networks = new Map(); #programs = new Map(); #network; #look = null; #drawing = null; #key = "";
  #size = null; #textures = []; #frame; #codes = null; #last = null; #small; #patterns = {}; #patternKey = ""; #asked = 0;

  constructor(gl, canvas) {
    [this.#gl, this.#canvas, this.#context] = [gl, canvas, canvas.getContext("2d", { alpha: false })];
    const facts = gl.getExtension("WEBGL_debug_renderer_info");
    this.name = String(gl.getParameter(facts ? facts.UNMASKED_RENDERER_WEBGL : gl.RENDERER)).slice(0, 80);
    this.isSoftware = /swiftshader|llvmpipe|software/i.test(this.name);
    this.lost = new Promise((tell) => { gl.canvas.addEventListener("webglcontextlost", () => tell({ message: "the browser took it away" }), { once: true }); });
    this.#frame = gl.createFramebuffer();
    this.#small = document.createElement("canvas").getContext("2d", { alpha: false, willReadFrequently: true });
  }

  get size() { return [this.#size?.width ?? 0, this.#size?.height ?? 0]; }

  #texture(target, format, columns, rows, data = null, layers = 0) {
    const gl = this.#gl, texture = gl.createTexture();
    gl.bindTexture(target, texture);
    const [base, type] = format === gl.RGBA8 ? [gl.RGBA, gl.UNSIGNED_BYTE] : [gl.RGBA, gl.FLOAT];
    if (layers) gl.texImage3D(target, 0, format, columns, rows, layers, 0, base, type, data);
    else gl.texImage2D(target, 0, format, columns, rows, 0, base, type, data);
    for (const which of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(target, which, gl.NEAREST);
    return texture;
  }

  #program(code) {
    if (this.#programs.has(code)) return this.#programs.get(code);
    const gl = this.#gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, CORNERS], [gl.FRAGMENT_SHADER, code]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`this GPU's driver refuses the network: ${gl.getProgramInfoLog(program)}`);
    this.#programs.set(code, program);
    return program;
  }

  addNetwork(name, { layers, data }) {
    const gl = this.#gl;
    this.#networks.set(name, planned(layers).map((layer) => {
      const floats = toFloats(new Uint16Array(data, layer.weights, layer.in * layer.out * layer.kernel ** 2));
      const rows = Math.ceil(floats.length / 4 / ROW) + 1;
      const weights = new Float32Array(4 * ROW * rows);
      weights.set(floats);
      const biases = new Float32Array(4 * up(layer.out / 4, TARGETS));
      biases.set(new Float32Array(data.slice(layer.biases, layer.biases + 4 * layer.out)));
      return {
        ...layer, code: convolution(layer),
        weights: this.#texture(gl.TEXTURE_2D, gl.RGBA32F, ROW, rows, weights), biases: this.#texture(gl.TEXTURE_2D, gl.RGBA32F, biases.length / 4, 1, biases),
      };
    }));
  }

  hasNetwork(name) { return this.#networks.has(name); }

  /** As the engine on WebGPU; the network always works at the drawing's size. `setLook` has to follow. */
  resize(network, width, height) {
    const key = [network, width, height].join(" ");
    if (key === this.#key) return;
    this.#key = key;
    const gl = this.#gl;
    for (const texture of this.#textures) gl.deleteTexture(texture);
    this.#network = this.#networks.get(network);
    const [columns, rows] = [up(width, BLOCK), up(height, BLOCK)];
    const [wholeColumns, wholeRows] = [width, height].map((side) => up(side, stepOf(this.#network))); // extended for the network
    this.#size = { width, height, columns, rows, wholeColumns, wholeRows };
    const [across, down] = [wholeColumns / BLOCK, wholeRows / BLOCK];
    const layers = up(Math.max(...this.#network.map((layer) => layer.out)) / 4, TARGETS);
    const stores = Array.from({ length: Math.max(...this.#network.map((layer) => layer.to)) + 1 }, () => this.#texture(gl.TEXTURE_2D_ARRAY, gl.RGBA32F, across, down, null, layers));
    this.#textures = [this.#texture(gl.TEXTURE_2D_ARRAY, gl.RGBA8, across, down, null, 6), this.#texture(gl.TEXTURE_2D, gl.RGBA8, across, down * 10), ...stores];
    this.#codes = new Uint8Array(across * down * 40);
    [this.#canvas.width, this.#canvas.height] = [width, height];
    [this.#small.canvas.width, this.#small.canvas.height] = [wholeColumns, wholeRows];
    [this.#drawing, this.#patternKey, this.#last] = [null, "", null];
  }

  async setLook(look) {
    this.#look = look;
    if (!this.#size) return;
    const { rows, columns } = this.#size, asked = ++this.#asked, size = this.#size;
    const { has, key } = patternsOf(look);
    if (key !== this.#patternKey) {
      const planes = Object.values(has).some(Boolean) ? await makePatterns(look, rows, columns) : {};
      if (asked !== this.#asked || size !== this.#size) return;
      [this.#patterns, this.#patternKey] = [planes, key];
    }
    this.#drawing = new CpuLook(look, this.#patterns, rows, columns);
  }

  draw(source, { mirror = false } = {}) {
    const { columns, rows, wholeColumns, wholeRows, width, height } = this.#size, small = this.#small;
    small.save();
    if (mirror) {
      small.translate(width, 0);
      small.scale(-1, 1);
    }
    small.drawImage(source, 0, 0, ...sizeOf(source), 0, 0, width, height);
    small.restore();
    small.imageSmoothingEnabled = false; // smoothing would mix in what lies beside the last pixel
    if (wholeColumns > width) small.drawImage(small.canvas, width - 1, 0, 1, height, width, 0, wholeColumns - width, height);
    if (wholeRows > height) small.drawImage(small.canvas, 0, height - 1, wholeColumns, 1, 0, height, wholeColumns, wholeRows - height);
    small.imageSmoothingEnabled = true;
    const planes = toPlanes(small.getImageData(0, 0, wholeColumns, wholeRows).data, wholeColumns, wholeRows);
    this.#last = fromBlocks(this.#run(toBlocks(planes, wholeColumns, wholeRows)), planes, wholeColumns, wholeRows, columns, rows);
    this.redraw();
  }

  redraw() {
    if (!this.#last || !this.#drawing) return;
    const { columns, rows } = this.#size;
    this.#context.putImageData(new ImageData(toPixels(this.#drawing.draw(this.#last), columns, rows), columns, rows), 0, 0);
  }

  /** The network on blocks. @returns {Uint8Array} ten layers of codes */
  #run(blocks) {
    const gl = this.#gl, [columns, rows] = [this.#size.wholeColumns / BLOCK, this.#size.wholeRows / BLOCK];
    const [input, codes, ...stores] = this.#textures;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, input);
    gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, columns, rows, 6, gl.RGBA, gl.UNSIGNED_BYTE, blocks);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#frame);
    for (const layer of this.#network) this.#convolve(layer, stores[layer.from] ?? input, stores[layer.plus] ?? input, stores[layer.to], columns, rows);
    const program = this.#program(CODES);
    gl.useProgram(program);
    this.#bind(program, "given", 0, gl.TEXTURE_2D_ARRAY, stores[this.#network.at(-1).to]);
    gl.uniform2i(gl.getUniformLocation(program, "size"), columns, rows);
    for (let at = 1; at < TARGETS; at++) gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + at, gl.TEXTURE_2D, null, 0);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, codes, 0);
    gl.drawBuffers([gl.COLOR_ATTACHMENT0]);
    gl.viewport(0, 0, columns, rows * 10);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.readPixels(0, 0, columns, rows * 10, gl.RGBA, gl.UNSIGNED_BYTE, this.#codes);
    return this.#codes;
  }

  #convolve(layer, given, added, to, columns, rows) {
    const gl = this.#gl, program = this.#program(layer.code);
    gl.useProgram(program);
    this.#bind(program, "given", 0, gl.TEXTURE_2D_ARRAY, given);
    this.#bind(program, "added", 1, gl.TEXTURE_2D_ARRAY, added);
    this.#bind(program, "weights", 2, gl.TEXTURE_2D, layer.weights);
    this.#bind(program, "biases", 3, gl.TEXTURE_2D, layer.biases);
    gl.uniform2i(gl.getUniformLocation(program, "size"), columns, rows);
    gl.viewport(0, 0, columns / layer.size, rows / layer.size);
    for (let first = 0; first < layer.out / 4; first += TARGETS) {
      for (let at = 0; at < TARGETS; at++) gl.framebufferTextureLayer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + at, to, 0, first + at);
      gl.drawBuffers([0, 1, 2, 3].map((at) => gl.COLOR_ATTACHMENT0 + at));
      gl.uniform1i(gl.getUniformLocation(program, "first"), first);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }
  }

  #bind(program, name, unit, target, texture) {
    const gl = this.#gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(target, texture);
    gl.uniform1i(gl.getUniformLocation(program, name), unit);
  }

  /** All is done when `draw` returns. */
  async finished() {}

  async measure() { return null; }

  close() { this.#gl.getExtension("WEBGL_lose_context")?.loseContext(); }
}
