// The styles as images to choose from.

import { $ } from "./parts.js";

export const chosenCard = () => document.querySelector("#gallery input:checked")?.value;
export const cardImage = (name) => document.querySelector(`#gallery input[value="${name}"]`).nextElementSibling;

// Makes a card for every style, and chooses the first. Images have `width` x `height` pixels, and no address yet.
export function makeCards(styles, [width, height]) {
  $("gallery").replaceChildren(...styles.map((style, n) => {
    const card = document.createElement("label");
    card.className = "style";
    card.title = `${style.title}: ${style.description}`;
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: style.name, checked: n === 0 });
    const image = Object.assign(document.createElement("img"), { alt: "", width, height });
    image.addEventListener("error", () => { image.style.visibility = "hidden"; });
    image.addEventListener("load", () => { image.style.visibility = ""; });
    const title = document.createElement("span");
    title.textContent = style.title;
    card.append(input, image, title);
    return card;
  }));
}
