// What `site.json` and a page that embeds the drawing may contain. Types and ranges are checked before anything uses it.

const KINDS = ["number", "whole", "color", "choice", "colors"];
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const FILE = /^[a-z0-9][a-z0-9_-]{0,99}\.(bin|jpg)$/; // beside site.json, so never at another address
const COLOR = /^#[0-9a-f]{6}$/i;
const MOST_COLORS = 8, MOST_STYLES = 200, MOST_BYTES = 2 ** 25;

const fail = (what) => { throw new Error(`site.json is not one of this page: ${what}. Build the site again.`); };
const isObject = (one) => typeof one === "object" && one !== null && !Array.isArray(one);
const isNumber = (one) => typeof one === "number" && Number.isFinite(one);
const isText = (one, most) => typeof one === "string" && one.length <= most;
const isColor = (one) => typeof one === "string" && COLOR.test(one);
const isCount = (one, most) => Number.isInteger(one) && one >= 0 && one <= most;

function expect(holds, what) {
  if (!holds) fail(what);
}

/** Whether a value is one that a key of a look may have. */
export function allows(key, value) {
  if (key.kind === "color") return isColor(value);
  if (key.kind === "choice") return key.choices.includes(value);
  if (key.kind === "colors") return Array.isArray(value) && value.length <= MOST_COLORS && value.every(isColor);
  return isNumber(value) && value >= key.low && value <= key.high && (key.kind === "number" || Number.isInteger(value));
}

/**
 * The look with some keys changed. Throws for a key that no look has and a value that is not allowed.
 * @param {object[]} keys as in site.json
 */
export function changedLook(keys, look, changes) {
  if (!isObject(changes)) throw new Error("a look is a JSON object of keys and values");
  for (const [name, value] of Object.entries(changes)) {
    const key = keys.find((one) => one.name === name);
    if (!key) throw new Error(`a look has no key ${name.slice(0, 40)}`);
    if (!allows(key, value)) throw new Error(`the look's key ${name} cannot have the value ${JSON.stringify(value).slice(0, 40)}`);
  }
  return { ...look, ...changes };
}

/** @param {unknown} facts what site.json holds @returns {any} the same; throws a sentence where it is not as built */
export function checkFacts(facts) {
  expect(isObject(facts) && facts.format === 1, "its format is not 1");
  expect(Array.isArray(facts.keys) && facts.keys.length > 0 && facts.keys.length < 200, "it has no keys");
  for (const key of facts.keys) checkKey(key);
  expect(isObject(facts.networks), "it has no networks");
  for (const [name, forms] of Object.entries(facts.networks)) {
    expect(NAME.test(name) && isObject(forms) && "full" in forms, "a network has no full form");
    for (const [form, network] of Object.entries(forms)) {
      expect(["full", "lite"].includes(form), "a network has a form that is neither full nor lite");
      checkNetwork(network);
    }
  }
  expect(Array.isArray(facts.styles) && facts.styles.length > 0 && facts.styles.length <= MOST_STYLES, "it has no styles");
  for (const style of facts.styles) checkStyle(style, facts);
  return facts;
}

function checkKey(key) {
  expect(isObject(key) && typeof key.name === "string" && /^[a-z_]{1,40}$/.test(key.name), "a key has no name");
  expect(KINDS.includes(key.kind) && isNumber(key.low) && isNumber(key.high) && key.low <= key.high, `the key ${key.name} has no range`);
  expect(isNumber(key.step) && key.step >= 0 && isText(key.group, 40) && isText(key.text, 300) && isText(key.needs, 40), `the key ${key.name} is not whole`);
  expect(Array.isArray(key.choices) && key.choices.every((one) => isText(one, 40)), `the key ${key.name} has no choices`);
}

function checkNetwork(network) {
  expect(isObject(network) && typeof network.file === "string" && FILE.test(network.file), "a network names no file of the site");
  expect(isCount(network.bytes, MOST_BYTES) && typeof network.sha256 === "string" && /^[0-9a-f]{64}$/.test(network.sha256), "a network has no hash");
  expect(isNumber(network.multiplications) && Array.isArray(network.layers) && network.layers.length > 1 && network.layers.length <= 64, "a network has no layers");
  let [channels, size] = [24, 1];
  const made = new Map();
  for (const layer of network.layers) {
    expect(isObject(layer) && isText(layer.name, 60) && !made.has(layer.name) && typeof layer.relu === "boolean", "a layer is not whole");
    expect([layer.in, layer.out].every((one) => isCount(one, 256) && one > 0 && one % 8 === 0) && layer.out <= 128, "a layer has channels that no shader takes");
    expect([1, 3].includes(layer.kernel) && isCount(layer.dilation, 4) && layer.dilation > 0 && layer.in === channels, "layers do not follow one another");
    expect([1, 2].includes(layer.size) && (layer.size <= size || layer.dilation === 1), "a layer has a size that no shader makes");
    const added = made.get(layer.added);
    expect(layer.added === "" || (added?.out === layer.out && added.size === layer.size), "a layer is added to one that it does not fit");
    expect(isCount(layer.weights, network.bytes) && layer.weights % 4 === 0 && layer.weights + layer.in * layer.out * 2 * layer.kernel ** 2 <= network.bytes, "weights lie beyond their file");
    expect(isCount(layer.biases, network.bytes) && layer.biases % 4 === 0 && layer.biases + layer.out * 4 <= network.bytes, "biases lie beyond their file");
    made.set(layer.name, layer);
    [channels, size] = [layer.out, layer.size];
  }
  expect(channels === 40 && size === 1, "a network does not end with 40 fields");
}

function checkStyle(style, facts) {
  expect(isObject(style) && typeof style.name === "string" && NAME.test(style.name), "a style has no name");
  expect(isText(style.title, 100) && isText(style.description, 500), `the style ${style.name} has no title`);
  expect(typeof style.network === "string" && Object.hasOwn(facts.networks, style.network), `the style ${style.name} has no network`);
  expect(style.thumbnail === "" || (typeof style.thumbnail === "string" && FILE.test(style.thumbnail)), `the style ${style.name} has a thumbnail elsewhere`);
  expect(isObject(style.look) && Object.keys(style.look).length === facts.keys.length, `the style ${style.name} has not every key`);
  for (const key of facts.keys) expect(Object.hasOwn(style.look, key.name) && allows(key, style.look[key.name]), `the key ${key.name} of the style ${style.name} is outside its range`);
}

/** @param {URL} base folder of the site */
export async function loadFacts(base) {
  const answer = await fetch(new URL("site.json", base));
  if (!answer.ok) throw new Error(`site.json cannot be loaded: the server answers ${answer.status}`);
  return checkFacts(await answer.json().catch(() => null));
}
