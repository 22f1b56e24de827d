// Writes an MP4 file: tables first, so that it plays while it loads. ISO/IEC 14496-12.

const CHUNK_SECONDS = 1; // of a track's samples that lie together

const text = (word) => Uint8Array.from(word, (letter) => letter.charCodeAt(0));
const u8 = (...values) => Uint8Array.from(values);
const u16 = (value) => u8((value >> 8) & 255, value & 255);
const u32 = (value) => u8((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
const u64 = (value) => joined(u32(Math.floor(value / 2 ** 32)), u32(value % 2 ** 32));
const zeros = (count) => new Uint8Array(count);

function joined(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export const box = (name, ...parts) => {
  const inner = joined(...parts);
  return joined(u32(inner.length + 8), text(name), inner);
};
const full = (name, version, flags, ...parts) => box(name, u8(version), u8((flags >> 16) & 255, (flags >> 8) & 255, flags & 255), ...parts);

/** A table of runs of equal values. */
function runs(values) {
  const rows = [];
  for (const value of values) {
    if (rows.length && rows.at(-1)[1] === value) rows.at(-1)[0]++;
    else rows.push([1, value]);
  }
  return joined(u32(rows.length), ...rows.map(([count, value]) => joined(u32(count), u32(value >>> 0))));
}

/**
 * The sample entry of drawn video.
 * @param {{codec: string, description?: Uint8Array, color?: VideoColorSpaceInit, width: number, height: number, pixelShape: Uint8Array|null}} facts
 */
export function videoEntry({ codec, description, color, width, height, pixelShape }) {
  const kind = codec.startsWith("avc1") ? "avc1" : "vp09";
  const codes = { primaries: { bt709: 1, bt470bg: 5, smpte170m: 6 }, transfer: { bt709: 1, smpte170m: 6, "iec61966-2-1": 13 }, matrix: { rgb: 0, bt709: 1, bt470bg: 5, smpte170m: 6 } };
  const of = (key) => codes[key][color?.[key]] ?? 2;
  const [primaries, transfer, matrix] = ["primaries", "transfer", "matrix"].map(of);
  const isFull = color?.fullRange ? 1 : 0;
  let coding;
  if (kind === "avc1") coding = box("avcC", description);
  else {
    const [, profile, level, depth] = codec.split(".").map(Number);
    coding = full("vpcC", 1, 0, u8(profile, level, (depth << 4) | (1 << 1) | isFull, primaries, transfer, matrix), u16(0));
  }
  return box(
    kind, zeros(6), u16(1), zeros(16), u16(width), u16(height), u32(0x480000), u32(0x480000), zeros(4), u16(1), zeros(32),
    u16(24), u8(255, 255), coding, box("colr", text("nclx"), u16(primaries), u16(transfer), u16(matrix), u8(isFull << 7)),
    ...(pixelShape ? [box("pasp", pixelShape)] : []),
  );
}

/** Samples in chunks of about a second, each with where its first sample begins in seconds. */
function chunksOf(track) {
  const chunks = [];
  for (const sample of track.samples) {
    const start = sample.dts / track.timescale;
    if (!chunks.length || start - chunks.at(-1).start >= CHUNK_SECONDS) chunks.push({ start, track, samples: [], offset: 0 });
    chunks.at(-1).samples.push(sample);
  }
  return chunks;
}

function trackBox(track, number, chunks, movieTimescale) {
  const { samples } = track, isVideo = track.kind === "video";
  const duration = samples.reduce((sum, one) => sum + one.duration, 0);
  const shown = track.edits ? editedDuration(track.edits) : Math.round((duration * movieTimescale) / track.timescale);
  const shifts = samples.map((one) => one.cts - one.dts);
  const perChunk = chunks.map((chunk) => chunk.samples.length);
  const runsOfChunks = perChunk.flatMap((count, at) => (at && perChunk[at - 1] === count ? [] : [[at + 1, count]]));
  const media = box(
    "mdia",
    full("mdhd", 1, 0, u64(0), u64(0), u32(track.timescale), u64(duration), track.language, u16(0)),
    full("hdlr", 0, 0, u32(0), text(isVideo ? "vide" : "soun"), zeros(12), text(isVideo ? "Video\0" : "Sound\0")),
    box(
      "minf", isVideo ? full("vmhd", 0, 1, zeros(8)) : full("smhd", 0, 0, zeros(4)),
      box("dinf", full("dref", 0, 0, u32(1), full("url ", 0, 1))),
      box(
        "stbl", full("stsd", 0, 0, u32(1), track.entry), full("stts", 0, 0, runs(samples.map((one) => one.duration))),
        ...(shifts.some(Boolean) ? [full("ctts", shifts.some((one) => one < 0) ? 1 : 0, 0, runs(shifts))] : []),
        ...(samples.every((one) => one.isKey) ? [] : [full("stss", 0, 0, keys(samples))]),
        full("stsc", 0, 0, u32(runsOfChunks.length), ...runsOfChunks.map(([at, count]) => joined(u32(at), u32(count), u32(1)))),
        full("stsz", 0, 0, u32(0), u32(samples.length), ...samples.map((one) => u32(one.size))),
        full("co64", 0, 0, u32(chunks.length), ...chunks.map((chunk) => u64(chunk.offset))),
      ),
    ),
  );
  return box(
    "trak", full("tkhd", 1, 3, u64(0), u64(0), u32(number), u32(0), u64(shown), zeros(8), u16(0), u16(isVideo ? 0 : 1), u16(isVideo ? 0 : 256), u16(0), track.shape),
    ...(track.edits ? [box("edts", box("elst", track.edits))] : []), media,
  );
}

function keys(samples) {
  const found = samples.flatMap((one, at) => (one.isKey ? [u32(at + 1)] : []));
  return joined(u32(found.length), ...found);
}

function editedDuration(edits) {
  const view = new DataView(edits.buffer, edits.byteOffset, edits.byteLength), isLong = view.getUint8(0) === 1;
  let sum = 0;
  for (let row = 0; row < view.getUint32(4); row++) sum += isLong ? Number(view.getBigUint64(8 + 20 * row)) : view.getUint32(8 + 12 * row);
  return sum;
}

/**
 * @param {object[]} tracks as mp4_reader.js gives them; every sample with `data`, a Uint8Array or a Blob of its bytes
 * @param {number} timescale of the movie, in which edits are
 * @returns {Blob}
 */
export function writeMp4(tracks, timescale) {
  const chunks = tracks.map(chunksOf);
  const order = chunks.flat().sort((a, b) => a.start - b.start);
  const isVp9 = tracks.some((track) => text("vp09").every((letter, at) => track.entry[4 + at] === letter));
  const start = box("ftyp", text("isom"), u32(512), text("isom"), text("iso4"), text(isVp9 ? "mp41" : "avc1"), text("mp41"));
  const moov = () => {
    const shown = tracks.map((track) => (track.edits ? editedDuration(track.edits) : Math.round((track.samples.reduce((sum, one) => sum + one.duration, 0) * timescale) / track.timescale)));
    const unity = joined(u32(0x10000), zeros(12), u32(0x10000), zeros(12), u32(0x40000000));
    return box(
      "moov", full("mvhd", 1, 0, u64(0), u64(0), u32(timescale), u64(Math.max(...shown)), u32(0x10000), u16(256), zeros(10), unity, zeros(24), u32(tracks.length + 1)),
      ...tracks.map((track, at) => trackBox(track, at + 1, chunks[at], timescale)),
    );
  };
  let place = start.length + moov().length + 16; // of equal length with any offsets
  for (const chunk of order) {
    chunk.offset = place;
    for (const sample of chunk.samples) place += sample.size;
  }
  const tables = moov();
  const size = place - start.length - tables.length;
  return new Blob([start, tables, u32(1), text("mdat"), u64(size), ...order.flatMap((chunk) => chunk.samples.map((one) => one.data))], { type: "video/mp4" });
}
