// The page: what is shown, what the buttons do, and what they say.

import { listCameras, showsVisitor } from "./camera.js";
import { Drawer } from "./drawer.js";
import { makeExport } from "./export/job.js";
import { addResult, makeGallery } from "./gallery.js";
import { lookOf, makeLook, showLook } from "./look.js";
import { firstFrame, Loop } from "./loop.js";
import { $, say, trouble, waiting } from "./parts.js";
import { canRecord, Recording } from "./record.js";
import { canShareScreen, openVideo, readPhoto, release, useCamera, useScreen } from "./sources.js";
import { acceptDrops, fullScreen, mirror, shape, split } from "./stage.js";

const SIZES = [["auto", "Automatic"], ["240", "240 lines"], ["360", "360 lines"], ["540", "540 lines"], ["720", "720 lines"], ["1080", "1080 lines"]];
const LARGEST_PHOTO = 1440; // pixels of the short side
const SAMPLE = { form: "lite", side: 400, share: 1 }; // what is drawn first needs the small network alone
const KEPT_SETTING = "streamtoon-style";
const video = $("video"), stage = $("stage"), canvas = $("canvas");

let drawer = null;
let lost = null; // the error that says that the GPU is gone
let loop = null;
let photo = null; // the picture that is shown where no video is
let mode = "loading"; // then sample, photo, video, camera or screen
let file = null;
let recording = null;
let exporter = null;
let turn = 0; // counts openings, so that a slow one does not come after a newer one

const isMoving = () => ["camera", "screen", "video"].includes(mode);
const isMirrored = () => mode === "camera" && $("mirror").checked;

async function start() {
  makeStage();
  waiting("Loading the network");
  try {
    const wanted = new URLSearchParams(location.search).get("engine");
    drawer = await Drawer.open(canvas, new URL(".", location.href), { engine: ["webgpu", "webgl2"].includes(wanted) ? wanted : "auto" });
    const names = drawer.facts.styles.map((one) => one.name);
    const kept = names.find((name) => name === localStorage.getItem(KEPT_SETTING)) ?? names[0];
    await drawer.setStyle(kept);
    makeGallery(drawer.facts.styles, kept, choose);
    makeLook({ look_keys: drawer.facts.keys, styles: drawer.facts.styles }, () => choose(drawer.style));
    showLook(kept);
    watchEngine();
    loop = new Loop(drawer, video, isMirrored, showNumbers, failed);
    exporter = makeExport(drawer, video, { pause: pauseForExport, resume: resumeAfterExport });
    await showSample();
    ready();
  } catch (error) {
    stage.dataset.state = "failed";
    waiting();
    stage.style.setProperty("--split", "100%");
    trouble((lost ?? error).message);
  }
}

function watchEngine() {
  const { engine } = drawer;
  const kinds = { webgpu: `WebGPU, ${engine.precision}`, webgl2: "WebGL 2" };
  $("engine").textContent = `Engine: ${[kinds[engine.kind], engine.name].filter(Boolean).join(", ")}.`;
  if (engine.kind === "webgl2") {
    $("slower").textContent = `This page draws with WebGL, the small network and at most 360 lines, because ${drawer.reason}.`;
  } else if (engine.isSoftware) {
    $("slower").textContent = "This browser computes WebGPU on the processor, not on a GPU. That is slow: a current GPU driver, or another browser, may help.";
  }
  $("slower").hidden = !$("slower").textContent;
  engine.lost.then((why) => {
    lost = new Error(`The GPU is gone (${why?.message || why?.reason || "no reason given"}). Load the page again.`);
    failed(lost);
  });
  engine.refused?.then((why) => failed(new Error(why)));
}

function ready() {
  waiting();
  say("");
  for (const id of ["camera", "file", "screen"]) $(id).disabled = false;
  $("screen").hidden = !canShareScreen();
  $("record").hidden = !canRecord();
}

function failed(error) {
  loop?.stop();
  waiting();
  trouble((lost ?? error).message); // the loss of the GPU explains what fails after it
}

