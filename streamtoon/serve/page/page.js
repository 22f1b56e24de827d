// What is on the page and what happens there. live.js talks WebRTC, server.js the server's few calls.

import { server } from "./server.js";
import { Live } from "./live.js";
import { job, offerFile } from "./job.js";
import { $, say, trouble, waiting } from "./parts.js";

let facts = null;
let live = null; // the running Live
let begun = 0; // counts beginnings: what belongs to an earlier one is dropped

// --- the stage ----------------------------------------------------------------------------------------

function split(value) {
  $("split").value = value;
  $("stage").style.setProperty("--split", `${value}%`);
  $("split").setAttribute("aria-valuetext", `${value} percent original`);
}

function shape(width, height) {
  if (width && height) $("stage").style.setProperty("--shape", width / height);
}

// What is shown in the two layers: "image" or "video".
function show(before, after = before) {
  $("before-image").hidden = before !== "image";
  $("source").hidden = before !== "video";
  $("after-image").hidden = after !== "image";
  $("cartoon").hidden = after !== "video";
}

function images(before, after, what) {
  $("before-image").src = before;
  $("before-image").alt = what === undefined ? "A photographed otter" : what;
  $("after-image").src = after;
  $("after-image").alt = what === undefined ? "A drawn otter" : `${what}, drawn`;
}

function idle() {
  $("stage").dataset.state = "idle";
  $("stage").classList.remove("mirrored");
  $("running").hidden = true;
  $("begin").hidden = false;
  $("camera-settings").hidden = true;
  images("sample.jpg", `style/${chosen()}.webp`);
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

const cameraWish = () => {
  const height = Number($("size").value);
  const device = $("devices").value;
  const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
  return { audio: false, video: { ...which, width: { ideal: height * 16 / 9 }, height: { ideal: height }, frameRate: { ideal: 30, max: 30 } } };
};

async function startCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    trouble("This browser gives a page its camera over HTTPS only. Start the server with --tls-cert and --tls-key, or open a file instead.");
    return;
  }
  leave();
  const mine = begun;
  waiting("Asking for the camera");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(cameraWish());
  } catch (error) {
    waiting();
    trouble({
      NotAllowedError: "The camera was not allowed. Allow it for this page in the browser, then try again.",
      NotFoundError: "No camera was found.",
      NotReadableError: "The camera is used by another program.",
    }[error.name] ?? `The camera does not open (${error.message}).`);
    return;
  }
  if (mine !== begun) { stream.getTracks().forEach((track) => track.stop()); return; }
  const [track] = stream.getVideoTracks();
  $("source").srcObject = stream;
  mirror(track.getSettings().facingMode !== "environment");
  $("camera-settings").hidden = false;
  await listCameras(track);
  await run(mine, track, track.getSettings());
}

async function listCameras(track) {
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
  $("devices").replaceChildren(...cameras.map((one, n) => new Option(one.label || `Camera ${n + 1}`, one.deviceId)));
  $("devices").value = track.getSettings().deviceId ?? "";
  $("devices-field").hidden = cameras.length < 2;
}

function mirror(on) {
  $("mirror").checked = on;
  $("stage").classList.toggle("mirrored", on);
}

// A file that the browser can play is drawn live from a canvas, which every browser can stream.
async function startFile(file) {
  leave();
  const mine = begun;
  const source = $("source");
  source.src = URL.createObjectURL(file);
  try {
    await source.play();
  } catch {
    if (mine !== begun) return;
    stop("This browser cannot play the file; it can be drawn all the same.");
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
  $("before").style.clipPath = "none"; // the sent picture, until the cartoon is there
  $("stage").dataset.state = "connecting";
  $("begin").hidden = true;
  $("running").hidden = false;
  waiting("Connecting");
  say("Connecting");
  live = new Live(track, $("cartoon"), { style: chosen(), strength: strength(), stun: facts.stun }, {
    playing() {
      if (mine !== begun) return;
      $("before").style.clipPath = "";
      $("stage").dataset.state = "live";
      waiting();
      say("Live");
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
  if (how.engine) $("numbers").title = `${how.engine}; ${how.dropped} pictures dropped`;
}

function leave() {
  trouble();
  if (live || $("source").srcObject || $("source").src) stop();
  begun += 1;
}

// --- settings -----------------------------------------------------------------------------------------

const chosen = () => document.querySelector("#gallery input:checked")?.value ?? facts.styles[0].name;
const strength = () => Number($("strength").value) / 100;
const titleOf = (name) => facts.styles.find((one) => one.name === name)?.title ?? name;

function makeGallery() {
  $("gallery").replaceChildren(...facts.styles.map((style, n) => {
    const card = document.createElement("label");
    card.className = "style";
    card.title = style.description;
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: style.name, checked: n === 0 });
    const picture = Object.assign(document.createElement("img"), { src: `style/${style.name}.webp`, alt: "", width: 640, height: 400 });
    picture.addEventListener("error", () => { picture.style.visibility = "hidden"; });
    const title = document.createElement("span");
    title.textContent = style.title;
    card.append(input, picture, title);
    return card;
  }));
}

function styleChanged() {
  if (live) live.send({ style: chosen() });
  else if ($("stage").dataset.state === "idle" && !job.photo) $("after-image").src = `style/${chosen()}.webp`;
}

function strengthChanged() {
  $("strength-text").textContent = `${$("strength").value} %`;
  live?.send({ strength: strength() });
}

// --- what else one can do -----------------------------------------------------------------------------

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

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("stage").requestFullscreen?.();
}

async function take(file) {
  if (!file || !await offerFile(file, facts)) return;
  if (job.photo) {
    leave();
    idle();
    const address = URL.createObjectURL(file);
    images(address, address, file.name);
    $("before-image").onload = ({ target }) => shape(target.naturalWidth, target.naturalHeight);
    split(100);
    job.draw(chosen(), strength(), (result) => { $("after-image").src = result; split(50); });
  } else await startFile(file);
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
$("file").addEventListener("change", () => { take($("file").files[0]); $("file").value = ""; });
$("draw").addEventListener("click", () => job.draw(chosen(), strength()));
$("cancel").addEventListener("click", () => job.cancel());
document.addEventListener("keydown", key);
let over = 0;
const dropping = () => document.body.classList.toggle("dropping", over > 0);
addEventListener("dragenter", (event) => { event.preventDefault(); over += 1; dropping(); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("dragleave", () => { over = Math.max(0, over - 1); dropping(); });
addEventListener("drop", (event) => { event.preventDefault(); over = 0; dropping(); take(event.dataTransfer.files[0]); });
addEventListener("pagehide", () => server.leave());
addEventListener("beforeunload", (event) => { if (job.busy) event.preventDefault(); });
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

async function begin() {
  if (location.search) history.replaceState(null, "", location.pathname); // the token is a cookie now
  try {
    facts = await server.ask("facts");
    await server.enter();
  } catch (error) {
    trouble(`${error.message} Load the page again.`);
    return;
  }
  $("strength").value = Math.round(100 * facts.strength);
  strengthChanged();
  makeGallery();
  idle();
}
begin();
