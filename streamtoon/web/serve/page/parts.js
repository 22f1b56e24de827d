// Access to the page's elements, and its messages.

export const $ = (id) => document.getElementById(id);

export function say(text) {
  $("status").textContent = text;
}

// Shows a message until the next action; without text, hides it.
export function trouble(text = "") {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
  if (text) say("");
}

const drawn = new Set(); // URLs that the server has drawn

// Shows an image that the server may have to draw first, requested after `first`. Until it arrives, shows `soon`
// or the current image.
export async function showSoon(image, there, soon = "", first = null) {
  image.dataset.wanted = there;
  if (image.getAttribute("src") === there) return;
  if (soon && !drawn.has(there)) {
    image.src = soon;
    await image.decode().catch(() => {}); // first: drawing blocks the server
  }
  await first;
  const loader = new Image();
  loader.src = there;
  const came = await loader.decode().then(() => true, () => false);
  if (came) drawn.add(there);
  if ((came || !soon) && image.dataset.wanted === there) image.src = there;
}

export function waiting(text = "") {
  $("wait-text").textContent = text ? `${text} …` : "";
  $("wait").hidden = !text;
}