async function choose(name) {
  try {
    trouble();
    await drawer.setStyle(name, lookOf(name));
    localStorage.setItem(KEPT_SETTING, name);
    showLook(name);
    await drawStill();
  } catch (error) {
    failed(error);
  }
}

/** Draws what stands still: a photo, or a video that is paused. */
async function drawStill() {
  if (exporter?.isBusy()) return;
  if (photo) {
    if (mode === "sample") await drawer.fit(photo.width, photo.height, SAMPLE);
    else await drawer.fitBest(photo.width, photo.height, LARGEST_PHOTO);
    drawer.draw(photo);
    await drawer.finished();
    stage.dataset.drawn = `${mode} ${drawer.style}`;
    showSize();
  } else if (video.paused && isMoving()) await loop.still();
}

async function showSample() {
  const image = $("photo");
  await image.decode();
  photo = await createImageBitmap(image);
  mode = "sample";
  shape(photo.width, photo.height);
  await drawStill();
  stage.dataset.state = "sample";
}

function showNumbers({ fps, ms }) {
  $("fps").textContent = fps < 9.95 ? fps.toFixed(1) : String(Math.round(fps));
  $("latency").textContent = String(Math.round(ms));
  stage.dataset.drawn = `${mode} ${drawer.style}`;
  showSize();
}

function showSize() { $("drawn-size").textContent = `${canvas.width} × ${canvas.height}`; }

/** Lets go of what is shown; the picture that ships with the page comes back unless something else follows. */
async function close() {
  turn++;
  loop.stop();
  await stopRecording();
  exporter.cancel();
  release(video);
  video.hidden = true;
  file = null;
  stage.classList.remove("mirrored");
  for (const id of ["running", "seek-row", "camera-settings", "sound-row", "job"]) $(id).hidden = true;
  $("begin").hidden = false;
  $("devices-field").hidden = true;
}

async function show(next, open) {
  await close();
  const mine = turn;
  trouble();
  waiting({ camera: "Opening the camera", screen: "Waiting for the screen", video: "Opening the video", photo: "Drawing" }[next]);
  try {
    await open();
    if (mine !== turn) return;
    mode = next;
    stage.dataset.state = next;
    showControls();
    if (isMoving()) await beginMoving();
    else await drawStill();
    waiting();
  } catch (error) {
    if (mine !== turn) return;
    await close();
    await showSample();
    failed(error);
  }
}

function showControls() {
  $("begin").hidden = true;
  $("running").hidden = false;
  $("play").hidden = mode !== "video";
  $("record").hidden = !isMoving() || !canRecord();
  $("seek-row").hidden = mode !== "video";
  $("camera-settings").hidden = mode !== "camera";
  $("sound-row").hidden = mode !== "video";
  $("speed").hidden = !isMoving();
  for (const id of ["fps", "latency"]) $(id).textContent = "–";
  stage.classList.toggle("mirrored", isMirrored());
  stage.style.setProperty("--split", `${$("split").value}%`);
  $("stop").focus({ preventScroll: true });
}

async function beginMoving() {
  photo = null;
  $("photo").hidden = true;
  video.hidden = false;
  shape(video.videoWidth, video.videoHeight);
  if (mode === "video") {
    video.muted = !$("sound").checked;
    exporter.offer(file);
    await video.play().catch(() => { video.muted = true; return video.play(); });
  }
  await firstFrame(video);
  await drawer.measure(video);
  loop.start();
}

function pauseForExport() {
  loop.stop();
  video.pause();
}

function resumeAfterExport() {
  if (mode !== "video") return;
  loop.start();
  drawStill().catch(failed);
}

async function openPhoto(chosen) {
  await show("photo", async () => {
    photo = await readPhoto(chosen);
    file = chosen;
    const image = $("photo");
    image.src = URL.createObjectURL(chosen);
    image.alt = `The original picture: ${chosen.name}`;
    image.hidden = false;
    shape(photo.width, photo.height);
  });
}

function openFile(chosen) {
  if (!chosen) return undefined;
  if (chosen.type.startsWith("image/")) return openPhoto(chosen);
  return show("video", async () => {
    file = chosen;
    await openVideo(video, chosen, URL.createObjectURL(chosen));
  });
}

