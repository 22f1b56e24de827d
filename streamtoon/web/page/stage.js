// The stage: how much of the original is shown, its shape, full screen, and files that are dropped on the page.

import { $ } from "./parts.js";

export function split(value) {
  $("split").value = value;
  $("stage").style.setProperty("--split", `${value}%`);
  $("split").setAttribute("aria-valuetext", `${value} percent original`);
}

export function shape(width, height) {
  if (width && height) $("stage").style.setProperty("--shape", width / height);
}

export function mirror(on) {
  $("mirror").checked = on;
  $("stage").classList.toggle("mirrored", on);
}

export function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("stage").requestFullscreen?.();
}

// Calls `take` with the files that are dropped anywhere on the page.
export function acceptDrops(take) {
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const show = (on) => document.body.classList.toggle("dropping", on);
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      show(true);
    });
  }
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) show(false); });
  document.addEventListener("drop", (event) => {
    show(false);
    if (!carries(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}
