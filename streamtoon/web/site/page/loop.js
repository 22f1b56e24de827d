// Draws a video's frames one after another: always the newest one, never two at a time.

const WINDOW_MS = 1000; // over which frames are counted
const MOST_WAIT_MS = 20000; // for a video's first frame

/** As `requestVideoFrameCallback`, which some browsers lack. */
function nextFrame(video, call) {
  if ("requestVideoFrameCallback" in video) {
    const id = video.requestVideoFrameCallback(call);
    return () => video.cancelVideoFrameCallback(id);
  }
  const id = requestAnimationFrame((now) => call(now, {}));
  return () => cancelAnimationFrame(id);
}

/** Resolves when a video shows a frame, which is later than when it has loaded one. */
export function firstFrame(video) {
  return new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error("The video shows no frame. The browser may be short of memory, or its tab is in the background.")), MOST_WAIT_MS);
    nextFrame(video, () => { clearTimeout(late); done(); });
  });
}

export class Loop {
  #drawer; #video; #mirror; #tell; #cancel = () => {}; #isOn = false; #times = []; #fail;

  /**
   * @param {import("./drawer.js").Drawer} drawer
   * @param {HTMLVideoElement} video
   * @param {() => boolean} mirror
   * @param {(numbers: {fps: number, ms: number}) => void} tell about every second
   * @param {(error: Error) => void} fail
   */
  constructor(drawer, video, mirror, tell, fail) {
    [this.#drawer, this.#video, this.#mirror, this.#tell, this.#fail] = [drawer, video, mirror, tell, fail];
  }

  start() {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#times = [];
    this.#wait();
  }

  stop() {
    this.#isOn = false;
    this.#cancel();
  }

  #wait() { this.#cancel = nextFrame(this.#video, (now, facts) => this.#draw(now, facts).catch((error) => { this.stop(); this.#fail(error); })); }

  /** Draws what the video shows now, as after a seek or another style. */
  async still() {
    if (this.#video.readyState < 2) return;
    await this.#drawer.fit(this.#video.videoWidth, this.#video.videoHeight);
    this.#drawer.draw(this.#video, { mirror: this.#mirror() });
    await this.#drawer.finished();
  }

  async #draw(now, facts) {
    if (!this.#isOn) return;
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (width && this.#video.readyState >= 2) {
      const start = performance.now();
      await this.#drawer.fit(width, height);
      this.#drawer.draw(this.#video, { mirror: this.#mirror() });
      await this.#drawer.finished();
      const end = performance.now();
      const taken = facts.captureTime ?? Math.min(now, start);
      this.#count(end, end - taken);
      if (this.#drawer.took(end - start, width, height)) await this.#drawer.fit(width, height);
    }
    if (this.#isOn) this.#wait();
  }

  #count(end, latency) {
    this.#times.push({ end, latency });
    while (this.#times.length > 2 && end - this.#times[0].end > WINDOW_MS) this.#times.shift();
    const first = this.#times[0];
    if (this.#times.length < 2) return;
    const sorted = this.#times.map((one) => one.latency).sort((a, b) => a - b);
    this.#tell({ fps: ((this.#times.length - 1) * 1000) / (end - first.end), ms: sorted[Math.floor(sorted.length / 2)] });
  }
}
