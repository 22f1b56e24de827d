// Draws a file frame by frame by WebCodecs: every frame once, with its own time, and the sound as it is.

import { readMp4, UnreadableError } from "./mp4_reader.js";
import { videoEntry, writeMp4 } from "./mp4_writer.js";

const CODECS = ["avc1.640034", "avc1.4d0034", "avc1.42e034", "vp09.00.51.08"]; // the first that the browser encodes
const KEY_SECONDS = 2; // between two key frames
const BITS_A_PIXEL = 0.17; // of every frame; drawings have hard edges
const QUEUE = 6; // frames that are decoded ahead
const READ_BYTES = 8e6; // of the file at a time

/** A file that can be drawn frame by frame, or the reason why not. */
export class FrameExport {
  #file; #movie; #video; #decoder;

  /** @returns {Promise<FrameExport>} throws UnreadableError with the reason, as the end of a sentence */
  static async open(file) {
    if (!("VideoDecoder" in globalThis && "VideoEncoder" in globalThis)) throw new UnreadableError("this browser has no WebCodecs");
    const movie = await readMp4(file);
    const video = movie.tracks.find((track) => track.kind === "video");
    if (!video?.samples.length) throw new UnreadableError("it has no video");
    const config = { codec: video.codec, codedWidth: video.width, codedHeight: video.height, ...(video.description ? { description: video.description } : {}) };
    const support = await VideoDecoder.isConfigSupported(config).catch(() => null);
    if (!support?.supported) throw new UnreadableError(`this browser does not decode ${video.codec}`);
    return new FrameExport(file, movie, video, config);
  }

