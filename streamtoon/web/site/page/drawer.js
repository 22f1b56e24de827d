// Draws pictures of any kind in a style: chooses the engine, loads networks, and finds a size that keeps up.

import { openGpu, sizeOf } from "./engine/gpu.js";
import { WORKING_SIDE } from "./engine/layers.js";
import { loadWeights } from "./engine/weights.js";
import { changedLook, loadFacts } from "./facts.js";

/** From the best drawing to the fastest: network, short side of the drawing, share that the network works at. */
const STEPS = [["full", 720, 1], ["lite", 720, 1], ["lite", 720, 0.75], ["lite", 540, 1], ["lite", 480, 0.75], ["lite", 360, 1], ["lite", 240, 1], ["lite", 144, 1]];
const MAX_ENLARGEMENT = 1.5; // of a small picture, so that strokes are as thin as in a large one
const SPARE = 0.8; // share of the time between two frames that a drawing may take
const FRAME_MS = 1000 / 30;

export class Drawer {
  #base; #facts; #engine; #style; #look; #form = "lite"; #step = 0; #speed = 0; #size = "auto"; #fitted = "";

  /**
   * @param {HTMLCanvasElement} canvas to draw on
   * @param {URL} base folder of the site
   * @param {{engine?: "auto"|"webgpu"|"webgl2"}} options which engine is wanted
   */
  static async open(canvas, base, { engine = "auto" } = {}) {
    if (!isSecureContext) throw new Error("Browsers let a page use the GPU over HTTPS only, and this address begins with http.");
    const facts = await loadFacts(base);
    let reason = "this browser does not offer WebGPU";
    let opened = null;
    if (engine === "webgl2") reason = "WebGL was asked for";
    else opened = await openGpu(canvas).catch((error) => { reason = `WebGPU cannot be used (${error.message})`; });
    if (!opened && engine !== "webgpu") {
      const { openGl } = await import("./engine/gl.js");
      opened = openGl(canvas);
    }
    if (!opened) throw new Error("This browser has neither WebGPU nor WebGL 2, and drawing needs one of them. A current Chrome, Edge, Firefox or Safari has.");
    const drawer = new Drawer(canvas, base, facts, opened);
    drawer.reason = opened.kind === "webgl2" ? reason : "";
    return drawer;
  }

