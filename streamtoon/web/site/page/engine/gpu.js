// The engine on WebGPU: a picture goes up, the network and the look run, and the drawing appears on a canvas.

import { detailsOf, gridOf, isDetailed, SURROUNDINGS } from "./grids.js";
import { BLOCK, planned, SAMPLES, stepOf, WORKING_SIDE } from "./layers.js";
import { makePatterns } from "./pattern_maker.js";
import { patternsOf } from "./pattern_planes.js";
import { scaleOf } from "./patterns.js";
import * as aroundShaders from "./shaders_around.js";
import * as detailShaders from "./shaders_details.js";
import * as lookShaders from "./shaders_look.js";
import * as networkShaders from "./shaders_network.js";
import { isSoftened, makeTables } from "./tables.js";
import { toFloats } from "./weights.js";

/** Pixels, like those of `line_width`, that lines are wider by per unit of enlargement of their fields. */
const ENLARGED_LINE_WIDTH = 1.5;

const up = (number, multiple) => Math.ceil(number / multiple) * multiple;

/** @returns {Promise<GpuEngine|null>} null where the browser gives no WebGPU adapter */
export async function openGpu(canvas, { half = true } = {}) {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return null;
  const features = ["shader-f16", "timestamp-query"].filter((name) => adapter.features.has(name) && (half || name !== "shader-f16"));
  const device = await adapter.requestDevice({
    requiredFeatures: features,
    requiredLimits: {
      maxStorageBufferBindingSize: Math.min(adapter.limits.maxStorageBufferBindingSize, 2 ** 28),
      maxBufferSize: Math.min(adapter.limits.maxBufferSize, 2 ** 28),
    },
  });
  return new GpuEngine(device, adapter, canvas);
}

class GpuEngine {
  kind = "webgpu";
  #device; #canvas; #context; #format; #half;
  #networks = new Map(); #modules = new Map();
  #network = null; #look = null; #lookKey = "";
  #sizes = null; #buffers = null; #steps = null; #fixed = null; #frame = null; #painting = null; #patternKey = null; #asked = 0;

  constructor(device, adapter, canvas) {
    [this.#device, this.#canvas] = [device, canvas];
    this.#half = device.features.has("shader-f16");
    this.name = [adapter.info.vendor, adapter.info.architecture].filter(Boolean).join(" "); // some browsers do not tell
    this.isSoftware = adapter.info.isFallbackAdapter === true || adapter.info.architecture === "swiftshader";
    /** Resolves with the reason when the GPU is gone. */
    this.lost = device.lost;
    /** Resolves with a sentence when the GPU refuses what it is given. */
    this.refused = new Promise((tell) => {
      device.addEventListener("uncapturederror", ({ error }) => tell(`the GPU refuses the drawing: ${error.message}`), { once: true });
    });
    this.#format = navigator.gpu.getPreferredCanvasFormat();
    this.#context = canvas.getContext("webgpu");
    this.#context.configure({ device, format: this.#format, alphaMode: "opaque" });
    this.#fixed = {
      look: this.#buffer(112, GPUBufferUsage.UNIFORM), tables: this.#buffer(lookShaders.TABLE_BYTES),
      source: this.#buffer(32, GPUBufferUsage.UNIFORM), blocks: this.#buffer(16, GPUBufferUsage.UNIFORM),
      enlarge: this.#buffer(24, GPUBufferUsage.UNIFORM), sampler: device.createSampler({ magFilter: "linear", minFilter: "linear" }),
    };
  }

