// What stands where there is nothing to show: not yet, nothing there, or it failed.
import { html } from "../ui.js";
import { has, t } from "../words.js";
import { Icon } from "./icons.js";

export function Loading({ text }) {
  return html`<p class="state dim" role="status"><span class="spinner" aria-hidden="true"></span>
    ${text || t("loading")}</p>`;
}

export function Empty({ children }) {
  return html`<div class="state dim" role="status">${children}</div>`;
}

// The words for an error: those of the server, or ours where it said nothing.
export function wordsOf(error) {
  const key = `error.${error.type}`;
  return has(key) ? t(key) : error.message || t("error.unknown");
}

export function Failed({ error, retry }) {
  return html`<div class="state failed" role="alert">
    <p class="bad"><${Icon} name="error" /> ${wordsOf(error)}</p>
    ${retry && html`<button onClick=${retry}>${t("try_again")}</button>`}
  </div>`;
}

// The states of a useData answer: what to show instead of it, or null when it is there.
export function unready(answer) {
  if (answer.data) return null; // what was read before stays while it is read again
  if (answer.error) return html`<${Failed} error=${answer.error} retry=${answer.reload} />`;
  return html`<${Loading} />`;
}
