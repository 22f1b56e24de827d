// Where pictures come from: the camera, a shared screen, a file.

import { openCamera, refusal } from "./camera.js";

const CAMERA_LINES = 720;

async function play(video, stream) {
  video.srcObject = stream;
  video.muted = true;
  video.loop = false;
  await video.play();
}

/** @param {HTMLVideoElement} video @returns {Promise<MediaStream>} the camera, which the video shows */
export async function useCamera(video) {
  if (!navigator.mediaDevices) throw new Error("Browsers give a page its camera over HTTPS only.");
  const stream = await openCamera(CAMERA_LINES);
  await play(video, stream);
  return stream;
}

export const canShareScreen = () => "getDisplayMedia" in (navigator.mediaDevices ?? {});

export async function useScreen(video) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30 } }, audio: true });
  } catch (error) {
    throw refusal("The screen", error);
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
