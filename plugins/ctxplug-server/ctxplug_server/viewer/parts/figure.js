// A figure: a chart with its title, and the same numbers as a table for those who want to read them.
import { html, useState } from "../ui.js";
import { t } from "../words.js";
import { Plot } from "./plot.js";

const ROWS = 100; // of the table that are drawn at once

// `plot` are the properties of Plot; `note` is a sentence below the title.
export function Figure({ title, note, plot }) {
  const [open, setOpen] = useState(false);
  return html`<figure class="figure">
    <figcaption><h2>${title}</h2>${note && html`<p class="dim small">${note}</p>`}</figcaption>
    <${Plot} ...${plot} label=${title} />
    <details onToggle=${(event) => setOpen(event.target.open)}>
      <summary class="small">${t("figure.table")}</summary>
      ${open && html`<${Numbers} title=${title} plot=${plot} />`}
    </details>
  </figure>`;
}

function Numbers({ title, plot }) {
  const [shown, setShown] = useState(ROWS);
  const { x, series, name } = plot;
  const rows = x.slice(0, shown).map((_, index) => index);
  return html`<div class="scroll-x" tabindex="0" role="group" aria-label=${title}>
    <table class="table"><caption class="sr">${title}</caption>
      <thead><tr><th scope="col">${plot.head}</th>
        ${series.map((one) => html`<th scope="col" class="number">${one.label}</th>`)}</tr></thead>
      <tbody>${rows.map((index) => html`<tr key=${index}><th scope="row">${name(index)}</th>
        ${series.map((one) => html`<td class="number">${told(one, index)}</td>`)}</tr>`)}</tbody>
    </table></div>
    ${shown < x.length && html`<button onClick=${() => setShown(shown + ROWS)}>${t("figure.more")}</button>`}`;
}

function told(one, index) {
  const value = one.values[index];
  return value == null ? "–" : one.text(value);
}