function showCamera() {
  return show("camera", async () => {
    const [track] = (await useCamera(video)).getVideoTracks();
    track.addEventListener("ended", () => failed(new Error("The camera was taken away.")));
    mirror(showsVisitor(track));
    await listCameras(track);
  });
}

const openScreen = () => show("screen", async () => {
  const stream = await useScreen(video);
  stream.getVideoTracks()[0].addEventListener("ended", stop);
});

async function stop() {
  await close();
  const image = $("photo");
  image.src = "sample.jpg";
  image.alt = "The original picture: an osprey on a branch";
  image.hidden = false;
  await showSample();
  $("camera").focus({ preventScroll: true });
}

const baseName = () => (file ? file.name.replace(/\.[^.]*$/, "") : mode);

async function snapshot() {
  const blob = await new Promise((done) => {
    if (photo || (video.paused && isMoving())) drawer.redraw();
    else drawer.draw(video, { mirror: isMirrored() });
    canvas.toBlob(done, "image/png");
  });
  addResult(blob, `${baseName()}-${drawer.style}.png`);
  say("Snapshot taken");
}

async function stopRecording() {
  if (!recording) return;
  const ended = recording;
  recording = null;
  const { blob, suffix } = await ended.stop();
  $("record").setAttribute("aria-pressed", "false");
  $("record").textContent = "Record";
  if (blob.size) addResult(blob, `${baseName()}-${drawer.style}.${suffix}`);
}

function toggleRecording() {
  if (recording) return stopRecording();
  recording = new Recording(canvas, video);
  $("record").setAttribute("aria-pressed", "true");
  $("record").textContent = "Stop recording";
  return undefined;
}

function togglePlay() {
  if (video.paused) video.play();
  else video.pause();
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function makeStage() {
  for (const id of ["camera", "file", "screen"]) $(id).disabled = true;
  $("size").replaceChildren(...SIZES.map(([value, text]) => new Option(text, value)));
  $("split").addEventListener("input", () => split($("split").value));
  split($("split").value);
  $("camera").addEventListener("click", showCamera);
  $("screen").addEventListener("click", openScreen);
  $("file").addEventListener("change", () => { openFile($("file").files[0]); $("file").value = ""; });
  $("stop").addEventListener("click", stop);
  $("play").addEventListener("click", togglePlay);
  $("snapshot").addEventListener("click", () => snapshot().catch(failed));
  $("record").addEventListener("click", () => { try { toggleRecording(); } catch (error) { failed(error); } });
  $("full").addEventListener("click", fullScreen);
  $("devices").addEventListener("change", showCamera);
  $("mirror").addEventListener("change", () => stage.classList.toggle("mirrored", isMirrored()));
  $("sound").addEventListener("change", () => { video.muted = !$("sound").checked; });
  $("size").addEventListener("change", async () => {
    const value = $("size").value;
    drawer?.setSize(value === "auto" ? "auto" : Number(value));
    if (value === "auto" && isMoving()) await drawer.measure(video);
    await drawStill();
  });
  $("seek").addEventListener("input", () => { if (video.duration) video.currentTime = $("seek").value * video.duration; });
  video.addEventListener("timeupdate", () => {
    if (mode !== "video" || !Number.isFinite(video.duration)) return;
    $("seek").value = video.currentTime / video.duration;
    $("time").textContent = `${clock(video.currentTime)} of ${clock(video.duration)}`;
  });
  video.addEventListener("seeked", () => { if (video.paused && mode === "video") drawStill(); });
  for (const name of ["play", "pause"]) video.addEventListener(name, () => { $("play").textContent = video.paused ? "Play" : "Pause"; });
  acceptDrops(([first]) => { if (drawer) openFile(first); });
  document.addEventListener("keydown", keys);
  window.addEventListener("pagehide", () => release(video));
}

function keys(event) {
  if (event.target.closest("input, select, button, a, summary") || event.ctrlKey || event.metaKey || event.altKey || $("running").hidden) return;
  const actions = { s: () => snapshot().catch(failed), f: fullScreen, r: () => !$("record").hidden && toggleRecording(), " ": () => mode === "video" && togglePlay() };
  const action = actions[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
}

start();
