// Columns: one for each turn, as high as its window; of many turns one for several.
import { html, useEffect, useRef, useState } from "../ui.js";
import { t } from "../words.js";

const HEIGHT = 40;
const NARROWEST = 3; // pixels of a column

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

function path(bins, step, top, test) {
  const gap = step > 4 ? 1 : 0;
  return bins
    .map((bin, at) => {
      if (!test(bin) || !bin.tokens) return "";
      const height = Math.max(1, (HEIGHT * bin.tokens) / top);
      return `M${(at * step).toFixed(2)} ${HEIGHT}v${-height.toFixed(2)}h${(step - gap).toFixed(2)}v${height.toFixed(2)}z`;
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
  const step = bins.length ? width / Math.max(bins.length, 12) : width;
  const top = Math.max(budget || 0, ...bins.map((bin) => bin.tokens), 1);
  const here = (bin) => bin.from <= turn && turn <= bin.to;
  const pick = (event) => {
    const x = event.clientX - box.current.getBoundingClientRect().left;
    const bin = bins[Math.min(bins.length - 1, Math.floor(x / step))];
    if (bin) onTurn(bin.to);
  };
  const limit = budget ? HEIGHT - (HEIGHT * budget) / top + 0.5 : null;
  return html`<div class="columns" ref=${box} onClick=${pick} title=${t("turn.columns")}>
    <svg width=${width} height=${HEIGHT} role="img" aria-label=${t("turn.columns")}>
      <path class="columns-all" d=${path(bins, step, top, (bin) => !here(bin) && !bin.failed)} />
      <path class="columns-failed" d=${path(bins, step, top, (bin) => !here(bin) && bin.failed)} />
      <path class="columns-here" d=${path(bins, step, top, here)} />
      ${limit !== null && html`<line class="columns-limit" x1="0" x2=${width} y1=${limit} y2=${limit} />`}
    </svg>
  </div>`;
}
