// The parts of a score as bars with their numbers: what spoke for it, and what against it.
import { html } from "../ui.js";
import { has, t } from "../words.js";

const SMALLEST = 0.005; // what rounds to nothing is not shown

export function WhyBars({ score, why }) {
  const parts = Object.entries(why ?? {})
    .filter(([, value]) => Math.abs(value) >= SMALLEST)
    .sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  const most = Math.max(...parts.map(([, value]) => Math.abs(value)), SMALLEST);
  return html`<table class="why-bars">
    <caption>${t("memories.why")}</caption>
    <thead><tr><th scope="col">${t("why.part")}</th><th scope="col" class="number">${t("why.value")}</th>
      <td></td><th scope="col" class="wide-only">${t("why.meaning")}</th></tr></thead>
    <tbody>${parts.map(([name, value]) => html`<${Bar} name=${name} value=${value} most=${most} />`)}</tbody>
    <tfoot><tr><th scope="row">${t("score")}</th><td class="number strong">${score.toFixed(2)}</td>
      <td colspan="2"></td></tr></tfoot>
  </table>`;
}

function Bar({ name, value, most }) {
  const width = `${Math.max(2, (100 * Math.abs(value)) / most)}%`;
  const told = has(`score.${name}`) ? t(`score.${name}`) : "";
  return html`<tr title=${told}>
    <th scope="row">${has(`score.${name}.name`) ? t(`score.${name}.name`) : name}</th>
    <td class="number">${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}</td>
    <td class="why-track"><span class=${value > 0 ? "why-bar" : "why-bar against"} style=${{ width }}></span></td>
    <td class="dim small wide-only">${told}</td>
  </tr>`;
}
