// The camera: opening it, choosing one of several, and saying why it cannot be used.

import { $ } from "./parts.js";

const REASONS = {
  NotAllowedError: "is blocked. Allow it for this page in the browser, then try again.",
  NotFoundError: "was not found on this device.",
  NotReadableError: "is in use by another program.",
  OverconstrainedError: "is no longer there.",
};

// The error of a camera or a screen as a sentence.
export const refusal = (what, error) => new Error(`${what} ${REASONS[error.name] ?? `cannot be used: ${error.message}`}`);

// Opens the camera that is chosen in the list, else the one that shows the visitor, with frames of about `height` lines.
export async function openCamera(height) {
  const device = $("devices").value;
  const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
  const video = { ...which, width: { ideal: height * 16 / 9 }, height: { ideal: height }, frameRate: { ideal: 30, max: 30 } };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: false, video });
  } catch (error) {
    throw refusal("The camera", error);
  }
}

export const showsVisitor = (track) => track.getSettings().facingMode !== "environment";

// Lists the cameras, for a choice where there are several.
export async function listCameras(track) {
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
  $("devices").replaceChildren(...cameras.map((one, n) => new Option(one.label || `Camera ${n + 1}`, one.deviceId)));
  $("devices").value = track.getSettings().deviceId ?? "";
  $("devices-field").hidden = cameras.length < 2;
}
