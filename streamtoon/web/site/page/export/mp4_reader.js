// Reads the tables of an MP4 or MOV file: where every sample lies and when it is shown.
//
// ISO/IEC 14496-12 (the base format), 14496-15 (H.264 and H.265 in it), the VP9 and AV1 bindings of their makers.

const MOST_MOOV = 2 ** 27; // bytes
const MOST_SAMPLES = 5e6;
const CONTAINERS = ["moov", "trak", "mdia", "minf", "stbl", "edts"];

/** What this reader does not read; the page records instead. */
export class UnreadableError extends Error {}

const name = (view, at) => String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
const big = (view, at) => Number(view.getBigUint64(at));

/** Boxes between two places of a view, by name, those in containers too; each is a list of views. */
function boxes(view, from = 0, to = view.byteLength) {
  const found = [];
  for (let at = from; at + 8 <= to;) {
    let [size, head] = [view.getUint32(at), 8];
    if (size === 1 && at + 16 <= to) [size, head] = [big(view, at + 8), 16];
    if (size === 0) size = to - at;
    if (size < head || at + size > to) throw new UnreadableError("a box is larger than what holds it");
    const inner = new DataView(view.buffer, view.byteOffset + at + head, size - head);
    const kind = name(view, at + 4);
    found.push({ kind, view: inner, inner: CONTAINERS.includes(kind) ? boxes(inner) : [] });
    at += size;
  }
  return found;
}

const find = (list, ...path) => path.reduce((inner, kind) => inner?.inner?.find((one) => one.kind === kind), { inner: list });
const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** @param {Blob} file @returns {Promise<DataView>} the box `moov` */
async function readMoov(file) {
  for (let at = 0; at + 8 <= file.size;) {
    const head = new DataView(await file.slice(at, at + 16).arrayBuffer());
    let size = head.getUint32(0);
    if (size === 1 && head.byteLength === 16) size = big(head, 8);
    if (size === 0) size = file.size - at;
    if (size < 8) break;
    if (name(head, 4) === "moov") {
      if (size > MOST_MOOV || at + size > file.size) break;
      return new DataView(await file.slice(at, at + size).arrayBuffer());
    }
    at += size;
  }
  throw new UnreadableError("it is no MP4 or MOV file with a table of its samples");
}

/**
 * @param {Blob} file
 * @returns {Promise<{timescale: number, duration: number, tracks: object[]}>} times in their own timescales
 */
export async function readMp4(file) {
  const all = boxes(await readMoov(file));
  const moov = all[0];
  if (find(moov.inner, "mvex")) throw new UnreadableError("it is an MP4 in fragments");
  const { timescale, duration } = clockOf(find(moov.inner, "mvhd").view);
  const tracks = moov.inner.filter((one) => one.kind === "trak").map((one) => readTrack(one, file.size)).filter(Boolean);
  return { timescale, duration, tracks };
}

function clockOf(view) { // mvhd and mdhd begin alike
  const isLong = view.getUint8(0) === 1;
  return { timescale: view.getUint32(isLong ? 20 : 12), duration: isLong ? big(view, 24) : view.getUint32(16) };
}

function readTrack(trak, fileSize) {
  const kind = { vide: "video", soun: "audio" }[name(find(trak.inner, "mdia", "hdlr").view, 8)];
  if (!kind) return null;
  const stbl = find(trak.inner, "mdia", "minf", "stbl");
  const table = (which) => stbl.inner.find((one) => one.kind === which)?.view;
  const entries = table("stsd");
  if (entries.getUint32(4) !== 1) throw new UnreadableError("its coding changes within");
  const entry = new DataView(entries.buffer, entries.byteOffset + 8, entries.getUint32(8));
  const header = find(trak.inner, "tkhd").view, isLong = header.getUint8(0) === 1;
  const edits = find(trak.inner, "edts", "elst");
  return {
    kind, ...clockOf(find(trak.inner, "mdia", "mdhd").view), entry: bytesOf(entry),
    language: bytesOf(find(trak.inner, "mdia", "mdhd").view).slice(-4, -2),
    shape: bytesOf(header).slice(isLong ? 52 : 40, isLong ? 96 : 84), // matrix, width, height
    edits: edits ? bytesOf(edits.view) : null,
    ...(kind === "video" ? videoEntry(entry) : {}),
    samples: readSamples(table, fileSize),
  };
}

