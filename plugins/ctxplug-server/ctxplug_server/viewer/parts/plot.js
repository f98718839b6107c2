// Plot: a chart by uPlot that takes its colours from the page and can be read with the keyboard.
import { html, useEffect, useRef, useState } from "../ui.js";
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { colourOf } from "./colour.js";
import { patternFill } from "./patterns.js";

const BARS = 160; // points up to which each has a bar of its own

// Draw `series` ({key, label, values, tone, pattern, text(value)}) over `x`. `stacked` piles them
// up; those with `line` are lines, on the axis of the bars or, with `share`, on one of 0 to 1;
// `axis(value)` is the text of a tick where that is another, `incrs` are the distances of ticks. `say(index)` is the sentence of a
// point, `name(index)` its short name, `beside(index)` what stands behind its values; `marks`
// ({index: text}) are lines across the chart.
export function Plot({ x, series, label, say, name, stacked = false, height = 220, beside, marks = {} }) {
  const place = useRef(null);
  const plot = useRef(null);
  const [index, setIndex] = useState(null);
  const theme = useTheme();
  const keys = series.map((one) => one.label).join("\n");
  const shown = index === null || index >= x.length ? x.length - 1 : index;
  useEffect(() => {
    const given = { x, series, name, stacked, height, marks, onPoint: setIndex };
    plot.current = new uPlot(options(place.current, given), columns(given), place.current);
    const resize = new ResizeObserver(() => fit(plot.current, place.current, height));
    resize.observe(place.current);
    return () => {
      resize.disconnect();
      plot.current.destroy();
    };
  }, [theme, keys, stacked, x, height]);
  const move = (event) => {
    const to = moved(event.key, shown, x.length);
    if (to === null) return;
    event.preventDefault();
    setIndex(to);
    point(plot.current, to);
  };
  return html`<div class="plot">
    <div class="plot-canvas" ref=${place} role="slider" tabindex="0" aria-label=${label}
      aria-valuemin="1" aria-valuemax=${x.length} aria-valuenow=${shown + 1}
      aria-valuetext=${say(shown)} onKeyDown=${move}></div>
    <div class="plot-readout">
      <strong class="plot-point">${name(shown)}</strong>
      ${series.map((one) => html`<${Value} one=${one} value=${one.values[shown]} />`)}
      ${beside?.(shown)}
    </div>
  </div>`;
}

function Value({ one, value }) {
  const kind = one.line ? (one.dash ? "dashed" : "line") : one.pattern;
  return html`<span class="plot-value">
    <span class="swatch tone-${one.tone} pattern-${kind}" aria-hidden="true"></span>
    ${one.label} <b>${value === null || value === undefined ? "–" : one.text(value)}</b>
  </span>`;
}

// Return a number that changes when the colours of the page do.
function useTheme() {
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const changed = () => setTheme((count) => count + 1);
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    const watch = new MutationObserver(changed);
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
    media.addEventListener("change", changed);
    return () => {
      watch.disconnect();
      media.removeEventListener("change", changed);
    };
  }, []);
  return theme;
}

function moved(key, from, count) {
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  return key in steps ? Math.max(0, Math.min(count - 1, from + steps[key])) : null;
}

function point(plot, index) {
  plot.setCursor({ left: plot.valToPos(plot.data[0][index], "x"), top: plot.bbox.height / 4 });
}

function fit(plot, place, height) {
  const width = Math.max(160, Math.floor(place.clientWidth));
  if (plot.width !== width) plot.setSize({ width, height });
}

// Return uPlot's columns: piled up, the tallest first, so that the lower ones are drawn over it.
function columns({ x, series, stacked }) {
  const lines = series.filter((one) => one.line).map((one) => one.values);
  const bars = series.filter((one) => !one.line);
  if (!stacked) return [x, ...bars.map((one) => one.values), ...lines];
  const sums = new Array(x.length).fill(0);
  const piled = bars.map((one) => one.values.map((value, i) => (sums[i] += value ?? 0)));
  return [x, ...piled.reverse(), ...lines];
}

function options(place, { x, series, name, stacked, height, marks, onPoint }) {
  const bars = series.filter((one) => !one.line);
  const ordered = stacked ? [...bars].reverse() : bars;
  const lines = series.filter((one) => one.line);
  const shares = lines.filter((one) => one.share);
  const measured = ordered[0] ?? lines[0];
  const axis = { stroke: colourOf("dim"), font: `11px ${getComputedStyle(place).fontFamily}`, ticks: { show: false } };
  const grid = { stroke: colourOf("line"), width: 1 };
  return {
    width: Math.max(160, Math.floor(place.clientWidth)),
    height,
    padding: [12, shares.length ? 0 : 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: !stacked && !bars.length } },
    scales: {
      x: { time: false, range: () => [x[0] - 0.5, x[x.length - 1] + 0.5] },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] },
      share: { range: () => [0, 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 28, space: 56, incrs: WHOLE, values: (_, at) => at.map((v) => named(v, x, name)) },
      { ...axis, grid, size: 52, ...(measured.incrs && { incrs: measured.incrs }), values: (_, at) => at.map(measured.axis ?? measured.text) },
      ...(shares.length ? [{ ...axis, scale: "share", side: 1, grid: { show: false }, size: 44, values: (_, at) => at.map((v) => shares[0].text(v)) }] : []),
    ],
    series: [
      {},
      ...ordered.map((one) => barSeries(one, x.length)),
      ...lines.map((one) => lineSeries(one, x.length)),
    ],
    hooks: {
      setCursor: [(plot) => plot.cursor.idx != null && onPoint(plot.cursor.idx)],
      draw: [(plot) => drawMarks(plot, Object.keys(marks))],
    },
  };
}

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

// A dashed line, with a wedge at its top, at each of the points `indexes`.
function drawMarks({ ctx, bbox, data, valToPos }, indexes) {
  if (!indexes.length) return;
  const scale = window.devicePixelRatio || 1;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colourOf("cut");
  ctx.lineWidth = scale;
  for (const index of indexes) {
    const left = Math.round(valToPos(data[0][index] - 0.5, "x", true));
    ctx.setLineDash([3 * scale, 3 * scale]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(left - 4 * scale, bbox.top - 7 * scale);
    ctx.lineTo(left + 4 * scale, bbox.top - 7 * scale);
    ctx.lineTo(left, bbox.top);
    ctx.fill();
  }
  ctx.restore();
}

function named(value, x, name) {
  const index = x.indexOf(value);
  return index < 0 ? "" : name(index, true);
}

function barSeries(one, count) {
  const fill = (plot) => patternFill(plot.ctx, colourOf(one.tone), one.pattern, colourOf("bg"));
  const paths = count <= BARS
    ? uPlot.paths.bars({ size: [0.8, 36], align: 0 })
    : uPlot.paths.stepped({ align: 0 });
  return { label: one.label, fill, stroke: colourOf("bg"), width: count <= BARS ? 0.5 : 0, paths, points: { show: false } };
}

function lineSeries(one, count) {
  return {
    label: one.label,
    scale: one.share ? "share" : "y",
    stroke: colourOf(one.tone),
    width: 2,
    dash: one.dash,
    spanGaps: true,
    points: { show: one.share && count <= 60, size: 5, fill: colourOf("bg") },
  };
}
