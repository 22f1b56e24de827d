// Makes patterns beside the page, which goes on drawing meanwhile.

import { patternPlanes } from "./pattern_planes.js";

self.addEventListener("message", ({ data: { id, look, height, width } }) => {
  try {
    const planes = patternPlanes(look, height, width);
    self.postMessage({ id, planes }); // copied: what is kept here is used again
  } catch (error) {
    self.postMessage({ id, error: String(error) });
  }
});
