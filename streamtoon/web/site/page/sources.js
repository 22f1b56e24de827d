// Where pictures come from: the camera, a shared screen, a file.

import { $ } from "./parts.js";

const REASONS = {
  NotAllowedError: "was not allowed. Allow it for this page in the browser's settings and try again.",
  NotFoundError: "was not found on this device.",
  NotReadableError: "cannot be read. Another program may be using it.",
  OverconstrainedError: "is no longer there.",
};

const reason = (what, error) => new Error(`${what} ${REASONS[error.name] ?? `cannot be used: ${error.message}`}`);

async function play(video, stream) {
  video.srcObject = stream;
  video.muted = true;
  video.loop = false;
  await video.play();
}

/** @param {HTMLVideoElement} video @param {string} device id of a camera; empty for the browser's choice */
export async function useCamera(video, device = "") {
  if (!navigator.mediaDevices) throw new Error("Browsers give a page its camera over HTTPS only.");
  const wanted = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  if (device) wanted.deviceId = { exact: device };
  else wanted.facingMode = "user";
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  } catch (error) {
    throw reason("The camera", error);
  }
  await play(video, stream);
  return stream;
}

/** Shows the cameras to choose from, where there are several. */
export async function listCameras(current) {
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
  $("devices-field").hidden = cameras.length < 2;
  $("devices").replaceChildren(...cameras.map((one, at) => new Option(one.label || `Camera ${at + 1}`, one.deviceId, false, one.deviceId === current)));
}

export const canShareScreen = () => "getDisplayMedia" in (navigator.mediaDevices ?? {});

export async function useScreen(video) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30 } }, audio: true });
  } catch (error) {
    throw reason("The screen", error);
  }
  await play(video, stream);
  return stream;
}

/** @returns {Promise<ImageBitmap>} a photo, upright */
export async function readPhoto(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`${file.name} is no picture that this browser reads. JPEG, PNG and WebP are read everywhere.`);
  }
}

/** @param {HTMLVideoElement} video @returns {Promise<void>} when its first frame is there */
export function openVideo(video, file, address) {
  return new Promise((done, fail) => {
    const over = new AbortController();
    const once = { signal: over.signal };
    video.addEventListener("loadeddata", () => {
      over.abort();
      if (video.videoWidth) done();
      else fail(new Error(`${file.name} has no picture that this browser plays.`));
    }, once);
    video.addEventListener("error", () => {
      over.abort();
      fail(new Error(`${file.name} is no video that this browser plays. MP4 with H.264 and WebM are played almost everywhere.`));
    }, once);
    video.srcObject = null;
    video.loop = true;
    video.src = address;
  });
}

/** Lets go of whatever a video element shows. */
export function release(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.pause();
  video.srcObject = null;
  if (video.src) {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
    video.load();
  }
}
