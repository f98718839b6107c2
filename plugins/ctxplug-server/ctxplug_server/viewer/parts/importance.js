// How important a memory is: a short bar and its number.
import { html } from "../ui.js";
import { t } from "../words.js";

export function Importance({ value }) {
  return html`<span class="importance" title=${`${t("memory.importance")} ${value.toFixed(2)}`}>
    <span class="importance-track" aria-hidden="true"><span style=${{ width: `${100 * value}%` }}></span></span>
    <span class="sr">${t("memory.importance")} </span>${value.toFixed(2)}</span>`;
}
