// Columns: one for each turn, as high as its window; of many turns one for several.
import { html, useEffect, useRef, useState } from "../ui.js";
import { t } from "../words.js";

const HEIGHT = 40;
const NARROWEST = 3; // pixels of a column
const WIDEST = 48;
const THUMB = 16; // pixels of the thumb of a slider, which stays within its ends
const STUB = 6; // how high a turn is that failed before it had a window

// The columns as they fit into `width`: [{from, to, tokens, failed}].
export function binned(columns, width) {
  const most = Math.max(1, Math.floor(width / NARROWEST));
  const each = Math.max(1, Math.ceil(columns.length / most));
  const bins = [];
  for (let from = 0; from < columns.length; from += each) {
    const part = columns.slice(from, from + each);
    bins.push({
      from: from + 1,
      to: from + part.length,
      tokens: Math.max(0, ...part.map((one) => one.tokens || 0)),
      failed: part.some((one) => one.error),
    });
  }
  return bins;
}

// Where columns stand so that each is above the thumb of the slider when that is at its turn:
// {step, wide, left(at), at(x)}.
export function placed(count, width) {
  const way = width - THUMB;
  const step = count > 1 ? way / (count - 1) : way;
  const wide = Math.min(WIDEST, step);
  const left = (at) => Math.max(0, Math.min(width - wide, THUMB / 2 + at * step - wide / 2));
  const at = (x) => Math.max(0, Math.min(count - 1, Math.round((x - THUMB / 2) / step)));
  return { step, wide, left, at };
}

function path(bins, { wide, left }, top, test) {
  const gap = wide > 4 ? 1 : 0;
  return bins
    .map((bin, at) => {
      const height = bin.tokens ? Math.max(1, (HEIGHT * bin.tokens) / top) : bin.failed ? STUB : 0;
      if (!test(bin) || !height) return "";
      return `M${left(at).toFixed(2)} ${HEIGHT}v${-height.toFixed(2)}h${(wide - gap).toFixed(2)}v${height.toFixed(2)}z`;
    })
    .join("");
}

export function Columns({ columns, turn, budget, onTurn }) {
  const box = useRef(null);
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const watch = new ResizeObserver(() => box.current && setWidth(box.current.clientWidth || 600));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const bins = binned(columns, width);
  const places = placed(bins.length, width);
  const top = Math.max(budget || 0, ...bins.map((bin) => bin.tokens), 1);
  const here = (bin) => bin.from <= turn && turn <= bin.to;
  const pick = (event) => {
    const x = event.clientX - box.current.getBoundingClientRect().left;
    const bin = bins[places.at(x)];
    if (bin) onTurn(bin.to);
  };
  const limit = budget ? HEIGHT - (HEIGHT * budget) / top + 0.5 : null;
  return html`<div class="columns" ref=${box} onClick=${pick} title=${t("turn.columns")}>
    <svg width=${width} height=${HEIGHT} role="img" aria-label=${t("turn.columns")}>
      <path class="columns-all" d=${path(bins, places, top, (bin) => !here(bin) && !bin.failed)} />
      <path class="columns-failed" d=${path(bins, places, top, (bin) => !here(bin) && bin.failed)} />
      <path class="columns-here" d=${path(bins, places, top, here)} />
      ${limit !== null && html`<line class="columns-limit" x1="0" x2=${width} y1=${limit} y2=${limit} />`}
    </svg>
  </div>`;
}
