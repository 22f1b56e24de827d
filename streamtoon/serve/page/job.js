// A whole file: sent, drawn by the server, fetched.

import { server } from "./server.js";
import { $, say, trouble } from "./parts.js";

const clock = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

class Job {
  file = null;
  busy = false;
  #sending = null; // the request that carries the file
  #run = 0; // counts runs: answers of an earlier one are dropped

  get photo() {
    return this.file !== null && this.file.type.startsWith("image/");
  }

  offer(file) {
    this.file = file;
    $("job").hidden = false;
    $("job-name").textContent = file.name;
    $("beside-field").hidden = this.photo;
    this.#show("offer", megabytes(file.size));
  }

  async draw(style, strength, done = () => {}) {
    const run = ++this.#run;
    trouble();
    this.busy = true;
    this.#show("busy", "Sending", 0);
    say("Sending the file");
    try {
      if (!await this.#send(run, style, strength)) return;
      say("Drawing the file");
      const file = await this.#drawn(run);
      if (run !== this.#run) return;
      this.busy = false;
      const took = `${megabytes(file.bytes)}, drawn in ${clock(file.seconds)}`;
      this.#show("done", [took, ...file.warnings].join(". "));
      $("download").href = server.address("result");
      $("download").download = file.name;
      say("The file is ready to download");
      $("download").focus();
      done(`${server.address("result")}?${Date.now()}`);
    } catch (error) {
      if (run !== this.#run) return;
      this.busy = false;
      this.#show("offer", megabytes(this.file.size));
      trouble(error.message);
    }
  }

  async cancel() {
    this.#run += 1;
    this.busy = false;
    this.#sending?.abort();
    this.#show("offer", "Cancelled");
    say("Cancelled");
    $("draw").focus();
    await server.visit("discard", {}).catch(() => {});
  }

  // Whether it is sent, and still wanted.
  async #send(run, style, strength) {
    await server.visit("discard", {}); // what an earlier run has left
    if (run !== this.#run) return false;
    const what = { name: this.file.name, style, strength, side_by_side: $("beside").checked ? 1 : 0 };
    await new Promise((done, failed) => {
      const sending = this.#sending = new XMLHttpRequest(); // fetch does not tell how far it is
      sending.open("POST", `${server.address("file")}?${new URLSearchParams(what)}`);
      sending.setRequestHeader("Content-Type", "application/octet-stream");
      sending.upload.onprogress = ({ loaded, total }) => this.#show("busy", `Sending, ${Math.floor(100 * loaded / total)} %`, loaded / total);
      sending.onload = () => (sending.status < 300 ? done() : failed(new Error(sending.responseText)));
      sending.onerror = () => failed(new Error("The file could not be sent: the server does not answer."));
      sending.onabort = () => failed(new Error("Cancelled."));
      sending.send(this.file);
    });
    return run === this.#run;
  }

  async #drawn(run) {
    while (run === this.#run) {
      const { file } = await server.state();
      if (file === null) throw new Error("The server no longer has the file; send it again.");
      if (file.state === "done") return file;
      if (file.state === "failed") throw new Error(file.error);
      const share = file.total ? Math.min(1, file.frames / file.total) : undefined;
      const left = file.remaining != null ? `, ${clock(file.remaining)} left` : "";
      this.#show("busy", share === undefined ? "Drawing" : `Drawing, ${Math.floor(100 * share)} %${left}`, share);
      await new Promise((wake) => setTimeout(wake, 400));
    }
    return null;
  }

  #show(state, text, share) {
    $("job-text").textContent = text;
    $("draw").hidden = state === "busy";
    $("draw").textContent = state === "done" ? "Draw it again" : this.photo ? "Draw it" : "Draw the whole file";
    $("draw").classList.toggle("primary", state !== "done");
    $("download").hidden = state !== "done";
    $("cancel").hidden = state !== "busy";
    $("beside").disabled = state === "busy";
    $("job-progress").hidden = state !== "busy";
    if (share === undefined) $("job-progress").removeAttribute("value");
    else $("job-progress").value = share;
  }
}

export const job = new Job();

// Takes a file up, where the server will take it.
export async function offerFile(file, facts) {
  if (job.busy) { trouble("A file is being drawn: wait for it, or cancel it."); return false; }
  if (file.size > facts.upload * 1e6) {
    trouble(`The file has ${megabytes(file.size)}: this server takes at most ${facts.upload} MB.`);
    return false;
  }
  trouble();
  job.offer(file);
  return true;
}
