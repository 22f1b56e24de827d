"use strict";
const viewer = document.querySelector(".viewer");
if (viewer) {
  const stage = viewer.querySelector(".stage");
  const [result, photo] = stage.querySelectorAll("img");
  const split = stage.querySelector("input");
  const image = viewer.querySelector("select");
  const chosen = () => viewer.querySelector("input[type=radio]:checked");
  const move = () => {
    stage.style.setProperty("--split", split.value + "%");
    split.setAttribute("aria-valuetext", split.value + " % photograph");
  };
  const show = () => {
    const row = document.querySelectorAll(".pictures-row")[image.value];
    const [from, to] = [row.querySelector("[data-result='']"), row.querySelector(`[data-result="${chosen().value}"]`)];
    [photo.src, photo.alt] = [from.src, from.alt];
    [result.src, result.alt] = to ? [to.src, to.alt] : [from.src, from.alt];
    stage.style.aspectRatio = `${from.width} / ${from.height}`;
    viewer.style.setProperty("--natural", from.getAttribute("width"));
    viewer.querySelector(".right").textContent = to ? chosen().dataset.name : "no result";
  };
  split.addEventListener("input", move);
  image.addEventListener("change", show);
  viewer.addEventListener("change", show);
  for (const cell of document.querySelectorAll(".pictures-row img")) {
    cell.addEventListener("click", () => {
      image.value = cell.dataset.row;
      const radio = viewer.querySelector(`input[value="${cell.dataset.result}"]`);
      if (radio) radio.checked = true;
      show();
      viewer.scrollIntoView({ block: "nearest" });
    });
  }
  document.documentElement.classList.add("scripted");
  viewer.hidden = false;
  move();
  show();
}
