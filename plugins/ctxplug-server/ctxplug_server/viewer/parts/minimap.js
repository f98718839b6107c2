// The whole conversation as a strip: what became of each message, and which part is on the screen.
import { html, useRef } from "../ui.js";
import { t } from "../words.js";
import { toneOf, widthOf } from "./fates.js";

const WIDE = 24;

// `runs` are [first, last, fate, form, row, count] of `total` rows; `part` is {from, to} in rows.
// A pointer picks a row; the keyboard has the list itself, so the strip is hidden from it.
export function Minimap({ runs, total, part, head, onPick }) {
  const strip = useRef(null);
  const pick = (event) => {
    if (event.type === "pointermove" && !(event.buttons & 1)) return;
    const box = strip.current.getBoundingClientRect();
    if (event.type === "pointerdown") strip.current.setPointerCapture(event.pointerId);
    const at = Math.max(0, Math.min(0.9999, (event.clientY - box.top) / box.height));
    onPick(Math.floor(at * total));
  };
  const ends = runs.map((run, at) => runs[at + 1]?.[4] ?? total);
  return html`<div class="minimap" aria-hidden="true" title=${t("minimap")} ref=${strip}
    onPointerDown=${pick} onPointerMove=${pick}>
    <svg viewBox=${`0 0 ${WIDE} ${Math.max(1, total)}`} preserveAspectRatio="none">
      ${runs.map((run, at) => html`<rect key=${run[0]} class=${`tone-${toneOf(run[2])}`} x="0" y=${run[4]}
        width=${WIDE * widthOf(run[2])} height=${ends[at] - run[4]} />`)}
    </svg>
    ${total > 0 && html`<span class="minimap-head" style=${{ top: `${(100 * head) / total}%` }}></span>`}
    ${total > 0 && part && html`<span class="minimap-part" style=${{
      top: `${(100 * part.from) / total}%`,
      height: `${Math.max(1, (100 * (part.to - part.from)) / total)}%`,
    }}></span>`}
  </div>`;
}
