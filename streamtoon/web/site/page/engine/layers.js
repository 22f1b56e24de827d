// The layers of a network as the engines compute them: what each reads and writes, and at which size.

export const BLOCK = 4; // pixels a side of a block
export const WORKING_SIDE = 720; // pixels of the short side that the networks were made for
export const SAMPLES = -1; // in the place of a store's number: what the first layer reads

/** Pixels that a network's pictures are multiples of. @param {object[]} layers */
export const stepOf = (layers) => BLOCK * Math.max(...layers.map((layer) => layer.size));

/**
 * Layers with `stride`, `repeat` (how often each position that they read is taken, a side), and the numbers of the
 * stores that they read (`from`), add (`plus`, if they add any) and write (`to`). A store is free after its last reader.
 * @param {{name: string, size: number, added: string}[]} layers checked
 */
export function planned(layers) {
  const until = []; // by store: the last layer that reads it
  const stores = [];
  return layers.map((layer, at) => {
    const size = layers[at - 1]?.size ?? 1;
    const free = until.findIndex((last) => last < at);
    const to = free < 0 ? until.length : free;
    until[to] = Math.max(at + 1, layers.findLastIndex((later) => later.added === layer.name));
    stores.push(to);
    return {
      ...layer, stride: Math.max(1, layer.size / size), repeat: Math.max(1, size / layer.size),
      from: stores[at - 1] ?? SAMPLES, to, plus: layer.added ? stores[layers.findIndex((one) => one.name === layer.added)] : null,
    };
  });
}
