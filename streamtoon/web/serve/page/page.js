// The page and its events. live.js does WebRTC, server.js calls the server.

import { server } from "./server.js";
import { Live } from "./live.js";
import { files } from "./files.js";
import { listCameras, openCamera, showsVisitor } from "./camera.js";
import { chosenCard } from "./cards.js";
import { makeGallery, showOwn, showSample } from "./gallery.js";
import { makeLook, showLook, toSend } from "./look.js";
import { $, say, trouble, waiting } from "./parts.js";
import { showSoon } from "./soon.js";
import { acceptDrops, fullScreen, mirror, shape, split } from "./stage.js";

let facts = null;
let live = null; // the running Live
let begun = 0; // number of the current session; callbacks of earlier ones are ignored
let photo = null; // the entry of the file list on the stage

// --- the stage ----------------------------------------------------------------------------------------

// Shows "image" or "video" in the two layers.
function show(before, after = before) {
  $("before-image").hidden = before !== "image";
  $("source").hidden = before !== "video";
  $("after-image").hidden = after !== "image";
  $("cartoon").hidden = after !== "video";
}

function images(before, after, what, soon = "", first = null) {
  $("before-image").onload = $("before-image").onerror = null;
  $("before-image").src = before;
  $("before-image").alt = what;
  showSoon($("after-image"), after, soon, first);
  $("after-image").alt = `${what}, drawn`;
}

function idle() {
  $("stage").dataset.state = "idle";
  $("stage").classList.remove("mirrored");
  $("running").hidden = true;
  $("begin").hidden = false;
  $("camera-settings").hidden = true;
  photo = null;
  images("sample.jpg", sample(), "An osprey on a branch", preview(), showSample());
  show("image");
  shape(16, 10);
  split(50);
  waiting();
}

// --- live ---------------------------------------------------------------------------------------------

function stop(text = "") {
  begun += 1;
  live?.close();
  live = null;
  const source = $("source");
  source.srcObject?.getTracks().forEach((track) => track.stop());
  if (source.src) URL.revokeObjectURL(source.src);
  source.srcObject = null;
  source.removeAttribute("src");
  $("cartoon").srcObject = null;
  idle();
  say(text);
}

async function startCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    trouble("This browser allows the camera over HTTPS only. Start the server with --tls-cert and --tls-key, or open a file instead.");
    return;
  }
  leave();
  const mine = begun;
  waiting("Waiting for the camera");
  let stream;
  try {
    stream = await openCamera(Number($("size").value));
  } catch (error) {
    waiting();
    trouble(error.message);
    return;
  }
  if (mine !== begun) { stream.getTracks().forEach((track) => track.stop()); return; }
  const [track] = stream.getVideoTracks();
  $("source").srcObject = stream;
  mirror(showsVisitor(track));
  $("camera-settings").hidden = false;
  await listCameras(track);
  await run(mine, track, track.getSettings());
}

