// Images that the server may have to draw first.

const drawn = new Set(); // addresses that the server has drawn

// Shows an image of the server, requested after `first`. Until it arrives, shows `soon` or the current image.
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