  constructor(canvas, base, facts, engine) {
    [this.canvas, this.#base, this.#facts, this.#engine] = [canvas, base, facts, engine];
    this.#style = facts.styles[0];
    this.#step = this.#isWeak ? STEPS.length - 1 : 5;
  }

  get facts() { return this.#facts; }
  get engine() { return this.#engine; }
  get style() { return this.#style.name; }
  get form() { return this.#form; }

  /** @param {string} name of a style @param {object} changes of its look's keys; throws for what is not allowed */
  async setStyle(name, changes = {}) {
    const style = this.#facts.styles.find((one) => one.name === name);
    if (!style) throw new Error(`there is no style ${String(name).slice(0, 40)} here; there are ${this.#facts.styles.map((one) => one.name).join(", ")}`);
    this.#look = changedLook(this.#facts.keys, style.look, changes);
    this.#style = style;
    await this.#load(this.#form);
    await this.#engine.setLook(this.#look);
  }

  async #load(form) {
    const forms = this.#facts.networks[this.#style.network];
    const found = form in forms ? form : "full";
    const key = `${this.#style.network} ${found}`;
    if (!this.#engine.hasNetwork(key)) this.#engine.addNetwork(key, await loadWeights(this.#base, forms[found]));
    return key;
  }

  /**
   * The size from now on.
   * @param {"auto"|number} size of the drawing's short side in pixels; `auto` is what keeps up
   */
  setSize(size) { this.#size = size; }

  /** Makes the engine ready for pictures of a size. @returns {Promise<void>} */
  async fit(width, height, { form, side, share, even = false } = this.#chosen(width, height)) {
    const scale = side / Math.min(width, height), step = even ? 2 : 1;
    const [w, h] = [width, height].map((one) => Math.max(16, step * Math.round((one * scale) / step)));
    const key = [form, w, h, share, this.#style.network].join(" ");
    if (key === this.#fitted) return;
    const network = await this.#load(form);
    this.#form = form;
    this.#engine.resize(network, w, h, share);
    this.#fitted = key;
    if (this.#look) await this.#engine.setLook(this.#look);
  }

  /** Of a photograph or of a file that may take its time: the large network at its working size. */
  fitBest(width, height, most, even = false) {
    const side = this.#limit(Math.min(most, largest(width, height)));
    return this.fit(width, height, { form: this.#isWeak ? "lite" : "full", side, share: Math.min(1, WORKING_SIDE / side), even });
  }

  get #isWeak() { return this.#engine.kind === "webgl2" || this.#engine.isSoftware; }

  #limit(side) { return this.#engine.kind === "webgl2" ? Math.min(side, 360) : side; }

  #chosen(width, height) {
    const most = largest(width, height);
    if (this.#size !== "auto") {
      const side = this.#limit(Math.min(this.#size, most));
      return { form: this.#step === 0 ? "full" : "lite", side, share: Math.min(1, WORKING_SIDE / side) };
    }
    const [form, side, share] = STEPS[this.#step];
    return { form, side: Math.min(this.#limit(side), most), share };
  }

  /** Finds the best step that keeps up with pictures of a size, by the time that one of them takes. */
  async measure(source) {
    const [width, height] = sizeOf(source);
    await this.fit(width, height);
    this.#engine.draw(source); // makes what is made once
    await this.#engine.finished();
    const times = [];
    for (let at = 0; at < 3; at++) {
      const start = performance.now();
      this.#engine.draw(source);
      await this.#engine.finished();
      times.push(performance.now() - start);
    }
    this.#speed = this.#work(this.#step, width, height) / Math.min(...times);
    this.#step = this.#bestStep(width, height);
    await this.fit(width, height);
  }

  #bestStep(width, height) {
    const steps = STEPS.map((_, at) => at).filter((at) => this.#engine.kind === "webgpu" || STEPS[at][0] === "lite");
    return steps.find((at) => this.#work(at, width, height) / this.#speed <= FRAME_MS * SPARE) ?? STEPS.length - 1;
  }

  /** Multiplications of a picture, about; the look counts as a network of 3,000 a block. */
  #work(step, width, height) {
    const [form, side, share] = STEPS[step];
    const forms = this.#facts.networks[this.#style.network];
    const scale = (Math.min(side, largest(width, height)) / Math.min(width, height)) ** 2;
    return ((width * height) / 16) * scale * ((forms[form] ?? forms.full).multiplications * share * share + 3000);
  }

  /** What a picture took, so that `auto` follows a GPU that others use too. @returns {boolean} whether the size changes */
  took(ms, width, height) {
    if (this.#size !== "auto") return false;
    const speed = this.#work(this.#step, width, height) / ms;
    this.#speed = this.#speed ? this.#speed * 0.95 + speed * 0.05 : speed;
    const best = this.#bestStep(width, height);
    const isSlow = ms > FRAME_MS && best > this.#step;
    const isFast = best < this.#step && this.#work(best, width, height) / this.#speed < FRAME_MS * SPARE * 0.7;
    if (!isSlow && !isFast) return false;
    this.#step = isSlow ? this.#step + 1 : this.#step - 1;
    return true;
  }

  draw(source, options) { this.#engine.draw(source, options); }
  redraw() { this.#engine.redraw(); }
  finished() { return this.#engine.finished(); }
}

/** Short side of the largest drawing of a picture: its own, or that of the enlarged picture. */
function largest(width, height) {
  const short = Math.min(width, height);
  return Math.max(short, Math.min(WORKING_SIDE, MAX_ENLARGEMENT * short));
}
