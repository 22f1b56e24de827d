// Access to the page's elements, and its messages.

export const $ = (id) => document.getElementById(id);

export function say(text) {
  $("status").textContent = text;
}

// Shows a message until the next action; without text, hides it.
export function trouble(text = "") {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
  if (text) say("");
}

export function waiting(text = "") {
  $("wait-text").textContent = text ? `${text} …` : "";
  $("wait").hidden = !text;
}
