// What the page's network and ONNX Runtime's make of the same samples, before any look.

import { openGpu } from "/engine/gpu.js";
import { loadWeights } from "/engine/weights.js";
import * as ort from "/ort/ort.wasm.bundle.min.mjs";

/** Calls `draw` and returns the buffers that each of the engine's steps is bound to. */
function watchSteps(draw) {
  const steps = [], make = GPUDevice.prototype.createBindGroup;
  GPUDevice.prototype.createBindGroup = function (asked) {
    steps.push({ device: this, buffers: asked.entries.map((one) => one.resource.buffer) });
    return make.call(this, asked);
  };
  draw();
  GPUDevice.prototype.createBindGroup = make;
  return steps;
}

async function read({ device, buffers }, at, count) {
  const copy = device.createBuffer({ size: 4 * count, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffers[at], 0, copy, 0, 4 * count);
  device.queue.submit([encoder.finish()]);
  await copy.mapAsync(GPUMapMode.READ);
  return new Float32Array(copy.getMappedRange().slice(0));
}

/** Vectors of four channels as one plane for each channel. */
function planar(vectors, channels, area) {
  const planes = new Float32Array(channels * area);
  for (let c = 0; c < channels; c++) {
    for (let at = 0; at < area; at++) planes[c * area + at] = vectors[4 * ((c >> 2) * area + at) + (c % 4)];
  }
  return planes;
}

/** @returns {Promise<{samples: number[], fields: number[], wanted: number[]}>} in, out in WGSL, out in WebAssembly */
export async function compare(picture, network, form) {
  const facts = await (await fetch("/site.json")).json();
  const { width, height } = picture, [columns, rows] = [width / 4, height / 4];
  const engine = await openGpu(document.createElement("canvas"), { half: false });
  engine.addNetwork("one", await loadWeights(new URL("/", location.href), facts.networks[network][form]));
  const steps = watchSteps(() => engine.resize("one", width, height));
  await engine.setLook(facts.styles[0].look);
  const [blocks] = watchSteps(() => engine.draw(picture)); // the first step: picture to samples
  const samples = planar(await read(blocks, 3, 24 * columns * rows), 24, columns * rows);
  const fields = planar(await read(steps.at(-1), 1, 40 * columns * rows), 40, columns * rows); // fields to planes
  engine.close();

  ort.env.wasm.wasmPaths = "/ort/";
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create("/ort/generator.onnx", { executionProviders: ["wasm"] });
  const given = new ort.Tensor("float32", samples, [1, 24, rows, columns]);
  const made = await session.run({ [session.inputNames[0]]: given });
  return { samples: [...samples], fields: [...fields], wanted: [...made[session.outputNames[0]].data] };
}
