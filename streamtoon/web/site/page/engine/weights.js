// The weights of a network: one file of 16-bit floating-point numbers, checked by its hash before anything reads it.

/** Halves as floats, for GPUs without 16-bit arithmetic. @param {Uint16Array} halves */
export function toFloats(halves) {
  const result = new Float32Array(halves.length);
  for (let at = 0; at < halves.length; at++) {
    const bits = halves[at], exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    result[at] = bits & 0x8000 ? -size : size;
  }
  return result;
}

/** @returns {Promise<string>} SHA-256 in hexadecimal digits */
async function hashOf(data) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (one) => one.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {URL} base folder of the site
 * @param {{file: string, bytes: number, sha256: string, layers: object[]}} facts of the network, checked
 * @returns {Promise<{layers: object[], data: ArrayBuffer}>}
 */
export async function loadWeights(base, facts) {
  const answer = await fetch(new URL(facts.file, base));
  if (!answer.ok) throw new Error(`${facts.file} cannot be loaded: the server answers ${answer.status}`);
  const data = await answer.arrayBuffer();
  if (data.byteLength !== facts.bytes || (await hashOf(data)) !== facts.sha256) {
    throw new Error(`${facts.file} is not the file that this page was built with: its hash differs. Load the page again, or build the site again.`);
  }
  return { layers: facts.layers, data };
}