// A file that the browser can play is drawn live, from a canvas, which every browser can stream.
async function startFile(file) {
  leave();
  const mine = begun;
  const source = $("source");
  source.src = URL.createObjectURL(file);
  try {
    await source.play();
  } catch {
    if (mine !== begun) return;
    stop("This browser cannot play the file, but you can still draw it.");
    return;
  }
  if (mine !== begun || !source.videoWidth) return;
  const scale = Math.min(1, 360 / Math.min(source.videoWidth, source.videoHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(source.videoWidth * scale / 2) * 2;
  canvas.height = Math.round(source.videoHeight * scale / 2) * 2;
  const pen = canvas.getContext("2d", { alpha: false });
  const [track] = canvas.captureStream(30).getVideoTracks();
  const next = source.requestVideoFrameCallback ? (call) => source.requestVideoFrameCallback(call) : requestAnimationFrame;
  const paint = () => {
    if (mine !== begun) { track.stop(); return; }
    pen.drawImage(source, 0, 0, canvas.width, canvas.height);
    next(paint);
  };
  paint();
  await run(mine, track, canvas);
}

async function run(mine, track, size) {
  if (mine !== begun) { track.stop(); return; }
  shape(size.width, size.height);
  split(0);
  show("video", "video");
  $("before").style.clipPath = "none"; // the original, until the cartoon arrives
  $("stage").dataset.state = "connecting";
  $("begin").hidden = true;
  $("running").hidden = false;
  waiting("Connecting");
  say("Connecting");
  live = new Live(track, $("cartoon"), { ...wish(), stun: facts.stun }, {
    playing() {
      if (mine !== begun) return;
      $("before").style.clipPath = "";
      $("stage").dataset.state = "live";
      waiting();
      say("Live");
      showOwn($("source"), $("stage").classList.contains("mirrored"), () => mine === begun);
    },
    size(width, height) { if (mine === begun) shape(width, height); },
    told(how) { if (mine === begun) told(how); },
    connected() { if (mine === begun) waiting("Preparing the style"); },
    ended(sentence) { if (mine === begun) { stop(); trouble(sentence); } },
  });
  await live.begin();
}

let opening = false;
function told(how) {
  if (how.fps !== undefined) $("fps").textContent = Math.round(how.fps);
  if (how.latency !== undefined) $("latency").textContent = Math.round(how.latency);
  if (how.opening !== undefined && how.opening !== opening) {
    opening = how.opening;
    waiting(opening ? "Preparing the style" : undefined);
    if (!opening) say(`Live, ${titleOf(how.style)}`);
  }
  if (how.trouble) trouble(how.trouble);
  if (how.engine) $("numbers").title = `${how.engine}; ${how.dropped} frames dropped`;
}

function leave() {
  trouble();
  if (live || $("source").srcObject || $("source").src) stop();
  begun += 1;
}

// --- settings -----------------------------------------------------------------------------------------

const chosen = () => chosenCard() ?? facts.styles[0].name;
const strength = () => Number($("strength").value) / 100;
const wish = () => ({ style: chosen(), strength: strength(), look: toSend(chosen()) });
const titleOf = (name) => facts.styles.find((one) => one.name === name)?.title ?? name;

const card = () => facts.styles.find((one) => one.name === chosen());
const preview = () => (card().preview && !Object.keys(toSend(chosen())).length ? `preview/${chosen()}.jpg` : "");

function sample() {
  const look = toSend(chosen());
  const query = Object.keys(look).length ? `?${new URLSearchParams({ look: JSON.stringify(look) })}` : "";
  return `style/${chosen()}.webp${query}`;
}

function styleChanged() {
  showLook(chosen());
  files.styleChanged(card());
  lookChanged(true);
}

// At most ten times per second; the last change is always sent.
let later = null;
function lookChanged(now = false) {
  if (!now) {
    later ??= setTimeout(() => lookChanged(true), 100);
    return;
  }
  clearTimeout(later);
  later = null;
  if (live) live.send({ style: chosen(), look: toSend(chosen()) });
  else if ($("stage").dataset.state === "idle" && !photo) showSoon($("after-image"), sample(), preview());
}

function strengthChanged() {
  $("strength-text").textContent = `${$("strength").value} %`;
  live?.send({ strength: strength() });
}

// --- other actions ------------------------------------------------------------------------------------

function snapshot() {
  const video = $("cartoon");
  if (!live || !video.videoWidth) return;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext("2d");
  if ($("stage").classList.contains("mirrored")) { pen.translate(canvas.width, 0); pen.scale(-1, 1); }
  pen.drawImage(video, 0, 0);
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `streamtoon ${new Date().toISOString().slice(0, 19).replace(/:/g, "-").replace("T", " ")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say("Snapshot saved");
  }, "image/png");
}

// Takes chosen or dropped files: shows the first one, and draws a single photo at once.
async function take(list) {
  const [first] = await files.add(list);
  if (first === undefined) return;
  if (!first.isPhoto) await startFile(first.file);
  else showPhoto(first);
  if (first.isPhoto && files.waiting === 1) draw();
}

function showPhoto(entry) {
  leave();
  idle();
  photo = entry;
  const address = URL.createObjectURL(entry.file);
  images(address, address, entry.file.name);
  const mine = begun;
  $("before-image").onload = ({ target }) => {
    shape(target.naturalWidth, target.naturalHeight);
    showOwn(target, false, () => mine === begun);
  };
  $("before-image").onerror = () => {
    show("nothing");
    waiting("This browser cannot show this photo until it is drawn");
  };
  split(100);
}

async function draw() {
  await files.draw(wish(), (entry) => {
    if (entry !== photo) return;
    show($("before-image").hidden ? "nothing" : "image", "image");
    $("after-image").onload = ({ target }) => { if ($("before-image").hidden) shape(target.naturalWidth, target.naturalHeight); };
    showSoon($("after-image"), entry.address);
    split($("before-image").hidden ? 0 : 50);
  });
  if (photo) waiting();
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
  if (event.key === "s" && live) snapshot();
  else if (event.key === "f" && live) fullScreen();
}

$("split").addEventListener("input", () => split($("split").value));
$("camera").addEventListener("click", startCamera);
$("stop").addEventListener("click", () => { stop("Stopped"); $("camera").focus(); });
$("snapshot").addEventListener("click", snapshot);
$("full").addEventListener("click", fullScreen);
$("gallery").addEventListener("change", styleChanged);
$("strength").addEventListener("input", strengthChanged);
$("mirror").addEventListener("change", () => mirror($("mirror").checked));
for (const id of ["size", "devices"]) $(id).addEventListener("change", startCamera);
$("file").addEventListener("change", () => { take([...$("file").files]); $("file").value = ""; });
$("draw").addEventListener("click", draw);
document.addEventListener("keydown", key);
acceptDrops(take);
addEventListener("pagehide", () => server.leave());
addEventListener("beforeunload", (event) => { if (files.busy) event.preventDefault(); });
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

async function begin() {
  if (location.search) history.replaceState(null, "", location.pathname); // the token is now in a cookie
  try {
    facts = await server.ask("facts");
    await server.enter();
  } catch (error) {
    trouble(`${error.message} Load the page again.`);
    return;
  }
  $("strength").value = Math.round(100 * facts.strength);
  strengthChanged();
  makeGallery(facts);
  makeLook(facts, () => lookChanged());
  files.begin(facts);
  files.styleChanged(card());
  showLook(chosen());
  idle();
}
begin();
