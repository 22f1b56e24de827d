// One live session: a track goes to the server, its cartoon comes back, settings go through a data channel.

import { server } from "./server.js";

const START = 2500; // kbit/s to begin with: browsers begin at 300, which is a blur for seconds
const MOST = 6e6; // bit/s
const BEAT = 3000; // ms
const PATIENCE = 20000; // ms until a connection has to be there
const OFFLINE = "This machine has no network, and a browser sends live pictures over a network only, even to its own machine. Files can be drawn all the same.";

export class Live {
  #peer; #channel; #video; #ends; #timers = []; #wish; #closed = false; #server = 0; #before = null; #connected = false;

  constructor(track, video, wish, ends) {
    this.#video = video;
    this.#wish = wish;
    this.#ends = ends;
    this.#peer = new RTCPeerConnection({ iceServers: wish.stun ? [{ urls: `stun:${wish.stun}` }] : [] });
    const transceiver = this.#peer.addTransceiver(track, { direction: "sendrecv" });
    for (const name of ["jitterBufferTarget", "playoutDelayHint"]) { // the newest picture, not the smoothest
      if (name in transceiver.receiver) transceiver.receiver[name] = 0;
    }
    this.#channel = this.#peer.createDataChannel("control");
    this.#channel.addEventListener("message", ({ data }) => this.#heard(JSON.parse(data)));
    this.#channel.addEventListener("open", () => {
      this.send({ style: this.#wish.style, strength: this.#wish.strength });
      this.#connected = true;
      this.#ends.connected();
      this.#timers.push(setInterval(() => this.send({}), BEAT));
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
      const { style, strength } = this.#wish;
      const answer = await server.visit("offer", { sdp: this.#peer.localDescription.sdp, style, strength });
      if (this.#closed) return;
      await this.#peer.setRemoteDescription({ type: "answer", sdp: quick(answer.sdp) });
      this.#timers.push(setInterval(() => this.#measure(), 1000));
      setTimeout(() => { if (!this.#connected) this.#lost(); }, PATIENCE);
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
    const { style, opening, trouble, engine, dropped } = message;
    this.#ends.told({ style, opening, trouble, engine, dropped });
  }

  async #lost() {
    if (this.#closed) return;
    const why = this.#connected ? "The connection to the server was lost."
      : "The pictures do not reach the server: they travel over UDP, which something on the way may stop. Files can be drawn all the same.";
    const state = await server.state().catch(() => null);
    if (!this.#closed) this.#ends.ended(state?.said ?? why);
  }

  // Fewer pictures rather than smaller ones: every size is a new engine for the server.
  #prefer(sender) {
    const wanted = sender.getParameters();
    wanted.degradationPreference = "maintain-resolution";
    for (const encoding of wanted.encodings ?? []) encoding.maxBitrate = MOST;
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

  // From camera to screen: what each station says of itself, added up.
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

// The answer, with a word to Chromium's encoder about how to begin.
function quick(sdp) {
  const type = /^m=video \d+ \S+ (\d+)/m.exec(sdp)?.[1];
  const line = new RegExp(`^(a=fmtp:${type} .*)$`, "m");
  const word = `x-google-start-bitrate=${START}`;
  if (line.test(sdp)) return sdp.replace(line, `$1;${word}`);
  return sdp.replace(new RegExp(`^(a=rtpmap:${type} .*)$`, "m"), `$1\r\na=fmtp:${type} ${word}`);
}
