// The whole file: drawn frame by frame where the browser can, else recorded while it plays, and the page says which.

import { addResult } from "../gallery.js";
import { $, trouble } from "../parts.js";
import { canRecord, Recording } from "../record.js";
import { FrameExport } from "./frames.js";

const LARGEST = 1080; // pixels of the short side

/**
 * @param {import("../drawer.js").Drawer} drawer
 * @param {HTMLVideoElement} video that plays the file
 * @param {{pause: () => void, resume: () => void}} page stops and goes on drawing what plays
 */
export function makeExport(drawer, video, page) {
  let file = null, frames = null, stop = null;

  async function offer(chosen) {
    [file, frames] = [chosen, null];
    $("job").hidden = false;
    $("job-text").textContent = "";
    $("export").disabled = true;
    try {
      const found = await FrameExport.open(chosen);
      if (file !== chosen) return;
      frames = found;
      $("job-how").textContent = `${found.frames.toLocaleString("en")} frames, each drawn once with its own time${found.hasSound ? "; the sound is copied" : ""}.`;
      $("export").disabled = false;
    } catch (error) {
      if (file !== chosen) return;
      const isPossible = canRecord() && Number.isFinite(video.duration);
      $("job-how").textContent = `It cannot be drawn frame by frame: ${error.message}. ${isPossible ? "It is recorded while it plays instead: that takes as long as the video, and frames are left out where this device is slow." : "This browser cannot record it either."}`;
      $("export").disabled = !isPossible;
    }
  }

  async function run() {
    const mine = new AbortController();
    stop = mine;
    trouble();
    for (const [id, isHidden] of [["export", true], ["cancel", false], ["job-progress", false]]) $(id).hidden = isHidden;
    $("job-progress").value = 0;
    const [name, style] = [file.name.replace(/\.[^.]*$/, ""), drawer.style];
    try {
      const { blob, suffix, note } = frames ? await drawFrames(mine.signal) : await record(mine.signal);
      addResult(blob, `${name}-${style}.${suffix}`, note);
      $("job-text").textContent = "Finished.";
    } catch (error) {
      if (mine.signal.aborted) $("job-text").textContent = "Cancelled.";
      else {
        $("job-text").textContent = "";
        trouble(`${file?.name ?? "The file"} cannot be drawn to its end: ${error.message}.`);
      }
    } finally {
      if (stop === mine) stop = null;
      for (const [id, isHidden] of [["export", false], ["cancel", true], ["job-progress", true]]) $(id).hidden = isHidden;
      page.resume();
    }
  }

  async function drawFrames(signal) {
    page.pause();
    const start = performance.now();
    const reduced = document.createElement("canvas"), brush = reduced.getContext("2d");
    const blob = await frames.run(async (frame) => {
      await drawer.fitBest(frame.displayWidth, frame.displayHeight, LARGEST, true);
      drawer.draw(frame);
      await drawer.finished();
      drawer.redraw(); // what a canvas shows is there for the task that drew it
      const { canvas } = drawer;
      const [width, height] = [frame.displayWidth, frame.displayHeight].map((side) => 2 * Math.round(side / 2));
      if (canvas.width <= width) return canvas;
      [reduced.width, reduced.height] = [width, height];
      brush.imageSmoothingQuality = "high";
      brush.drawImage(canvas, 0, 0, width, height);
      return reduced;
    }, signal, (done) => tell(done / frames.frames, start, `${done.toLocaleString("en")} of ${frames.frames.toLocaleString("en")} frames`));
    return { blob, suffix: "mp4", note: "" };
  }

  async function record(signal) {
    const start = performance.now();
    const wasLooped = video.loop;
    video.loop = false;
    video.currentTime = 0;
    await new Promise((done) => { video.addEventListener("seeked", done, { once: true }); });
    const recording = new Recording(drawer.canvas, video);
    const over = new AbortController();
    try {
      await new Promise((done, fail) => {
        video.addEventListener("ended", done, { signal: over.signal });
        video.addEventListener("timeupdate", () => tell(video.currentTime / video.duration, start, ""), { signal: over.signal });
        signal.addEventListener("abort", () => fail(signal.reason), { signal: over.signal });
        video.play().catch(fail);
      });
      return { ...(await recording.stop()), note: "Recorded while it played." };
    } finally {
      over.abort();
      await recording.stop();
      video.loop = wasLooped;
    }
  }

  function tell(share, start, what) {
    $("job-progress").value = share;
    const left = ((performance.now() - start) / 1000) * (1 / Math.max(share, 1e-6) - 1);
    const rest = left < 90 ? `${Math.ceil(left)} s` : `${Math.ceil(left / 60)} min`;
    $("job-text").textContent = [what, `about ${rest} left`].filter(Boolean).join(", ");
  }

  $("export").addEventListener("click", run);
  $("cancel").addEventListener("click", () => stop?.abort());
  return { offer, cancel: () => stop?.abort(), isBusy: () => stop !== null && frames !== null };
}
