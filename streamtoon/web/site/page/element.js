// <streamtoon-video src="film.mp4" drawing="comic"></streamtoon-video>: a video that is drawn where it is shown.
//
// Attributes: src, drawing (a style's name; the attribute `style` belongs to CSS), changes (keys of its look as JSON),
// autoplay (muted, as browsers want it), loop. The page must come from the same server as these files.

import { Drawer } from "./drawer.js";
import { firstFrame, Loop } from "./loop.js";

const SHEET = `
  :host { display: inline-block; position: relative; max-width: 100%; }
  :host([hidden]) { display: none; }
  canvas { display: block; width: 100%; height: auto; }
  video { position: absolute; width: 1px; height: 1px; opacity: 0; pointer-events: none; }
  button { position: absolute; left: .5rem; bottom: .5rem; min-height: 44px; padding: 0 1rem; border: 0; border-radius: 10px; background: rgb(16 18 22 / 75%); color: #fff; font: inherit; cursor: pointer; }
  button:focus-visible { outline: 3px solid #8db0ff; }
  p { position: absolute; inset: auto 0 0; margin: 0; padding: .6rem 1rem; background: rgb(16 18 22 / 85%); color: #fff; font: 1rem/1.4 system-ui, sans-serif; }
  p:empty { display: none; }
`;

export class StreamtoonVideo extends HTMLElement {
  static observedAttributes = ["src", "drawing", "changes"];
  #drawer = null; #loop = null; #video; #canvas; #button; #trouble; #opening = null; #frame = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(SHEET);
    root.adoptedStyleSheets = [sheet];
    this.#canvas = document.createElement("canvas");
    this.#canvas.setAttribute("role", "img");
    this.#canvas.setAttribute("aria-label", this.getAttribute("aria-label") ?? "A video, drawn as a cartoon");
    this.#video = Object.assign(document.createElement("video"), { playsInline: true, crossOrigin: "anonymous" });
    this.#video.setAttribute("aria-hidden", "true");
    this.#button = Object.assign(document.createElement("button"), { type: "button", textContent: "Play" });
    this.#button.addEventListener("click", () => { if (this.#video.paused) this.play(); else this.#video.pause(); });
    this.#trouble = document.createElement("p");
    this.#trouble.setAttribute("role", "alert");
    for (const name of ["play", "pause"]) this.#video.addEventListener(name, () => { this.#button.textContent = this.#video.paused ? "Play" : "Pause"; });
    this.#video.addEventListener("loadeddata", () => this.#first());
    this.#video.addEventListener("error", () => { if (this.#video.getAttribute("src")) this.#fail(new Error(`${this.getAttribute("src")} cannot be played here.`)); });
    root.append(this.#canvas, this.#video, this.#button, this.#trouble);
  }

  connectedCallback() { this.#open(); }

  disconnectedCallback() {
    this.#loop?.stop();
    this.#video.pause();
    this.#drawer?.engine.close();
    [this.#drawer, this.#loop, this.#opening] = [null, null, null];
    const fresh = this.#canvas.cloneNode(); // a canvas keeps the context that it once had
    this.#canvas.replaceWith(fresh);
    this.#canvas = fresh;
  }

  attributeChangedCallback(name) {
    if (!this.#drawer) return;
    if (name === "src") this.#load();
    else this.#restyle().catch((error) => this.#fail(error));
  }

  /** As of a video element. */
  async play() {
    await this.#opening;
    await this.#video.play();
    this.#loop?.start();
  }

  pause() { this.#video.pause(); }

  /** The video element, for its time and its sound. */
  get video() { return this.#video; }

  #open() {
    this.#opening ??= (async () => {
      try {
        const drawer = await Drawer.open(this.#canvas, new URL(".", import.meta.url));
        if (!this.isConnected) {
          drawer.engine.close();
          return;
        }
        this.#drawer = drawer;
        await this.#restyle();
        this.#loop = new Loop(drawer, this.#video, () => false, () => {}, (error) => this.#fail(error));
        drawer.engine.lost.then(() => { if (this.#drawer === drawer) this.#fail(new Error("The GPU is gone. Load the page again.")); });
        this.#load();
      } catch (error) {
        this.#fail(error);
      }
    })();
  }

  #load() {
    this.#trouble.textContent = "";
    this.#video.loop = this.hasAttribute("loop");
    this.#video.muted = this.hasAttribute("autoplay");
    if (!this.getAttribute("src")) return;
    this.#video.src = this.getAttribute("src");
    this.#frame = firstFrame(this.#video);
    this.#frame.catch(() => {}); // told where it is waited for
  }

  async #restyle() {
    let changes;
    try {
      changes = JSON.parse(this.getAttribute("changes") || "{}");
    } catch {
      throw new Error("the attribute changes is no JSON");
    }
    await this.#drawer.setStyle(this.getAttribute("drawing") ?? this.#drawer.style, changes);
    if (this.#video.paused) await this.#loop?.still();
  }

  async #first() {
    try {
      await this.#frame;
      await this.#drawer.measure(this.#video);
      await this.#loop.still();
      this.dispatchEvent(new Event("drawn"));
      if (this.hasAttribute("autoplay")) await this.play();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error) {
    this.#loop?.stop();
    this.#trouble.textContent = error.message;
  }
}

customElements.define("streamtoon-video", StreamtoonVideo);
