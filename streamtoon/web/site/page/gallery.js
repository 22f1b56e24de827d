// The styles as pictures to choose from, and what the visitor has made.

import { $ } from "./parts.js";

/** @param {object[]} styles of site.json @param {(name: string) => void} chosen */
export function makeGallery(styles, chosen) {
  $("gallery").replaceChildren(...styles.map((style, at) => {
    const card = Object.assign(document.createElement("label"), { className: "style", title: style.description });
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: style.name, checked: at === 0 });
    input.addEventListener("change", () => chosen(style.name));
    const text = Object.assign(document.createElement("span"), { textContent: style.title });
    card.append(input);
    if (style.thumbnail) {
      card.append(Object.assign(document.createElement("img"), { src: style.thumbnail, alt: "", width: 320, height: 200, loading: "lazy" }));
    }
    card.append(text);
    return card;
  }));
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
