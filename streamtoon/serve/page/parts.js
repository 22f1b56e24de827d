// The page's parts, and how it speaks to whoever looks or listens.

export const $ = (id) => document.getElementById(id);

export function say(text) {
  $("status").textContent = text;
}

// A sentence that stays until the next beginning; none takes it away.
export function trouble(text = "") {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
  if (text) say("");
}

export function waiting(text = "") {
  $("wait-text").textContent = text ? `${text} …` : "";
  $("wait").hidden = !text;
}
