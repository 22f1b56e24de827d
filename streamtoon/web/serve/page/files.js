// Whole files: a list of files that are uploaded one by one, drawn by the server, and downloaded.

import { server } from "./server.js";
import { $, say, trouble } from "./parts.js";

const POLL_MS = 400; // between two requests for the progress of a file
const HEAD_BYTES = 4096; // enough to recognise a text file
const clock = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};
const size = (bytes) => (bytes < 1e5 ? `${Math.ceil(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`);
const isWaiting = (entry) => entry.state !== "busy" && entry.state !== "done";

class Entry {
  state = "waiting"; // "busy", "done", "failed"
  id = null; // of the result on the server
  address = null; // URL of the result
  #row = $("file-row").content.firstElementChild.cloneNode(true);

  constructor(file, isPhoto, remove) {
    [this.file, this.isPhoto] = [file, isPhoto];
    const part = (name) => this.#row.querySelector(`.${name}`);
    this.parts = { name: part("file-name"), text: part("file-text"), progress: part("file-progress"), download: part("download"), remove: part("remove") };
    this.parts.name.textContent = this.parts.name.title = file.name;
    this.parts.progress.setAttribute("aria-label", `Progress of ${file.name}`);
    this.parts.download.setAttribute("aria-label", `Download the cartoon of ${file.name}`);
    this.parts.remove.addEventListener("click", () => remove(this));
    this.show("waiting", size(file.size));
    $("files").append(this.#row);
  }

  show(state, text, share) {
    this.state = state;
    this.#row.dataset.state = state;
    this.parts.text.textContent = text;
    this.parts.download.hidden = state !== "done";
    this.parts.progress.hidden = state !== "busy";
    this.parts.remove.setAttribute("aria-label", `${state === "busy" ? "Cancel" : "Remove"} ${this.file.name}`);
    if (share === undefined) this.parts.progress.removeAttribute("value");
    else this.parts.progress.value = share;
  }

  finish(made) {
    this.id = made.id;
    this.address = server.address(`result/${made.id}`);
    this.parts.download.href = this.address;
    this.parts.download.download = made.name;
    this.show("done", [`${size(made.bytes)}, drawn in ${clock(made.seconds)}`, ...made.warnings].join(". "));
  }

  gone() {
    this.#row.remove();
  }
}

class Files {
  #facts = null;
  #entries = [];
  #sending = null; // the request that carries a file
  #run = 0; // number of the current run; earlier runs stop
  #turn = Promise.resolve(); // resolves when the latest run has nothing in progress on the server
  #now = null; // the entry being uploaded or drawn

  get busy() {
    return this.#now !== null;
  }

  get waiting() {
    return this.#entries.filter(isWaiting).length;
  }

  begin(facts) {
    this.#facts = facts;
    for (const id of ["part-from", "part-to"]) $(id).addEventListener("input", () => $(id).setCustomValidity(""));
    $("stop-files").addEventListener("click", () => this.cancel());
    this.#show();
  }

