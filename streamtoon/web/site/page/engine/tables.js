// The tables of a look: what every code value of paint and ink response becomes, 256 entries each.
//
// The numbers are those of engines/looks in Python, entry for entry; a test holds the two together. Luma tables
// give code values above black, 0 to 219; chroma tables give code values as they are, 128 for grey. Tables of bytes
// are rounded; the others are blended first, so that a drawing is rounded once.

/** Luma weights of BT.709 and the spans of limited range, in which a picture passes through the network. */
const KR = 0.2126, KB = 0.0722;
export const BLACK = 16, SPAN = 219, CHROMA_SPAN = 224;
const INK_ZERO = 50, INK_SCALE = 100;
const EDGE_LIMIT = 0.22, HARDEST = 24, RICHEST = 0.5, PIGMENT_RANGE = 0.9, MIDDLE = 0.5;

const CODES = Float64Array.from({ length: 256 }, (_, code) => code);

/** Rounds a half to the even neighbour, as NumPy and OpenCV do. */
export function rint(value) {
  const low = Math.floor(value);
  const apart = value - low;
  if (apart !== 0.5) return apart < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** @param {ArrayLike<number>} values @returns {Uint8Array} rounded and clipped to 0..255 */
export const toTable = (values) => Uint8Array.from(values, (value) => Math.min(255, Math.max(0, rint(value))));

const curve = (one) => CODES.map(one);
const clip = (value, low, high) => Math.min(high, Math.max(low, value));

function smoothstep(value, low, high) {
  const x = clip((value - low) / (high - low), 0, 1);
  return x * x * (3 - 2 * x);
}

/** @param {string} color `#rrggbb` @returns {number[]} three numbers, 0 to 255 */
export const rgbOf = (color) => [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));

/** RGB 0..255 as luma above black and two chroma code values. */
export function yuvOf([r, g, b]) {
  const luma = [KR, 1 - KR - KB, KB];
  const row = (weights, span) => ((weights[0] * span) / 255) * r + ((weights[1] * span) / 255) * g + ((weights[2] * span) / 255) * b;
  const cb = luma.map((weight, at) => ((at === 2 ? 1 : 0) - weight) / (2 - 2 * KB));
  const cr = luma.map((weight, at) => ((at === 0 ? 1 : 0) - weight) / (2 - 2 * KR));
  return [row(luma, SPAN) + BLACK - BLACK, row(cb, CHROMA_SPAN) + 128, row(cr, CHROMA_SPAN) + 128];
}

/** 0..1 in `levels` plateaus, the steps between them hyperbolic tangents of a hardness from 0 to 1. */
function quantized(value, levels, hardness) {
  if (levels === 1) return 1;
  const slope = HARDEST * hardness ** 2;
  if (!levels || slope < 1e-3) return value;
  const z = clip(value, 0, 1) * (levels - 1);
  const low = Math.min(Math.floor(z), levels - 2);
  const step = low + 0.5 + (0.5 * Math.tanh(slope * (z - low - 0.5))) / Math.tanh(slope / 2);
  return step / (levels - 1);
}

/** Linear interpolation of equally spaced values over 0..1. */
function interpolated(at, values) {
  const last = values.length - 1;
  if (!last) return values[0];
  const z = clip(at, 0, 1) * last;
  const low = Math.min(Math.floor(z), last - 1);
  return values[low] + (values[low + 1] - values[low]) * (z - low);
}

/** Whether edges between tones are softened somewhere. @param {Record<string, any>} look all keys of a look */
export const isSoftened = (look) => look.gradients > 0 && look.levels > 0;

/** The order in which the tables lie in a GPU's buffer. */
export const TABLE_NAMES = [
  "luma", "chroma", "ofLumaU", "ofLumaV", "lift", "seen", "softTone", "hardTone", "ink", "tone", "screen", "edge", "thin", "dense",
  "strength", "strengthZero", "strongest", "blankLuma", "blankU", "blankV",
];

/**
 * Every table of a look, and the colours that cover its paint: luma above black, two chroma codes, and how much of the
 * paint's chroma is covered, relative to its luma. The tables `ink` and `screen` say how much of the luma is, 0 to 1.
 * With `isSoftened`, slopes are those of the codes that `seen` gives, `softTone` and `hardTone` give codes of tones, 0 to
 * 255, and `luma` and `ofLuma` are of such codes.
 * @param {Record<string, any>} look all keys of a look
 * @returns {{tables: Record<string, ArrayLike<number>>, covers: {ink: number[], screen: number[]}}}
 */
