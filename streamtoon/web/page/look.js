// The controls of a look: the keys, and the visitor's changes to each style's own look.

import { $ } from "./parts.js";

const MOST_COLORS = 8;
const changes = new Map(); // style name -> { key: value }, only values that differ from the style's own
let keys = [];
let styles = [];
let shown = null; // name of the style in the controls
let report = () => {};

export const lookOf = (name) => changes.get(name) ?? {};

const own = () => styles.find((one) => one.name === shown).look;
const value = (name) => lookOf(shown)[name] ?? own()[name];
const spaced = (name) => name.replaceAll("_", " ");
const text = (one) => (Array.isArray(one) ? one.join(" ") : String(one));
const number = (one) => String(Math.round(one * 1000) / 1000);
const isNothing = (one) => one === 0 || one === "none" || (Array.isArray(one) && !one.length);

// Calls `changed` whenever the visitor changes a value.
export function makeLook(facts, changed) {
  [keys, styles, report] = [facts.look_keys, facts.styles, changed];
  const groups = new Map();
  for (const key of keys) {
    if (!groups.has(key.group)) groups.set(key.group, makeGroup(key.group));
    groups.get(key.group).append(makeControl(key));
  }
  $("look-groups").replaceChildren(...groups.values());
  $("look-reset").addEventListener("click", () => { changes.delete(shown); refresh(); report(); });
}

export function showLook(name) {
  shown = name;
  $("look").hidden = own() === null;
  if (own() !== null) refresh();
}

function makeGroup(name) {
  const group = document.createElement("details");
  group.name = "look-group"; // one is open at a time
  group.dataset.group = name;
  const summary = document.createElement("summary");
  const count = document.createElement("span");
  count.className = "count";
  summary.append(name, count);
  group.append(summary);
  return group;
}

function makeControl(key) {
  const field = document.createElement("div");
  field.className = "field key";
  field.dataset.key = key.name;
  const id = `look-${key.name}`;
  const label = Object.assign(document.createElement("label"), { htmlFor: id, textContent: spaced(key.name) });
  const about = Object.assign(document.createElement("p"), { id: `${id}-about`, className: "about", textContent: key.text });
  const parts = [label];
  if (key.kind === "colors") {
    label.htmlFor = `${id}-0`;
    parts.push(Object.assign(document.createElement("div"), { className: "swatches" }));
  } else {
    const input = document.createElement(key.kind === "choice" ? "select" : "input");
    input.id = id;
    input.setAttribute("aria-describedby", about.id);
    if (key.kind === "choice") {
      input.replaceChildren(...key.choices.map((one) => new Option(one, one)));
    } else if (key.kind === "color") {
      input.type = "color";
    } else {
      Object.assign(input, { type: "range", min: key.low, max: key.high, step: key.step });
      parts.push(document.createElement("output"));
    }
    input.addEventListener("input", () => set(key, key.kind === "number" || key.kind === "whole" ? Number(input.value) : input.value));
    parts.push(input);
  }
  field.append(...parts, about);
  return field;
}

function set(key, wanted) {
  const changed = { ...lookOf(shown) };
  if (text(wanted) === text(own()[key.name])) delete changed[key.name];
  else changed[key.name] = wanted;
  changes.set(shown, changed);
  refresh();
  report();
}

function refresh() {
  const changed = lookOf(shown);
  const counts = {};
  for (const key of keys) {
    const field = document.querySelector(`[data-key="${key.name}"]`);
    const now = value(key.name);
    const isChanged = key.name in changed;
    field.classList.toggle("changed", isChanged);
    field.hidden = key.needs !== "" && isNothing(value(key.needs));
    counts[key.group] = (counts[key.group] ?? 0) + (isChanged ? 1 : 0);
    if (key.kind === "colors") showColors(key, field, now);
    else {
      const input = $(`look-${key.name}`);
      if (input.value !== String(now)) input.value = now;
      const output = field.querySelector("output");
      if (output) output.textContent = number(now);
    }
  }
  for (const group of $("look-groups").children) {
    const count = counts[group.dataset.group];
    group.querySelector(".count").textContent = count ? `${count} changed` : "";
  }
  const names = Object.keys(changed);
  $("look-count").textContent = names.length ? `${names.length} changed` : "";
  $("look-reset").disabled = !names.length;
  $("look-command").textContent = [`--style ${shown}`, ...names.map(option)].join(" ");
}

function option(name) {
  const pair = `${name}=${toText(lookOf(shown)[name])}`;
  return `--look ${/[ #]/.test(pair) ? `"${pair}"` : pair}`;
}

// As the server expects it: several colours are one text.
const toText = (one) => (Array.isArray(one) ? one.join(" ") : one);
export const toSend = (name) => Object.fromEntries(Object.entries(lookOf(name)).map(([key, one]) => [key, toText(one)]));

function showColors(key, field, colors) {
  const box = field.querySelector(".swatches");
  const inputs = [...box.querySelectorAll("input")];
  if (inputs.length === colors.length && box.childElementCount) { // update in place: a colour picker may be open
    inputs.forEach((input, n) => { input.value = colors[n]; });
    return;
  }
  const change = (edit) => { const next = [...value(key.name)]; edit(next); set(key, next); };
  const swatches = colors.map((color, n) => {
    const input = Object.assign(document.createElement("input"), { type: "color", id: `look-${key.name}-${n}`, value: color });
    input.setAttribute("aria-label", `${spaced(key.name)}, colour ${n + 1}`);
    input.addEventListener("input", () => change((next) => { next[n] = input.value; }));
    return input;
  });
  const button = (label, name, disabled, edit) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: label, disabled });
    made.setAttribute("aria-label", name);
    made.addEventListener("click", () => change(edit));
    return made;
  };
  box.replaceChildren(
    ...swatches,
    button("−", "Remove the last colour", !colors.length, (next) => next.pop()),
    button("+", "Add a colour", colors.length >= MOST_COLORS, (next) => next.push(next.at(-1) ?? "#ffffff")),
  );
}
