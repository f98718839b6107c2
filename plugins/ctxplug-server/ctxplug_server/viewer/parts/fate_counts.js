// How many messages have which fate: the legend of the list and of the minimap.
import { html } from "../ui.js";
import { counted } from "../runs.js";
import { t } from "../words.js";
import { FATE_ORDER, FateBadge } from "./fates.js";
import { number } from "./format.js";

// `onPick(fate)` goes to the next message of a fate.
export function FateCounts({ runs, onPick }) {
  const counts = counted(runs);
  const fates = [...FATE_ORDER, ...Object.keys(counts).filter((fate) => !FATE_ORDER.includes(fate))];
  return html`<ul class="fate-counts" aria-label=${t("fates")}>
    ${fates.filter((fate) => counts[fate]).map(
      (fate) => html`<li key=${fate}><button class="plain" onClick=${() => onPick(fate)} title=${t("fates.next")}>
        <${FateBadge} fate=${fate} /><span class="number">${number(counts[fate])}</span></button></li>`,
    )}
  </ul>`;
}