  get precision() { return this.#half ? "fp16" : "fp32"; }
  /** @returns {[number, number]} pixels of the drawing */
  get size() { return [this.#sizes?.width ?? 0, this.#sizes?.height ?? 0]; }

  #buffer(bytes, usage = GPUBufferUsage.STORAGE) {
    return this.#device.createBuffer({ size: up(Math.max(bytes, 16), 16), usage: usage | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC });
  }

  #pipeline(code) {
    if (!this.#modules.has(code)) {
      const module = this.#device.createShaderModule({ code });
      this.#modules.set(code, this.#device.createComputePipeline({ layout: "auto", compute: { module } }));
    }
    return this.#modules.get(code);
  }

  #step(name, code, resources, groups) {
    const pipeline = this.#pipeline(code);
    const entries = resources.map((one, binding) => ({ binding, resource: one instanceof GPUBuffer ? { buffer: one } : one }));
    return { name, pipeline, bind: this.#device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }), groups };
  }

  /** @param {string} name @param {{layers: object[], data: ArrayBuffer}} network as weights.js reads it */
  addNetwork(name, { layers, data }) {
    const made = planned(layers).map((layer) => {
      const count = layer.in * layer.out * layer.kernel ** 2;
      const halves = new Uint16Array(data, layer.weights, count);
      const weights = this.#buffer(count * (this.#half ? 2 : 4));
      this.#device.queue.writeBuffer(weights, 0, this.#half ? halves : toFloats(halves));
      const biases = this.#buffer(layer.out * 4);
      this.#device.queue.writeBuffer(biases, 0, data.slice(layer.biases, layer.biases + layer.out * 4));
      return { ...layer, weights, biases };
    });
    this.#networks.set(name, made);
  }

  hasNetwork(name) { return this.#networks.has(name); }

  /**
   * @param {string} network which one draws
   * @param {number} width @param {number} height of the drawing
   * @param {number} share of the drawing's size that the network works at, above 0 and at most 1
   * `setLook` has to follow.
   */
  resize(network, width, height, share = 1) {
    const key = [network, width, height, share].join(" ");
    if (this.#sizes?.key === key) return;
    this.#free();
    this.#network = this.#networks.get(network);
    const step = stepOf(this.#network);
    const [columns, rows] = [up(width, BLOCK), up(height, BLOCK)];
    const [wholeColumns, wholeRows] = [up(width, step), up(height, step)]; // the picture extended for the network
    const [smallColumns, smallRows] = [wholeColumns, wholeRows].map((side) => Math.max(step, up(Math.round(side * share), step)));
    const enlargement = Math.max(1, Math.min(1, WORKING_SIDE / Math.min(width, height)) / share); // beyond the usual
    const isEnlarged = smallColumns !== wholeColumns || smallRows !== wholeRows;
    this.#sizes = { key, width, height, columns, rows, wholeColumns, wholeRows, smallColumns, smallRows, isEnlarged, enlargement };
    [this.#canvas.width, this.#canvas.height] = [width, height];
    this.#makeBuffers();
    this.#lookKey = "";
    this.#patternKey = null;
    this.#makeNetworkSteps();
  }

  #makeBuffers() {
    const { columns, rows, wholeColumns, wholeRows, smallColumns, smallRows, isEnlarged } = this.#sizes;
    const [all, small] = [columns * rows, smallColumns * smallRows];
    const value = this.#half ? 2 : 4, places = small / BLOCK ** 2;
    this.#buffers = {
      samples: this.#buffer(24 * places * value),
      sourceLuma: this.#buffer(small), sourceChroma: this.#buffer(small),
      paint: this.#buffer(all), spare: this.#buffer(all), colors: this.#buffer(all), ink: this.#buffer(all),
      tones: this.#buffer(2 * all), luma: this.#buffer(all), chroma: this.#buffer(all), sums: this.#buffer(all * 4), patterns: this.#buffer(all * lookShaders.PATTERN_PLANES.length),
    };
    for (const [name, bytes] of Object.entries(detailShaders.detailBuffers(rows, columns))) this.#buffers[name] = this.#buffer(bytes);
    const needs = []; // values of every store
    for (const layer of this.#network) needs[layer.to] = Math.max(needs[layer.to] ?? 0, (layer.out * places) / layer.size ** 2);
    needs.forEach((count, at) => { this.#buffers[`store${at}`] = this.#buffer(count * value); });
    if (isEnlarged) for (const name of ["smallPaint", "smallColors", "smallInk"]) this.#buffers[name] = this.#buffer(small);
    const made = isEnlarged ? [smallColumns, smallRows] : [columns, rows];
    this.#device.queue.writeBuffer(this.#fixed.blocks, 0, new Uint32Array([smallColumns, smallRows, ...made].map((side) => side / BLOCK)));
    this.#device.queue.writeBuffer(this.#fixed.enlarge, 0, new Uint32Array([smallColumns, smallRows, wholeColumns, wholeRows, columns, rows]));
  }

  #makeNetworkSteps() {
    const { columns, rows, smallColumns, smallRows, isEnlarged } = this.#sizes;
    const { blocks } = this.#fixed, b = this.#buffers;
    const groupsOf = (side) => [smallColumns, smallRows].map((one) => Math.ceil(one / (8 * side)));
    const store = (at) => (at === SAMPLES ? b.samples : b[`store${at}`]);
    const steps = this.#network.map((layer) => {
      const added = layer.plus === null ? [] : [store(layer.plus)];
      const resources = [blocks, store(layer.from), layer.weights, layer.biases, store(layer.to), ...added];
      return this.#step(layer.name, networkShaders.convolution(layer, this.#half), resources, groupsOf(BLOCK * layer.size));
    });
    const from = store(this.#network.at(-1).to);
    const to = isEnlarged ? [b.smallPaint, b.smallColors, b.smallInk] : [b.paint, b.colors, b.ink];
    steps.push(this.#step("fields", networkShaders.fields(this.#half), [blocks, from, b.sourceLuma, b.sourceChroma, ...to], groupsOf(BLOCK)));
    if (isEnlarged) {
      steps.push(this.#step("enlarge", lookShaders.enlarged, [this.#fixed.enlarge, ...to, b.paint, b.colors, b.ink], [Math.ceil(columns / 32), Math.ceil(rows / 8)]));
    }
    this.#steps = { network: steps, look: [] };
  }

  /** @param {Record<string, any>} look all keys of a look; patterns follow as soon as they are made */
  async setLook(look) {
    this.#look = look;
    if (this.#sizes) await this.#applyLook();
  }

  async #applyLook() {
    const look = this.#look, sizes = this.#sizes, asked = ++this.#asked;
    const { has, key } = patternsOf(look);
    if (this.#patternKey !== key) {
      const isNeeded = Object.values(has).some(Boolean);
      const planes = isNeeded ? await makePatterns(look, sizes.rows, sizes.columns) : {};
      if (asked !== this.#asked || sizes !== this.#sizes) return;
      lookShaders.PATTERN_PLANES.forEach((name, at) => {
        if (planes[name]) this.#device.queue.writeBuffer(this.#buffers.patterns, at * sizes.rows * sizes.columns, planes[name]);
      });
      this.#patternKey = key;
    }
    this.#writeLook(look, has);
  }

  #writeLook(look, has) {
    const { columns, rows, width, height, enlargement } = this.#sizes;
    const scale = scaleOf(rows, columns), { HAS, MOST_RADIUS } = lookShaders;
    const { tables, covers } = makeTables(look);
    const widen = Math.max(0, look.line_width - ENLARGED_LINE_WIDTH * (enlargement - 1)) * scale;
    const lineWidth = Math.round(widen * 1000) / 1000; // less is a rounding error
    const [low, high] = [Math.floor(lineWidth), Math.ceil(lineWidth)].map((radius) => Math.min(MOST_RADIUS, radius));
    const around = gridOf("local", rows, columns), slopes = gridOf("coarse", rows, columns);
    const bits = (look.edge_darkening && HAS.edges) | (has.pigment && HAS.pigment) | (has.screen && HAS.screen) | (has.texture && HAS.texture)
      | (has.frame && HAS.frame) | (has.grain && HAS.grain) | (isSoftened(look) && HAS.tones);
    const numbers = new ArrayBuffer(112), whole = new Uint32Array(numbers), real = new Float32Array(numbers);
    whole.set([columns, rows, bits, Math.max(1, Math.round((look.edge_width * scale) / 2)), low, high]);
    real.set([lineWidth - Math.floor(lineWidth), (SURROUNDINGS * Math.min(rows, columns)) / around.step], 6);
    whole.set([around.columns, around.rows, width, height], 8);
    real.set([...covers.ink, ...covers.screen], 12);
    whole.set([slopes.columns, slopes.rows], 20);
    const details = detailsOf(look, rows, columns), fine = gridOf("fine", rows, columns);
    real.set([scale / (2 * slopes.step), details.deepening], 22);
    whole.set([fine.columns, fine.rows, fine.step], 24);
    real.set([look.line_opacity && look.faint_lines], 27);
    this.#device.queue.writeBuffer(this.#fixed.look, 0, numbers);
    this.#device.queue.writeBuffer(this.#fixed.tables, 0, lookShaders.packTables(tables));
    const key = [look.smooth, isDetailed(look), details.reach, look.local > 0, isSoftened(look), look.edge_darkening > 0].join(" ");
    if (key !== this.#lookKey) this.#makeLookSteps(look);
    this.#lookKey = key;
  }

  #makeLookSteps(look) {
    const { columns, rows } = this.#sizes, f = this.#fixed, b = this.#buffers;
    const words = [Math.ceil(columns / 32), Math.ceil(rows / 8)], pixels = [Math.ceil(columns / 8), Math.ceil(rows / 8)];
    const groupsOf = (key) => {
      const grid = gridOf(key, rows, columns);
      return [Math.ceil(grid.columns / 8), Math.ceil(grid.rows / 8)];
    };
    const [one, two] = [b.sums, b.luma]; // both are written after the last read of cells
    const steps = [], passes = look.smooth + isDetailed(look) + (look.local > 0);
    let [from, to, next] = passes % 2 ? [b.paint, b.spare, b.tones] : [b.paint, b.tones, b.spare]; // never to paint: `redraw`
    for (let pass = 0; pass < look.smooth; pass++) {
      steps.push(this.#step("median", lookShaders.median, [f.look, from, to], words));
      [from, to, next] = [to, next, to];
    }
    const ink = isDetailed(look) ? b.drawnInk : b.ink;
    if (isDetailed(look)) {
      for (const [code, resources, groups] of detailShaders.detailSteps(look, rows, columns, f.look, b, from, to)) {
        steps.push(this.#step("details", code, resources, groups));
      }
      [from, to, next] = [to, next, to];
    }
    if (look.local) {
      const groups = groupsOf("local");
      steps.push(this.#step("surroundings", aroundShaders.shrunk("around"), [f.look, from, one], groups));
      steps.push(this.#step("surroundings", aroundShaders.smoothed(false), [f.look, one, two], groups));
      steps.push(this.#step("surroundings", aroundShaders.smoothed(true), [f.look, two, one], groups));
      steps.push(this.#step("lift", aroundShaders.lifted, [f.look, f.tables, one, from, to], words));
      from = to;
    }
    if (isSoftened(look)) { // the last pass wrote to spare
      const groups = groupsOf("coarse");
      steps.push(this.#step("slopes", aroundShaders.shrunk("slopes"), [f.look, from, one], groups));
      steps.push(this.#step("slopes", aroundShaders.steepness, [f.look, f.tables, one, two], groups));
      steps.push(this.#step("tones", aroundShaders.toned, [f.look, f.tables, two, from, b.tones], words));
      from = b.tones;
    }
    if (look.edge_darkening) steps.push(this.#step("edges", lookShaders.rowSums, [f.look, f.tables, from, b.sums], pixels));
    steps.push(this.#step("drawing", lookShaders.drawing, [f.look, f.tables, from, b.colors, ink, b.patterns, b.sums, b.luma, b.chroma], [Math.ceil(columns / 32), Math.ceil(rows / 16)]));
    this.#steps.look = steps;
  }

  #sourceStep(source, width, height, mirror) {
    const { width: w, height: h, smallColumns, smallRows, wholeColumns, wholeRows } = this.#sizes;
    const imported = this.#imported(source), external = imported !== null;
    const [shownWidth, shownHeight] = [Math.round((w * smallColumns) / wholeColumns), Math.round((h * smallRows) / wholeRows)];
    const scale = [width / shownWidth, height / shownHeight];
    const numbers = new ArrayBuffer(32), whole = new Uint32Array(numbers), real = new Float32Array(numbers);
    whole.set([smallColumns / 4, smallRows / 4, shownWidth, shownHeight]);
    real.set(scale, 4);
    whole.set([mirror ? 1 : 0, Math.max(1, Math.min(8, Math.round(Math.max(...scale))))], 6);
    this.#device.queue.writeBuffer(this.#fixed.source, 0, numbers);
    const view = imported ?? this.#uploaded(source, width, height);
    const b = this.#buffers;
    return this.#step("blocks", networkShaders.blocks(this.#half, external), [this.#fixed.source, view, this.#fixed.sampler, b.samples, b.sourceLuma, b.sourceChroma], [Math.ceil(smallColumns / 32), Math.ceil(smallRows / 32)]);
  }

  /** A video's frame without a copy; null for other pictures, and for frames that the browser holds elsewhere. */
  #imported(source) {
    if (!isFrame(source)) return null;
    try {
      return this.#device.importExternalTexture({ source });
    } catch {
      return null; // such a frame is copied, and drawn alike; Firefox copies all
    }
  }

  #uploaded(source, width, height) {
    if (this.#frame?.width !== width || this.#frame?.height !== height) {
      this.#frame?.destroy();
      this.#frame = this.#device.createTexture({
        size: [width, height], format: "rgba8unorm",
        usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT,
      });
    }
    const image = isFrame(source) ? this.#painted(source, width, height) : source;
    this.#device.queue.copyExternalImageToTexture({ source: image }, { texture: this.#frame }, [width, height]);
    return this.#frame.createView();
  }

  /** A video's frame on a canvas: not every browser copies one from a video to a texture. */
  #painted(source, width, height) {
    if (this.#painting?.canvas.width !== width || this.#painting.canvas.height !== height) {
      this.#painting = new OffscreenCanvas(width, height).getContext("2d", { alpha: false });
    }
    this.#painting.drawImage(source, 0, 0, width, height);
    return this.#painting.canvas;
  }

  /**
   * Draws one picture onto the canvas. What it shows can be copied in the same task, or read by `captureStream`.
   * @param {HTMLVideoElement|VideoFrame|ImageBitmap|HTMLCanvasElement} source
   */
  draw(source, { mirror = false } = {}) {
    const encoder = this.#device.createCommandEncoder();
    const [width, height] = sizeOf(source);
    const pass = encoder.beginComputePass();
    for (const step of [this.#sourceStep(source, width, height, mirror), ...this.#steps.network, ...this.#steps.look]) run(pass, step);
    pass.end();
    this.#show(encoder);
    this.#device.queue.submit([encoder.finish()]);
  }

  /** Draws the picture that was drawn last once more, by the look alone. */
  redraw() {
    const encoder = this.#device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const step of this.#steps.look) run(pass, step);
    pass.end();
    this.#show(encoder);
    this.#device.queue.submit([encoder.finish()]);
  }

  #show(encoder) {
    if (!this.#modules.has("show")) {
      const module = this.#device.createShaderModule({ code: lookShaders.shown });
      this.#modules.set("show", this.#device.createRenderPipeline({
        layout: "auto", vertex: { module }, fragment: { module, targets: [{ format: this.#format }] },
      }));
    }
    const pipeline = this.#modules.get("show");
    const bind = this.#device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [this.#fixed.look, this.#buffers.luma, this.#buffers.chroma].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const view = this.#context.getCurrentTexture().createView();
    const pass = encoder.beginRenderPass({ colorAttachments: [{ view, loadOp: "clear", storeOp: "store", clearValue: [0, 0, 0, 1] }] });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bind);
    pass.draw(3);
    pass.end();
  }

  /** Resolves when the GPU has done all that it was given. */
  finished() { return this.#device.queue.onSubmittedWorkDone(); }

  /** @returns {Promise<{name: string, ms: number}[]|null>} of every step of one picture; null without timestamps */
  async measure(source) {
    if (!this.#device.features.has("timestamp-query")) return null;
    const [width, height] = sizeOf(source);
    const steps = [this.#sourceStep(source, width, height, false), ...this.#steps.network, ...this.#steps.look];
    const querySet = this.#device.createQuerySet({ type: "timestamp", count: 2 * steps.length });
    const bytes = 16 * steps.length;
    const resolved = this.#device.createBuffer({ size: bytes, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    const read = this.#device.createBuffer({ size: bytes, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    const encoder = this.#device.createCommandEncoder();
    steps.forEach((step, at) => {
      const pass = encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * at, endOfPassWriteIndex: 2 * at + 1 } });
      run(pass, step);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, 2 * steps.length, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, read, 0, bytes);
    this.#device.queue.submit([encoder.finish()]);
    await read.mapAsync(GPUMapMode.READ);
    const times = new BigUint64Array(read.getMappedRange());
    const found = steps.map((step, at) => ({ name: step.name, ms: Number(times[2 * at + 1] - times[2 * at]) / 1e6 }));
    for (const one of [querySet, resolved, read]) one.destroy();
    return found;
  }

  #free() {
    for (const buffer of Object.values(this.#buffers ?? {})) buffer.destroy();
    this.#buffers = null;
  }

  close() {
    this.#free();
    this.#frame?.destroy();
    this.#device.destroy();
  }
}

const isFrame = (source) => source instanceof HTMLVideoElement || ("VideoFrame" in globalThis && source instanceof VideoFrame);

function run(pass, { pipeline, bind, groups }) {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bind);
  pass.dispatchWorkgroups(...groups);
}

/** @returns {[number, number]} pixels of a picture, whatever it is */
export function sizeOf(source) {
  return [
    source.videoWidth ?? source.displayWidth ?? source.naturalWidth ?? source.width,
    source.videoHeight ?? source.displayHeight ?? source.naturalHeight ?? source.height,
  ];
}
