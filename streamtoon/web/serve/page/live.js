// One live session: a video track to the server, the cartoon back, and settings through a data channel.

import { server } from "./server.js";

const START_KBIT_S = 2500; // browsers start at 300, which is blurred for seconds
const MAX_BIT_S = 6e6;
const HEARTBEAT_MS = 3000;
const CONNECT_TIMEOUT_MS = 20000;
const OFFLINE = "This machine is not connected to a network, which live video needs even on one machine. You can still draw files.";

export class Live {
  #peer; #channel; #video; #ends; #timers = []; #wish; #closed = false; #server = 0; #before = null; #connected = false;

  constructor(track, video, wish, ends) {
    this.#video = video;
    this.#wish = wish;
    this.#ends = ends;
    this.#peer = new RTCPeerConnection({ iceServers: wish.stun ? [{ urls: `stun:${wish.stun}` }] : [] });
    const transceiver = this.#peer.addTransceiver(track, { direction: "sendrecv" });
    for (const name of ["jitterBufferTarget", "playoutDelayHint"]) { // prefer the newest frame to smooth playback
      if (name in transceiver.receiver) transceiver.receiver[name] = 0;
    }
    this.#channel = this.#peer.createDataChannel("control");
    this.#channel.addEventListener("message", ({ data }) => this.#heard(JSON.parse(data)));
    this.#channel.addEventListener("open", () => {
      const { style, strength, look } = this.#wish;
      this.send({ style, strength, look });
      this.#connected = true;
      this.#ends.connected();
      this.#timers.push(setInterval(() => this.send({}), HEARTBEAT_MS));
    });
    this.#peer.addEventListener("track", ({ track: cartoon }) => this.#play(cartoon));
    this.#peer.addEventListener("connectionstatechange", () => {
      if (["failed", "closed"].includes(this.#peer.connectionState)) this.#lost();
      if (this.#peer.connectionState === "connected") this.#prefer(transceiver.sender);
    });
  }

  async begin() {
    try {
      await this.#peer.setLocalDescription();
      await this.#gathered();
      if (!/^a=candidate/m.test(this.#peer.localDescription.sdp)) throw new Error(OFFLINE);
      const { style, strength, look } = this.#wish;
      const answer = await server.visit("offer", { sdp: this.#peer.localDescription.sdp, style, strength, look });
      if (this.#closed) return;
      await this.#peer.setRemoteDescription({ type: "answer", sdp: quick(answer.sdp) });
      this.#timers.push(setInterval(() => this.#measure(), 1000));
      setTimeout(() => { if (!this.#connected) this.#lost(); }, CONNECT_TIMEOUT_MS);
    } catch (error) {
      if (!this.#closed) this.#ends.ended(error.message);
    }
  }

  send(wish) {
    Object.assign(this.#wish, wish);
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(wish));
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#timers.forEach(clearInterval);
    this.#peer.close();
    server.visit("stop", {}).catch(() => {});
  }

  #play(cartoon) {
    const video = this.#video;
    video.srcObject = new MediaStream([cartoon]);
    video.play().catch(() => {});
    const first = () => { if (!this.#closed) this.#ends.playing(); };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(first);
    else video.addEventListener("playing", first, { once: true });
    video.onresize = () => this.#ends.size(video.videoWidth, video.videoHeight);
  }

  #heard(message) {
    if (message.end) { this.#ends.ended(message.end); return; }
    if (message.ms !== undefined) this.#server = message.ms;
    const { style, opening, engine, dropped } = message;
    this.#ends.told({ style, opening, trouble: message.trouble ?? message.error, engine, dropped });
  }

  async #lost() {
    if (this.#closed) return;
    const why = this.#connected ? "The connection to the server was lost."
      : "Live video could not reach the server. It uses UDP, which a firewall may block. You can still draw files.";
    const state = await server.state().catch(() => null);
    if (!this.#closed) this.#ends.ended(state?.said ?? why);
  }

  // Prefer fewer frames to smaller ones: the server opens a new engine for every size.
  #prefer(sender) {
    const wanted = sender.getParameters();
    wanted.degradationPreference = "maintain-resolution";
    for (const encoding of wanted.encodings ?? []) encoding.maxBitrate = MAX_BIT_S;
    sender.setParameters(wanted).catch(() => {});
  }

  async #gathered() {
    const peer = this.#peer;
    if (peer.iceGatheringState === "complete") return;
    await new Promise((done) => {
      peer.addEventListener("icegatheringstatechange", () => { if (peer.iceGatheringState === "complete") done(); });
      setTimeout(done, 3000);
    });
  }

  // Latency from camera to screen: the sum over all stages.
  async #measure() {
    if (this.#closed) return;
    const now = { encode: 0, encoded: 0, buffer: 0, emitted: 0, decode: 0, decoded: 0, trip: 0, fps: 0 };
    (await this.#peer.getStats()).forEach((one) => {
      if (one.type === "outbound-rtp") [now.encode, now.encoded] = [one.totalEncodeTime ?? 0, one.framesEncoded ?? 0];
      if (one.type === "candidate-pair" && one.nominated) now.trip = one.currentRoundTripTime ?? 0;
      if (one.type === "inbound-rtp") {
        [now.buffer, now.emitted] = [one.jitterBufferDelay ?? 0, one.jitterBufferEmittedCount ?? 0];
        [now.decode, now.decoded] = [one.totalDecodeTime ?? 0, one.framesDecoded ?? 0];
        now.fps = one.framesPerSecond ?? 0;
      }
    });
    const before = this.#before;
    this.#before = now;
    if (before === null || this.#closed) return;
    const each = (time, count) => (now[time] - before[time]) / Math.max(1, now[count] - before[count]);
    const seconds = each("encode", "encoded") + each("buffer", "emitted") + each("decode", "decoded") + now.trip;
    this.#ends.told({ fps: now.fps, latency: 1000 * seconds + this.#server });
  }
}

// Adds a start bit rate for Chromium's encoder to the answer.
function quick(sdp) {
  const type = /^m=video \d+ \S+ (\d+)/m.exec(sdp)?.[1];
  const line = new RegExp(`^(a=fmtp:${type} .*)$`, "m");
  const word = `x-google-start-bitrate=${START_KBIT_S}`;
  if (line.test(sdp)) return sdp.replace(line, `$1;${word}`);
  return sdp.replace(new RegExp(`^(a=rtpmap:${type} .*)$`, "m"), `$1\r\na=fmtp:${type} ${word}`);
}
