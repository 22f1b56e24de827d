// The planes of patterns that a look needs at one size.

import { hatching } from "./hatching.js";
import { bytes, dots, frame, grain, lines, paperLight, wash } from "./patterns.js";

const PAPER_DEPTH = 0.045, PIGMENT_RANGE = 0.9;
const SCREENS = { dots, lines, hatching };
const KEPT = 8;
const kept = new Map(); // what was made last, by kind, size and numbers: sliders change what is made of it

function made(make, ...numbers) {
  const key = [make.name, ...numbers].join(" ");
  const one = kept.get(key) ?? make(...numbers);
  kept.delete(key);
  kept.set(key, one);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  return one;
}

/** Which of the planes a look has, and a text that says all that they depend on. */
export function patternsOf(look) {
  const screen = look.screen !== "none" && look.screen_opacity > 0 ? [look.screen, look.screen_size, look.screen_angle] : null;
  const has = {
    screen, pigment: look.pigment || look.blotches ? [look.pigment, look.blotches] : null,
    texture: look.line_texture ? [look.line_texture] : null, frame: look.margin ? [look.margin] : null,
    grain: look.paper ? [look.paper] : null,
  };
  return { has, key: JSON.stringify(has) };
}

/**
 * @param {Record<string, any>} look all keys of a look
 * @returns {Record<string, Uint8Array>} height x width each; none for what the look does not have
 */
export function patternPlanes(look, height, width) {
  const { has } = patternsOf(look);
  const planes = {};
  if (has.screen) planes.screen = made(SCREENS[look.screen], height, width, look.screen_size, look.screen_angle);
  if (has.pigment) {
    const [rough, dried] = [look.pigment ? made(grain, height, width) : null, look.blotches ? made(wash, height, width) : null];
    planes.pigment = bytes(Float32Array.from({ length: height * width }, (_, at) => {
      const change = (rough ? 0.3 * look.pigment * rough[at] : 0) + (dried ? 0.38 * look.blotches * dried[at] : 0);
      return Math.min(1, Math.max(-1, change / PIGMENT_RANGE)) * 127.5 + 127.5;
    }));
  }
  if (has.texture) planes.texture = bytes(made(grain, height, width).map((one) => one * 45 * look.line_texture));
  if (has.frame) planes.frame = made(frame, height, width, look.margin);
  if (has.grain) {
    planes.grain = bytes(made(paperLight, height, width).map((one) => 255 * (1 + look.paper * PAPER_DEPTH * (one - 1.5))));
  }
  return planes;
}
