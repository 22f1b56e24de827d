// The coarse grids on which a look measures the surroundings of a place, as engines/looks/renderer.py does.

import { scaleOf } from "./patterns.js";

/** Standard deviation of what `local` calls surroundings, as a share of the short side. */
export const SURROUNDINGS = 1 / 12;
/** Slopes of luma for `gradients`, codes per pixel of a picture with a short side of 720; a window's side in cells. */
export const SLOPE = { soft: 0.1, hard: 0.5, edge: 1, window: 5 };
const STEPS = { local: 16, gradients: 8 }; // pixels of such a picture from one cell to the next

/** @param {"local"|"gradients"} key of a look @returns {{step: number, columns: number, rows: number}} step in pixels */
export function gridOf(key, height, width) {
  const step = Math.max(1, Math.round(STEPS[key] * scaleOf(height, width)));
  const [columns, rows] = [width, height].map((side) => Math.max(2, Math.floor(side / step)));
  return { step, columns, rows };
}
