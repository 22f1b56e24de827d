// Records what the canvas shows, with the sound of what is drawn.

const TYPES = ["video/mp4;codecs=avc1.42E01F,mp4a.40.2", "video/mp4", "video/webm;codecs=vp9,opus", "video/webm;codecs=vp8,opus", "video/webm"];
const BITS_A_PIXEL = 6; // a second; drawings have hard edges
const sounds = new WeakMap(); // video element -> its sound as a stream; an element gives it only once

/** The sound of a file that plays, which stays to be heard. @returns {MediaStreamTrack[]} */
function soundOf(video) {
  if (video.srcObject) return video.srcObject.getAudioTracks();
  if (!sounds.has(video)) {
    const context = new AudioContext();
    const source = context.createMediaElementSource(video);
    const out = context.createMediaStreamDestination();
    source.connect(out);
    source.connect(context.destination);
    sounds.set(video, { context, out });
  }
  const { context, out } = sounds.get(video);
  context.resume();
  return out.stream.getAudioTracks();
}

/** Whether this browser records at all. */
export const canRecord = () => "MediaRecorder" in globalThis && "captureStream" in HTMLCanvasElement.prototype && TYPES.some((type) => MediaRecorder.isTypeSupported(type));

export class Recording {
  #recorder; #parts = []; #stopped; #tracks;

  /** @param {HTMLCanvasElement} canvas @param {HTMLVideoElement} video whose sound is recorded */
  constructor(canvas, video) {
    const type = TYPES.find((one) => MediaRecorder.isTypeSupported(one));
    const stream = canvas.captureStream();
    this.#tracks = stream.getVideoTracks();
    for (const track of soundOf(video)) stream.addTrack(track);
    this.#recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: Math.max(2e6, canvas.width * canvas.height * BITS_A_PIXEL) });
    this.#recorder.addEventListener("dataavailable", ({ data }) => { if (data.size) this.#parts.push(data); });
    this.#stopped = new Promise((done) => { this.#recorder.addEventListener("stop", done, { once: true }); });
    this.#recorder.start(1000);
  }

  /** @returns {Promise<{blob: Blob, suffix: string}>} */
  async stop() {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    await this.#stopped;
    for (const track of this.#tracks) track.stop();
    const type = this.#recorder.mimeType.split(";")[0];
    return { blob: new Blob(this.#parts, { type }), suffix: type === "video/mp4" ? "mp4" : "webm" };
  }
}
