// The gallery of styles: drawn from the sample image, or from the camera or file once there is one.

import { server } from "./server.js";
import { cardImage, makeCards } from "./cards.js";
import { showSoon } from "./soon.js";

const FACE_POSITION = 0.35; // where a tall image is cropped: faces are above the middle
const [TRIES, PAUSE_MS] = [10, 400]; // cameras start with black frames
const MAX_BLACK = 24; // no sample of a black frame is lighter
let styles = [];
let size = [0, 0];
let addresses = []; // object URLs of images in this page

export function makeGallery(facts) {
  [styles, size] = [facts.styles, facts.gallery];
  makeCards(styles, size);
  showSample();
}

// Shows the previews of the styles, then the server's drawings of the sample; resolves once the previews are shown.
export async function showSample() {
  forget();
  const sample = ({ name }) => `style/${name}.webp`;
  const soon = styles.map((style) => {
    const image = cardImage(style.name);
    image.dataset.wanted = sample(style);
    if (!style.preview || image.getAttribute("src") === sample(style)) return null;
    image.src = `preview/${style.name}.jpg`;
    return image.decode().catch(() => {});
  });
  await Promise.all(soon);
  drawSample(sample);
}

// One by one: the server draws one at a time, and styles of one network together.
async function drawSample(sample) {
  for (const style of styles) {
    const image = cardImage(style.name);
    if (image.dataset.wanted === sample(style)) await showSoon(image, sample(style));
  }
}

// Draws every look from the current frame of `source`, an image or a video, while `isWanted()` holds.
export async function showOwn(source, flipped, isWanted) {
  let pixels = null;
  for (let tries = 0; pixels === null && tries < TRIES; tries += 1) {
    if (tries) await new Promise((wake) => setTimeout(wake, PAUSE_MS));
    if (!isWanted()) return;
    pixels = rgb(source, flipped);
  }
  if (pixels === null) return;
  let drawn;
  try {
    drawn = await server.visit("gallery", pixels);
  } catch {
    return; // keep the drawings of the sample
  }
  if (!isWanted()) return;
  const before = addresses;
  addresses = [];
  for (const [name, data] of Object.entries(drawn)) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const address = URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
    addresses.push(address);
    const image = cardImage(name);
    image.dataset.wanted = image.src = address;
  }
  before.forEach((address) => URL.revokeObjectURL(address));
}

function forget() {
  addresses.forEach((address) => URL.revokeObjectURL(address));
  addresses = [];
}

// The middle of the source at the gallery's size, three bytes per pixel; null while it is black.
function rgb(source, flipped) {
  const width = source.videoWidth || source.naturalWidth;
  const height = source.videoHeight || source.naturalHeight;
  if (!width || !height) return null;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = size;
  const pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const scale = Math.max(size[0] / width, size[1] / height);
  const [across, down] = [size[0] / scale, size[1] / scale];
  if (flipped) { pen.translate(size[0], 0); pen.scale(-1, 1); }
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, (width - across) / 2, (height - down) * (height > width ? FACE_POSITION : 0.5), across, down, 0, 0, ...size);
  const pixels = pen.getImageData(0, 0, ...size).data;
  if (!pixels.some((sample, n) => n % 4 < 3 && sample > MAX_BLACK)) return null;
  const bytes = new Uint8Array(size[0] * size[1] * 3);
  for (let from = 0, to = 0; to < bytes.length; from += 4, to += 3) {
    [bytes[to], bytes[to + 1], bytes[to + 2]] = [pixels[from], pixels[from + 1], pixels[from + 2]];
  }
  return bytes;
}
