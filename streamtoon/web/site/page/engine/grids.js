// The grids on which a look measures the surroundings of a place, as engines/looks/ does.

import { scaleOf } from "./patterns.js";
import { rint } from "./tables.js";

/** Standard deviation of what `local` calls surroundings, as a share of the short side. */
export const SURROUNDINGS = 1 / 12;
/** Slopes of luma for `gradients`, codes per pixel of a picture with a short side of 720; a window's side in cells. */
export const SLOPE = { soft: 0.1, hard: 0.5, edge: 1, window: 5 };
/** How short lines and faint features are found: the numbers of engines/looks/details.py. Windows are in coarse cells. */
export const DETAILS = {
  inkDirections: 8, lightDirections: 4, unseen: 64,
  ink: { low: 150, high: 180 }, crowd: { window: 15, low: 0.03, high: 0.065, skin: 0.02, codes: 60 },
  faint: { low: 95, high: 130, drawn: 170, reach: 2 }, light: { ratio: 1.5, low: 20, high: 50 }, lights: { window: 3, low: 0.002, high: 0.008, skin: 0.012 },
  feature: { size: 18, low: 3, high: 15, deepest: 2, inked: 2 }, texture: { window: 15, low: 0.15, high: 0.4, skin: 0 },
  skin: { axis: [-0.53, 0.848], window: 3, low: 0.15, high: 0.5 },
};
const STEPS = { local: 16, coarse: 8, fine: 2 }; // pixels of such a picture from one cell to the next

/** @param {"local"|"coarse"|"fine"} key of the grid @returns {{step: number, columns: number, rows: number}} step in pixels */
export function gridOf(key, height, width) {
  const step = Math.max(1, rint(STEPS[key] * scaleOf(height, width)));
  const [columns, rows] = [width, height].map((side) => Math.max(2, Math.floor(side / step)));
  return { step, columns, rows };
}

/** @returns {[number, number][]} columns and rows of the cells of a straight stroke, from its middle; `turn` in half turns */
export function strokeOf(reach, turn) {
  const [across, down] = [Math.cos(Math.PI * turn), Math.sin(Math.PI * turn)].map((part) => Math.round(part * 1e6) / 1e6);
  return Array.from({ length: 2 * reach + 1 }, (_, at) => [rint((at - reach) * across), rint((at - reach) * down)]);
}

/** What a look's `line_length`, `faint_lines` and `features` are in the cells of a picture. */
export function detailsOf(look, height, width) {
  const half = scaleOf(height, width) / (2 * gridOf("fine", height, width).step);
  const reach = look.line_length ? Math.max(1, rint(look.line_length * half)) : 0;
  const strokes = (count) => Array.from({ length: changesLines(look) ? count : 0 }, (_, at) => strokeOf(reach, at / count));
  return {
    reach, strokes: strokes(DETAILS.inkDirections), bright: strokes(DETAILS.lightDirections),
    square: Math.max(1, rint(DETAILS.feature.size * half)), deepening: DETAILS.feature.deepest * look.features,
    missing: Uint8Array.from({ length: 256 }, (_, code) => rint(look.faint_lines * missingInk(code))),
  };
}

const changesLines = (look) => look.line_opacity > 0 && (look.line_length > 0 || look.faint_lines > 0);

/** The codes that a long line lacks to be drawn. */
function missingInk(code) {
  const { low, high, drawn } = DETAILS.faint;
  return Math.min(1, Math.max(0, (code - low) / (high - low))) * Math.max(0, drawn - code);
}

/** Whether a look leaves out lines, draws faint ones, or deepens features. */
export const isDetailed = (look) => look.features > 0 || changesLines(look);