  constructor(file, movie, video, decoder) { [this.#file, this.#movie, this.#video, this.#decoder] = [file, movie, video, decoder]; }

  get frames() { return this.#video.samples.length; }
  get hasSound() { return this.#movie.tracks.some((track) => track.kind === "audio"); }

  async #encoderConfig(width, height) {
    const rate = (this.frames * this.#video.timescale) / this.#video.samples.reduce((sum, one) => sum + one.duration, 1);
    for (const codec of CODECS) {
      const config = { codec, width, height, framerate: Math.round(rate) || 25, bitrate: Math.max(1e6, Math.round(width * height * rate * BITS_A_PIXEL)), latencyMode: "quality", ...(codec.startsWith("avc1") ? { avc: { format: "avc" } } : {}) };
      const support = await VideoEncoder.isConfigSupported(config).catch(() => null);
      if (support?.supported) return config;
    }
    throw new UnreadableError("this browser encodes neither H.264 nor VP9");
  }

  /**
   * @param {(frame: VideoFrame) => Promise<HTMLCanvasElement>} draw gives the canvas with the frame's drawing
   * @param {AbortSignal} signal
   * @param {(done: number) => void} tell frames that are done
   * @returns {Promise<Blob>}
   */
  async run(draw, signal, tell) {
    const { samples, timescale } = this.#video;
    const ticks = new Map(samples.map((one) => [Math.round((one.cts * 1e6) / timescale), one]));
    const decoded = [];
    let failure = null, wake = () => {};
    const fail = (error) => { failure ??= error; wake(); };
    const decoder = new VideoDecoder({ output: (frame) => { decoded.push(frame); wake(); }, error: fail });
    decoder.configure(this.#decoder);
    decoder.addEventListener("dequeue", () => wake());
    const drawn = [];
    let encoder = null, config = null, entryFacts = null, lastKey = -Infinity, done = 0;
    const pause = () => new Promise((resolve) => { wake = resolve; });
    const check = () => { if (failure) throw failure; signal.throwIfAborted(); };
    const onAbort = () => wake();
    signal.addEventListener("abort", onAbort);

    const encode = async (frame) => {
      const canvas = await draw(frame);
      check();
      if (!encoder) {
        config = await this.#encoderConfig(canvas.width, canvas.height);
        encoder = new VideoEncoder({
          output: (chunk, facts) => {
            const data = new Uint8Array(chunk.byteLength);
            chunk.copyTo(data);
            drawn.push({ data, timestamp: chunk.timestamp, isKey: chunk.type === "key" });
            if (facts?.decoderConfig) entryFacts = facts.decoderConfig;
            wake();
          },
          error: fail,
        });
        encoder.addEventListener("dequeue", () => wake());
        encoder.configure(config);
      }
      const isKey = frame.timestamp - lastKey >= KEY_SECONDS * 1e6;
      if (isKey) lastKey = frame.timestamp;
      const picture = new VideoFrame(canvas, { timestamp: frame.timestamp, duration: frame.duration ?? 0 });
      encoder.encode(picture, { keyFrame: isKey });
      picture.close();
      while (encoder.encodeQueueSize > QUEUE) { check(); await pause(); }
      tell(++done);
    };

    const drain = async () => {
      while (decoded.length) {
        check();
        const frame = decoded.shift();
        try { await encode(frame); } finally { frame.close(); }
      }
    };
    try {
      for await (const { sample, data } of this.#read(samples)) {
        check();
        decoder.decode(new EncodedVideoChunk({ type: sample.isKey ? "key" : "delta", timestamp: Math.round((sample.cts * 1e6) / timescale), duration: Math.round((sample.duration * 1e6) / timescale), data }));
        await drain();
        while (decoder.decodeQueueSize > QUEUE) { check(); if (!decoded.length) await pause(); await drain(); }
      }
      const flushed = decoder.flush().catch(fail);
      let isFlushed = false;
      flushed.then(() => { isFlushed = true; wake(); });
      while (!isFlushed || decoded.length) { check(); if (!decoded.length) await pause(); await drain(); }
      check();
      await encoder?.flush();
      check();
      if (drawn.length !== samples.length) throw new Error(`the browser decoded ${drawn.length} of ${samples.length} frames`);
      return this.#write(drawn, ticks, { ...entryFacts, width: config.width, height: config.height });
    } finally {
      signal.removeEventListener("abort", onAbort);
      for (const frame of decoded) frame.close();
      for (const one of [decoder, encoder]) if (one && one.state !== "closed") one.close();
    }
  }

  async* #read(samples) {
    for (let at = 0; at < samples.length;) {
      let end = at, [low, high] = [samples[at].offset, samples[at].offset + samples[at].size];
      while (end < samples.length) {
        const next = [Math.min(low, samples[end].offset), Math.max(high, samples[end].offset + samples[end].size)];
        if (end > at && next[1] - next[0] > READ_BYTES) break;
        [low, high] = next;
        end++;
      }
      const data = new Uint8Array(await this.#file.slice(low, high).arrayBuffer());
      for (; at < end; at++) {
        const sample = samples[at];
        yield { sample, data: data.subarray(sample.offset - low, sample.offset - low + sample.size) };
      }
    }
  }

  #write(drawn, ticks, facts) {
    const times = drawn.map((one) => ticks.get(one.timestamp));
    if (times.includes(undefined)) throw new Error("the browser changed the time of a frame");
    const shown = times.map((one) => one.cts).sort((a, b) => a - b);
    const lengths = shown.map((cts, at) => (at + 1 < shown.length ? shown[at + 1] - cts : this.#video.samples.at(-1).duration));
    let dts = 0;
    const samples = drawn.map((one, at) => {
      const sample = { data: one.data, size: one.data.length, dts, cts: times[at].cts, duration: lengths[at], isKey: one.isKey };
      dts += lengths[at];
      return sample;
    });
    const description = facts.description ? new Uint8Array(facts.description.buffer ?? facts.description) : undefined;
    const { color, ...video } = { ...this.#video, samples, color: facts.colorSpace?.toJSON?.() ?? facts.colorSpace };
    video.entry = videoEntry({ codec: facts.codec, description, color, width: facts.width, height: facts.height, pixelShape: this.#video.pixelShape });
    const sound = this.#movie.tracks.filter((track) => track.kind === "audio").map((track) => ({
      ...track, samples: track.samples.map((one) => ({ ...one, data: this.#file.slice(one.offset, one.offset + one.size) })),
    }));
    return writeMp4([video, ...sound], this.#movie.timescale);
  }
}