  // Adds the files that the server accepts, and returns their entries.
  async add(files) {
    trouble();
    const refused = [];
    const taken = [];
    for (const file of files) {
      const why = await this.#refusal(file);
      if (why) refused.push(why);
      else taken.push(new Entry(file, this.#isPhoto(file), (entry) => this.#remove(entry)));
    }
    if (refused.length) trouble(refused.slice(0, 3).join(" ") + (refused.length > 3 ? ` ${refused.length - 3} more files were refused.` : ""));
    this.#entries.push(...taken);
    this.#show();
    if (taken.length && matchMedia("(min-width: 861px)").matches) $("job").scrollIntoView({ block: "nearest" });
    return taken;
  }

  // Draws all waiting files, or all files again if none waits; calls `done` with each finished entry.
  async draw(wish, done = () => {}) {
    const how = this.#settings();
    if (how === null) return;
    const again = this.#entries.some(isWaiting) ? this.#entries.filter(isWaiting) : this.#entries;
    for (const entry of again) entry.show("waiting", size(entry.file.size));
    trouble();
    const run = ++this.#run;
    this.#turn = this.#turn.then(() => this.#drawAll(run, { ...wish, ...how }, done));
    await this.#turn;
  }

  async #drawAll(run, how, done) {
    for (let entry; run === this.#run && (entry = this.#entries.find((one) => one.state === "waiting")); ) {
      this.#now = entry;
      await this.#drawOne(entry, () => this.#now === entry, how, done);
      if (this.#now === entry) this.#now = null;
      else await server.visit("discard", {}).catch(() => {}); // cancelled
      this.#show();
    }
    if (run === this.#run) this.#end();
  }

  #end() {
    const made = this.#entries.filter((entry) => entry.state === "done");
    if (made.length) {
      say(made.length === 1 ? "The file is ready to download" : `${made.length} files are ready to download`);
      if (document.activeElement === document.body) made.at(-1).parts.download.focus();
    }
    const failed = this.#entries.filter((entry) => entry.state === "failed");
    if (failed.length) trouble(failed.map((entry) => `${entry.file.name}: ${entry.parts.text.textContent}`).join(" "));
  }

  async #drawOne(entry, isWanted, how, done) {
    entry.show("busy", "Uploading", 0);
    this.#show();
    say(`Uploading ${entry.file.name}`);
    try {
      await server.visit(`discard/${entry.id ?? 0}`, {}); // the result of an earlier run
      entry.id = null;
      if (!isWanted()) return;
      const id = await this.#send(entry, isWanted, how);
      if (!isWanted()) return;
      say(`Drawing ${entry.file.name}`);
      const made = await this.#drawn(entry, isWanted, id);
      if (!isWanted()) return;
      entry.finish(made);
      done(entry);
    } catch (error) {
      if (isWanted()) entry.show("failed", error.message);
    }
  }

  // Cancels the current file; waiting files keep waiting.
  cancel() {
    this.#run += 1;
    this.#now?.show("stopped", "Cancelled");
    this.#drop();
    $("draw").focus();
  }

  #drop() {
    this.#now = null;
    this.#sending?.abort();
    this.#show();
    say("Cancelled");
  }

  async #remove(entry) {
    this.#entries = this.#entries.filter((one) => one !== entry);
    entry.gone();
    if (this.#now === entry) this.#drop(); // the others go on
    else this.#show();
    ($("files").querySelector("button") ?? $("camera")).focus();
    if (entry.id !== null) await server.visit(`discard/${entry.id}`, {}).catch(() => {});
  }

  #send(entry, isWanted, { style, strength, look, ...how }) {
    const { file } = entry;
    const what = new URLSearchParams({ name: file.name, style, strength, look: JSON.stringify(look), ...how });
    return new Promise((done, failed) => {
      const sending = this.#sending = new XMLHttpRequest(); // fetch reports no upload progress
      sending.open("POST", `${server.address("file")}?${what}`);
      sending.setRequestHeader("Content-Type", "application/octet-stream");
      sending.upload.onprogress = ({ loaded, total }) => {
        if (isWanted()) entry.show("busy", `Uploading, ${Math.floor(100 * loaded / total)} %`, loaded / total);
      };
      sending.onload = () => (sending.status < 300 ? done(JSON.parse(sending.responseText).files.at(-1).id) : failed(new Error(sending.responseText)));
      sending.onerror = () => failed(new Error("The upload failed: the server does not answer."));
      sending.onabort = () => failed(new Error("Cancelled."));
      sending.send(file);
    });
  }

