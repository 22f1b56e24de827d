// The styles as images to choose from, and what the visitor has made.

import { cardImage, chosenCard, makeCards } from "./cards.js";
import { $ } from "./parts.js";

const THUMBNAIL = [320, 200];

/** @param {object[]} styles of site.json @param {string} first the style that is chosen at the start */
export function makeGallery(styles, first, chosen) {
  makeCards(styles, THUMBNAIL);
  for (const { name, thumbnail } of styles) if (thumbnail) cardImage(name).src = thumbnail;
  cardImage(first).previousElementSibling.checked = true;
  $("gallery").addEventListener("change", () => chosen(chosenCard()));
}

/** Offers something finished for download. It stays until the page is left. */
export function addResult(blob, name, note = "") {
  const address = URL.createObjectURL(blob);
  const row = document.createElement("li");
  const isVideo = blob.type.startsWith("video/");
  const shown = document.createElement(isVideo ? "video" : "img");
  shown.src = address;
  if (isVideo) Object.assign(shown, { muted: true, playsInline: true, preload: "metadata" });
  shown.setAttribute("aria-hidden", "true");
  const megabytes = blob.size / 1e6;
  const text = Object.assign(document.createElement("span"), { textContent: `${name}, ${megabytes < 0.1 ? `${Math.ceil(blob.size / 1e3)} kB` : `${megabytes.toFixed(1)} MB`}${note ? `. ${note}` : ""}` });
  const link = Object.assign(document.createElement("a"), { className: "button primary", href: address, download: name, textContent: "Download" });
  const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
  remove.setAttribute("aria-label", `Remove ${name}`);
  remove.addEventListener("click", () => { URL.revokeObjectURL(address); row.remove(); });
  row.append(shown, text, link, remove);
  $("results").prepend(row);
}
