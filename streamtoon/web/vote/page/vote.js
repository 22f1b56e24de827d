"use strict";
// One reviewer at a time: the server stores the picks, this page only the name.

const $ = (id) => document.getElementById(id);
const GAP = 14, UNDER = 36; // pixels between rows, and below each cartoon
const NAME = "streamtoon reviewer";

let state = null; // last answer of the server
let plate = null; // {id, pictures: [photo, first, second, ...]} on the stage
let ahead = null; // the next one, preloading
let busy = false;
let zoomed = 0; // position in the zoom, 0: the photo

const remembered = {
  get: () => { try { return localStorage.getItem(NAME); } catch { return null; } },
  set: (name) => { try { localStorage.setItem(NAME, name); } catch { /* private window: ask again */ } },
  forget: () => { try { localStorage.removeItem(NAME); } catch { /* the same */ } },
};

// --- the server ---------------------------------------------------------------------------------------

class Refused extends Error {}

async function ask(address, body) {
  const answer = await fetch(address, body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw Object.assign(new Refused(await answer.text()), { status: answer.status });
  return answer.json();
}

const stateOf = (name) => ask(`state?reviewer=${encodeURIComponent(name)}`);

function load(id) {
  const pictures = Array.from({ length: state.candidates + 1 }, (_, position) => {
    const picture = new Image();
    picture.alt = position ? `Cartoon ${position}` : "The photo";
    picture.draggable = false;
    picture.src = `picture/${id}/${position}?reviewer=${encodeURIComponent(state.reviewer)}`;
    return picture;
  });
  return { id, pictures };
}

// --- what is shown ------------------------------------------------------------------------------------

function only(id) {
  for (const part of ["welcome", "vote", "end"]) $(part).hidden = part !== id;
}

function welcome(text = "") {
  state = plate = ahead = null;
  only("welcome");
  document.title = "Blind vote";
  $("name-error").textContent = text;
  $("name").focus();
}

let noticeTimer = 0;
function notice(text) {
  clearTimeout(noticeTimer);
  $("notice").textContent = text;
  noticeTimer = setTimeout(() => { $("notice").textContent = ""; }, 4000);
}

let again = null;
function trouble(text, retry) {
  $("trouble-text").textContent = text;
  $("trouble").hidden = false;
  again = retry;
}

function makeChoices() {
  const choices = Array.from({ length: state.candidates }, (_, n) => {
    const choice = document.createElement("div");
    choice.className = "choice";
    const pick = document.createElement("button");
    pick.className = "pick";
    pick.setAttribute("aria-label", `Pick cartoon ${n + 1}`);
    pick.setAttribute("aria-keyshortcuts", `${n + 1}`);
    pick.addEventListener("click", () => vote(n + 1));
    const under = document.createElement("div");
    under.className = "under";
    const number = document.createElement("span");
    number.className = "number-key";
    number.textContent = n + 1;
    number.setAttribute("aria-hidden", "true");
    const enlarge = document.createElement("button");
    enlarge.textContent = "Enlarge";
    enlarge.setAttribute("aria-label", `Enlarge cartoon ${n + 1}`);
    enlarge.addEventListener("click", () => zoom(n + 1));
    under.append(number, enlarge);
    choice.append(pick, under);
    return choice;
  });
  $("choices").replaceChildren(...choices);
}

async function show(next) {
  const first = state === null || state.ballot !== next.ballot || $("choices").childElementCount !== next.candidates;
  state = next;
  remembered.set(state.reviewer);
  $("count").textContent = `${Math.min(state.done + 1, state.total)} of ${state.total}`;
  $("progress").value = state.done;
  $("progress").max = state.total;
  $("who").textContent = state.reviewer;
  $("undo").disabled = state.done === 0;
  if (!state.next.length) return end();
  if (first) makeChoices();
  only("vote");
  document.title = `${$("count").textContent} – blind vote`;
  plate = ahead !== null && ahead.id === state.next[0].id ? ahead : load(state.next[0].id);
  const shown = plate;
  $("stage").classList.add("waiting");
  $("stage").setAttribute("aria-busy", "true");
  try {
    await Promise.all(shown.pictures.map((picture) => picture.decode()));
  } catch {
    if (shown !== plate) return;
    ahead = null;
    trouble("The images could not be loaded.", () => refresh());
    return;
  }
  if (shown !== plate) return;
  const [photo, ...cartoons] = shown.pictures;
  $("photo").replaceChildren(photo);
  [...$("choices").children].forEach((choice, n) => {
    choice.classList.remove("picked");
    choice.firstChild.replaceChildren(cartoons[n]);
  });
  arrange();
  $("stage").scrollTop = 0;
  $("stage").classList.remove("waiting");
  $("stage").removeAttribute("aria-busy");
  $("trouble").hidden = true;
  ahead = state.next.length > 1 ? load(state.next[1].id) : null;
  ahead?.pictures.forEach((picture) => picture.decode().catch(() => { ahead = null; }));
}

function end() {
  plate = ahead = null;
  only("end");
  document.title = "Thank you – blind vote";
  $("thanks").textContent = `Thank you, ${state.reviewer}.`;
  $("thanks").focus();
}

// As large as all of them fit in the window; if that is too small, larger with scrolling.
function arrange() {
  if (plate === null) return;
  const stage = $("stage"), count = state.candidates;
  const width = stage.clientWidth - 24, height = stage.clientHeight - 8;
  const picture = plate.pictures[0], shape = picture.naturalWidth / picture.naturalHeight;
  const smallest = Math.min(0.22 * height, width / shape);
  let wide = 0, rows = count;
  for (let columns = 1; columns <= count; columns++) {
    const lines = Math.ceil(count / columns);
    const room = (height - smallest - lines * GAP) / lines - UNDER;
    const fits = Math.min((width - (columns - 1) * GAP) / columns, room * shape);
    if (fits > wide) [wide, rows] = [fits, lines];
  }
  const left = height - rows * (wide / shape + UNDER + GAP);
  let photo = Math.max(smallest, Math.min(left, wide / shape)); // up to the size of a cartoon
  const least = Math.min(width, height * shape, 300);
  if (wide < least) {
    wide = Math.min(width, Math.max(least, 0.36 * height * shape));
    photo = smallest;
  }
  const set = (name, value) => stage.style.setProperty(name, `${Math.floor(value)}px`);
  set("--width", wide);
  set("--height", wide / shape);
  set("--photo-height", photo);
  set("--photo-width", photo * shape);
}

// --- actions ------------------------------------------------------------------------------------------

const ready = () => !busy && plate !== null && !$("stage").classList.contains("waiting") && $("trouble").hidden;

async function send(address, body, retry) {
  busy = true;
  $("trouble").hidden = true;
  try {
    const next = await ask(address, body);
    busy = false;
    await show(next);
    return true;
  } catch (error) {
    busy = false;
    for (const choice of $("choices").children) choice.classList.remove("picked");
    if (error.status === 412) trouble("The vote has changed on the server.", () => location.reload());
    else if (error.status === 409) await refresh();
    else if (error instanceof Refused) trouble(error.message, retry);
    else trouble("The server does not answer, so this pick was not saved. Is it still running?", retry);
    return false;
  }
}

async function vote(position) {
  if (!ready()) return;
  unzoom();
  $("choices").children[position - 1].classList.add("picked");
  const body = { ballot: state.ballot, reviewer: state.reviewer, photo: plate.id, position };
  await send("vote", body, () => { $("trouble").hidden = true; vote(position); });
}

async function undo() {
  if (busy || state === null || state.done === 0 || !$("trouble").hidden) return;
  unzoom();
  const done = await send("undo", { ballot: state.ballot, reviewer: state.reviewer }, () => { $("trouble").hidden = true; undo(); });
  if (done) {
    notice("Pick undone. Pick again.");
    $("question").focus();
  }
}

async function refresh() {
  $("trouble").hidden = true;
  try {
    await show(await stateOf(state === null ? remembered.get() : state.reviewer));
  } catch (error) {
    if (error.status === 400) return welcome(error.message);
    trouble("The server does not answer. Is it still running?", refresh);
  }
}

async function start(event) {
  event.preventDefault();
  const name = $("name").value.trim();
  $("name-error").textContent = "";
  if (!name) return welcome("Please enter a name.");
  try {
    const next = await stateOf(name);
    state = null;
    await show(next);
    if (!$("vote").hidden) $("question").focus();
    if (next.done && next.next.length) notice(`Welcome back, ${next.reviewer}: ${next.done} of ${next.total} done.`);
  } catch (error) {
    welcome(error instanceof Refused ? error.message : "The server does not answer. Is it still running?");
  }
}

function leave() {
  if (busy) return;
  remembered.forget();
  $("name").value = "";
  welcome();
}

// --- the zoom -----------------------------------------------------------------------------------------

function zoom(position) {
  if (!ready()) return;
  const count = state.candidates + 1;
  zoomed = (position + count) % count;
  const picture = plate.pictures[zoomed].cloneNode();
  $("zoom-picture").replaceChildren(picture);
  $("zoom-label").textContent = zoomed ? `Cartoon ${zoomed}` : "The photo";
  $("zoom-pick").disabled = zoomed === 0;
  if (!$("zoom").open) $("zoom").showModal();
}

function unzoom() {
  if ($("zoom").open) $("zoom").close();
}

function pointedAt() {
  const pointed = document.querySelector(".choice:hover") ?? document.activeElement?.closest?.(".choice");
  return pointed ? [...$("choices").children].indexOf(pointed) + 1 : 1;
}

// Space enlarges, also with the focus on a cartoon; on any other button it presses that button.
const otherButton = (target) => target instanceof HTMLButtonElement && !target.classList.contains("pick");

function key(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || state === null) return;
  if (event.target instanceof HTMLInputElement) return;
  const open = $("zoom").open;
  if (event.key >= "1" && event.key <= `${state.candidates}`) vote(Number(event.key));
  else if (event.key === "Backspace") undo();
  else if (event.key === " " && !otherButton(event.target)) open ? unzoom() : zoom(pointedAt());
  else if (event.key === "ArrowLeft" && open) zoom(zoomed - 1);
  else if (event.key === "ArrowRight" && open) zoom(zoomed + 1);
  else return;
  event.preventDefault();
}

$("name-form").addEventListener("submit", start);
$("undo").addEventListener("click", undo);
document.querySelector("[data-undo]").addEventListener("click", undo);
for (const button of document.querySelectorAll("[data-leave]")) button.addEventListener("click", leave);
$("again").addEventListener("click", () => again());
$("zoom-picture").addEventListener("click", unzoom);
$("zoom-close").addEventListener("click", unzoom);
$("zoom-back").addEventListener("click", () => zoom(zoomed - 1));
$("zoom-on").addEventListener("click", () => zoom(zoomed + 1));
$("zoom-pick").addEventListener("click", () => vote(zoomed));
document.addEventListener("keydown", key);
addEventListener("resize", arrange);

if (remembered.get()) refresh();
else welcome();