  async #drawn(entry, isWanted, id) {
    while (isWanted()) {
      const file = (await server.state()).files.find((one) => one.id === id);
      if (file === undefined) throw new Error("The server no longer has this file. Draw it again.");
      if (file.state === "done") return file;
      if (file.state === "failed") throw new Error(file.error);
      if (!isWanted()) break;
      const share = file.total ? Math.min(1, file.frames / file.total) : undefined;
      const left = file.remaining != null ? `, ${clock(file.remaining)} left` : "";
      entry.show("busy", share === undefined ? "Drawing" : `Drawing, ${Math.floor(100 * share)} %${left}`, share);
      await new Promise((wake) => setTimeout(wake, POLL_MS));
    }
    return null;
  }

  // --- settings of the files --------------------------------------------------------------------------

  // Offers the qualities of the chosen style.
  styleChanged(style) {
    const names = { full: "Best", fast: "Faster", lite: "Fastest" };
    const before = $("quality").value;
    $("quality").replaceChildren(...style.qualities.map((one) => new Option(names[one], one)));
    if (style.qualities.includes(before)) $("quality").value = before;
    $("quality-field").hidden = style.qualities.length < 2;
  }

  // The settings for the server; null if one is invalid, which the page then reports.
  #settings() {
    const how = { quality: $("quality").value };
    if (this.#entries.every((entry) => entry.isPhoto)) return how;
    const times = { start: $("part-from"), end: $("part-to") };
    for (const [name, input] of Object.entries(times)) {
      const seconds = readTime(input.value);
      if (Number.isNaN(seconds)) return complain(input, "Write a time as seconds or minutes:seconds, such as 1:05.");
      if (seconds !== null) how[name] = seconds;
    }
    if (how.end !== undefined && how.end <= (how.start ?? 0)) return complain(times.end, "The end must be after the start.");
    if ($("out-size").value) how.size = $("out-size").value;
    if ($("beside").checked) how.side_by_side = 1;
    return how;
  }

  // --- what is taken ----------------------------------------------------------------------------------

  #isPhoto(file) {
    return file.type.startsWith("image/") || this.#facts.suffixes.photo.includes(suffix(file));
  }

  async #refusal(file) {
    const { video, photo } = this.#facts.suffixes;
    const isNamed = /^(video|image)\//.test(file.type) || [...video, ...photo].includes(suffix(file));
    const isOther = file.type && file.type !== "application/octet-stream" && !isNamed;
    if (isOther || (!photo.includes(suffix(file)) && await isText(file))) return `${file.name} is not a video or a photo.`;
    if (!file.size) return `${file.name} is empty.`;
    if (file.size > this.#facts.upload * 1e6) return `${file.name} is ${size(file.size)}; the limit of this server is ${this.#facts.upload} MB.`;
    return "";
  }

  #show() {
    const entries = this.#entries;
    const { waiting } = this;
    const count = waiting || entries.length;
    $("job").hidden = !entries.length;
    $("video-settings").hidden = entries.every((entry) => entry.isPhoto);
    const what = count > 1 ? `${count} files` : entries.at(-1)?.isPhoto ? "the photo" : "the video";
    $("draw").textContent = waiting ? `Draw ${what}` : `Draw ${what} again`;
    $("draw").classList.toggle("primary", waiting > 0);
    $("draw").hidden = this.busy;
    $("stop-files").hidden = !this.busy;
  }
}

export const files = new Files();

function complain(input, sentence) {
  input.setCustomValidity(sentence);
  input.reportValidity();
  return null;
}

// Returns the seconds of "75", "1:15" or "0:01:15.5"; null for empty text, NaN for anything else.
export function readTime(text) {
  const match = text.trim().match(/^(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:[.,]\d*)?)$/);
  if (!text.trim()) return null;
  if (!match) return NaN;
  const seconds = Number(match[3].replace(",", "."));
  if (match[2] !== undefined && seconds >= 60) return NaN;
  return 3600 * Number(match[1] ?? 0) + 60 * Number(match[2] ?? 0) + seconds;
}

const suffix = (file) => (file.name.match(/\.[^.]+$/)?.[0] ?? "").toLowerCase();

// Whether a file starts like a text: UTF-8 without control characters, unlike videos and photos.
async function isText(file) {
  const bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer().catch(() => new ArrayBuffer(0)));
  if (!bytes.length) return false;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return !/[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/.test(text);
  } catch {
    return false;
  }
}
