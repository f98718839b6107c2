// The totals of two policies side by side, with what the second has more or less.
import { cost, number } from "../parts/format.js";
import { html } from "../ui.js";
import { name, t } from "../words.js";

const percent = (value) => (value == null ? "–" : `${Math.round(100 * value)}%`);

// [name, how it reads, whether less is better (null: neither)]
const FIGURES = [
  ["tokens", number, true],
  ["cached", number, null], // less of it is no loss where less is sent
  ["hit_share", percent, false],
  ["plain", (value) => number(Math.round(value)), true],
  ["cost", cost, true],
  ["compactions", number, null],
  ["failed", number, true],
];

const SMALL = new Set(["hit_share", "compactions", "failed"]); // told as they are, not in percent

export function CompareTotals({ policies }) {
  const [first, last] = [policies[0], policies[policies.length - 1]];
  const rows = FIGURES.filter(([field]) => policies.some((one) => one[field] != null));
  return html`<div class="scroll-x" tabindex="0" role="group" aria-label=${t("compare.totals")}>
    <table class="table compare-totals"><caption class="sr">${t("compare.totals")}</caption>
      <thead><tr><td></td>${policies.map((one) => html`<th scope="col" class="number">${name("policy", one.name)}</th>`)}
        <th scope="col" class="number">${t("compare.difference")}</th></tr></thead>
      <tbody>${rows.map(([field, text, less]) => html`<tr>
        <th scope="row">${t(`compare.${field}`)}</th>
        ${policies.map((one) => html`<td class="number">${text(one[field])}</td>`)}
        <${Change} from=${first[field]} to=${last[field]} small=${SMALL.has(field)} less=${less} text=${text} />
      </tr>`)}</tbody>
    </table></div>`;
}

function Change({ from, to, small, less, text }) {
  if (from == null || to == null || from === to) return html`<td class="number dim">${from === to ? "±0" : "–"}</td>`;
  const by = to - from;
  const better = less === null ? "" : (by < 0) === less ? "good" : "bad";
  const sign = by > 0 ? "+" : "−";
  const told = small || !from ? `${sign}${text(Math.abs(by))}` : `${sign}${Math.round((100 * Math.abs(by)) / from)}%`;
  const word = better && t(better === "good" ? "compare.better" : "compare.worse");
  return html`<td class="number ${better}">${told}${word && html` <span class="small">${word}</span>`}</td>`;
}
