// Asks the worker for patterns.

let worker = null;
let last = 0;
const waiting = new Map();

function start() {
  worker = new Worker(new URL("pattern_worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data: { id, planes, error } }) => {
    const [done, fail] = waiting.get(id);
    waiting.delete(id);
    if (error) fail(new Error(error));
    else done(planes);
  });
  worker.addEventListener("error", (event) => {
    for (const [, fail] of waiting.values()) fail(new Error(`patterns cannot be made: ${event.message ?? "the worker did not start"}`));
    waiting.clear();
  });
}

/** @returns {Promise<Record<string, Uint8Array>>} as `patternPlanes` */
export function makePatterns(look, height, width) {
  if (!worker) start();
  return new Promise((done, fail) => {
    waiting.set(++last, [done, fail]);
    worker.postMessage({ id: last, look, height, width });
  });
}