/** Coded size, codec and what its decoder needs, of a sample entry. */
function videoEntry(entry) {
  const inner = boxes(entry, 86);
  const part = (kind) => inner.find((one) => one.kind === kind)?.view;
  const hex = (number, digits = 2) => number.toString(16).padStart(digits, "0").toUpperCase();
  const two = (number) => String(number).padStart(2, "0");
  const facts = { width: entry.getUint16(32), height: entry.getUint16(34), pixelShape: part("pasp") ? bytesOf(part("pasp")) : null };
  const kind = name(entry, 4);
  if (["avc1", "avc3"].includes(kind) && part("avcC")) {
    const c = part("avcC");
    return { ...facts, codec: `${kind}.${hex(c.getUint8(1))}${hex(c.getUint8(2))}${hex(c.getUint8(3))}`, description: bytesOf(c) };
  }
  if (["hvc1", "hev1"].includes(kind) && part("hvcC")) {
    const c = part("hvcC"), first = c.getUint8(1);
    let compatible = 0;
    for (let bit = 0, flags = c.getUint32(2); bit < 32; bit++) compatible = ((compatible << 1) | ((flags >>> bit) & 1)) >>> 0;
    const constraints = [6, 7, 8, 9, 10, 11].map((at) => c.getUint8(at));
    while (constraints.at(-1) === 0) constraints.pop();
    const space = ["", "A", "B", "C"][first >> 6], tier = first & 32 ? "H" : "L";
    return { ...facts, codec: [`${kind}.${space}${first & 31}`, hex(compatible, 1), `${tier}${c.getUint8(12)}`, ...constraints.map((one) => hex(one, 1))].join("."), description: bytesOf(c) };
  }
  if (kind === "vp09" && part("vpcC")) {
    const c = part("vpcC");
    return { ...facts, codec: `vp09.${two(c.getUint8(4))}.${two(c.getUint8(5))}.${two(c.getUint8(6) >> 4)}` };
  }
  if (kind === "av01" && part("av1C")) {
    const c = part("av1C"), [first, second] = [c.getUint8(1), c.getUint8(2)];
    return { ...facts, codec: `av01.${first >> 5}.${two(first & 31)}${second & 128 ? "H" : "M"}.${second & 64 ? "10" : "08"}`, description: bytesOf(c) };
  }
  throw new UnreadableError(`its coding ${kind.replace(/[^ -~]/g, "?")} is not one that this page reads`);
}

/** Every sample in the order of decoding: place and size in bytes, times in the track's timescale. */
function readSamples(table, fileSize) {
  const sizes = table("stsz"), chunks = table("stco"), longChunks = table("co64"), runs = table("stsc"), times = table("stts");
  if (!sizes || !(chunks || longChunks) || !runs || !times) throw new UnreadableError("tables of its samples are missing");
  const count = sizes.getUint32(8), same = sizes.getUint32(4);
  if (count > MOST_SAMPLES || (!same && sizes.byteLength < 12 + 4 * count)) throw new UnreadableError("its table of sizes is damaged");
  const samples = Array.from({ length: count }, (_, at) => ({ offset: 0, size: same || sizes.getUint32(12 + 4 * at), dts: 0, cts: 0, duration: 0, isKey: false }));
  const chunkCount = (chunks ?? longChunks).getUint32(4);
  for (let chunk = 0, at = 0, run = 0; chunk < chunkCount && at < count; chunk++) {
    while (run + 1 < runs.getUint32(4) && runs.getUint32(8 + 12 * (run + 1)) <= chunk + 1) run++;
    let offset = chunks ? chunks.getUint32(8 + 4 * chunk) : big(longChunks, 8 + 8 * chunk);
    for (let one = runs.getUint32(12 + 12 * run); one > 0 && at < count; one--, at++) {
      samples[at].offset = offset;
      offset += samples[at].size;
      if (offset > fileSize) throw new UnreadableError("it ends before its samples do");
    }
  }
  spread(times, count, (at, duration) => {
    samples[at].duration = duration;
    samples[at].dts = at ? samples[at - 1].dts + samples[at - 1].duration : 0;
    samples[at].cts = samples[at].dts;
  });
  const shifts = table("ctts");
  if (shifts) spread(shifts, count, (at, shift) => { samples[at].cts += shift | 0; });
  const keys = table("stss");
  if (keys) for (let at = 0; at < keys.getUint32(4); at++) { const one = samples[keys.getUint32(8 + 4 * at) - 1]; if (one) one.isKey = true; }
  else for (const one of samples) one.isKey = true;
  return samples;
}

/** Calls with every sample's value of a table of runs. */
function spread(view, count, call) {
  let at = 0;
  for (let row = 0; row < view.getUint32(4) && at < count; row++) {
    const value = view.getUint32(12 + 8 * row);
    for (let one = view.getUint32(8 + 8 * row); one > 0 && at < count; one--, at++) call(at, value);
  }
  if (at < count) throw new UnreadableError("its table of times is damaged");
}