export function makeTables(look) {
  const paper = yuvOf(rgbOf(look.paper_color));
  const amount = look.palette.length ? look.palette_amount : 0;
  const lifted = curve((code) => {
    const luma = clip((code - BLACK) / SPAN, 0, 1) ** look.lift;
    return luma + look.contrast * (luma * luma * (3 - 2 * luma) - luma);
  });
  const hard = lifted.map((one) => quantized(one, look.levels, look.hardness));
  const tone = isSoftened(look) ? curve((code) => code / 255) : hard;
  const colors = look.palette.map((color) => rgbOf(color).map((one, band) => (one * rgbOf(look.paper_color)[band]) / 255));
  const palette = Array.from(tone, (one) =>
    amount ? yuvOf([0, 1, 2].map((band) => interpolated(one, colors.map((color) => color[band])))) : [0, 128, 128]);
  const plain = tone.map((one) => look.black + (look.white - look.black) * one);
  const ofLuma = [1, 2].map((at) => tone.map((_, code) =>
    (1 - amount) * (plain[code] * (paper[at] - 128)) + amount * (palette[code][at] - 128)));
  const isOfPalette = look.palette.length > 0 && look.palette_amount === 1;
  const isOfLuma = ofLuma.some((one) => one.some((value) => Math.abs(value) >= 0.5));
  const tables = {
    luma: tone.map((_, code) => (1 - amount) * plain[code] * paper[0] + amount * palette[code][0]),
    chroma: isOfPalette || !look.saturation ? curve(() => 128) : chromaOf(look, amount),
    ofLumaU: curve((code) => 128 + (isOfLuma && ofLuma[0][code])),
    ofLumaV: curve((code) => 128 + (isOfLuma && ofLuma[1][code])),
    lift: toTable(curve((code) => look.local * Math.max(0, BLACK + MIDDLE * SPAN - code))),
    seen: lifted.map((one) => SPAN * one),
    softTone: hard.map((one, code) => 255 * (one + look.gradients * (lifted[code] - one))),
    hardTone: hard.map((one) => 255 * one),
    ink: inkCoverage(look),
    tone: toTable(screenTone(look, lifted)),
    screen: curve((code) => look.screen_opacity * (1 - look.screen_tint) * smoothstep(code, 0, 255 * look.screen_softness)),
    ...washTables(look),
    blankLuma: toTable(curve((inside) => paper[0] * (1 - inside / 255))),
    blankU: toTable(curve((inside) => paper[1] * (1 - inside / 255))),
    blankV: toTable(curve((inside) => paper[2] * (1 - inside / 255))),
  };
  const covers = {
    ink: [...yuvOf(rgbOf(look.line_color)), (1 - look.line_chroma) / (1 - look.line_tint)],
    screen: [...yuvOf(rgbOf(look.screen_color)), (1 - look.screen_chroma) / (1 - look.screen_tint)],
  };
  return { tables, covers };
}

function chromaOf(look, amount) {
  return curve((code) => {
    const c = (code - 128) / CHROMA_SPAN;
    let rich = (look.saturation * c) / (1 + (Math.max(0, look.saturation - 1) * Math.abs(c)) / RICHEST);
    if (look.color_levels) {
      rich = Math.sign(c) * quantized(Math.abs(rich) / RICHEST, look.color_levels + 1, look.hardness) * RICHEST;
    }
    return 128 + (1 - amount) * rich * CHROMA_SPAN;
  });
}

/** How much of the paint a line covers, for every ink code. */
function inkCoverage(look) {
  return curve((code) => {
    const response = ((code - INK_ZERO) / INK_SCALE) * look.line_density;
    return look.line_opacity * (1 - look.line_tint) * smoothstep(response, 1 - look.line_softness, 1 + look.line_softness);
  });
}

/** What a screen's thresholds are compared with, for every code of paint. */
function screenTone(look, lifted) {
  const light = Math.max(look.screen_light, look.screen_dark + 0.01);
  return lifted.map((one) => 255 - clip((light - one) / (light - look.screen_dark), 0, 1) * 255 * (1 + look.screen_softness / 2));
}

function washTables(look) {
  const limit = EDGE_LIMIT * SPAN;
  const taken = curve((code) => Math.max(0, (code / SPAN) * (1 - code / SPAN)) * PIGMENT_RANGE);
  const most = 1 + PIGMENT_RANGE / 2;
  const strength = toTable(curve((code) => (((code / 255) * PIGMENT_RANGE + 1 - PIGMENT_RANGE / 2) / most) * 255));
  return {
    edge: toTable(curve((code) => limit * (1 - Math.exp((-look.edge_darkening * code) / limit)))),
    thin: toTable(taken.map((one, code) => (code / SPAN + one) * SPAN)),
    dense: toTable(taken.map((one) => 2 * one * SPAN)),
    strength,
    strengthZero: toTable(Array.from(strength, (one) => 128 - 128 * (one / 255))),
    strongest: toTable(curve((code) => (code - 128) * most + 128)),
  };
}
