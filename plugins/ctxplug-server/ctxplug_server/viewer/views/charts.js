// The charts of a session: tokens by part over its calls, and their cost and cached share.
import { useData } from "../data.js";
import { useHeard } from "../live.js";
import { Figure } from "../parts/figure.js";
import { cost, number, price, share, short, time } from "../parts/format.js";
import { Empty, Loading, unready } from "../parts/states.js";
import { percent, UsageFigures } from "../parts/usage_figures.js";
import { sessionHref, setQuery } from "../router.js";
import { html, useMemo, useState } from "../ui.js";
import { name as named, t, tn } from "../words.js";

const SHOWN = 300; // calls at a time
const PARTS = {
  tools: ["tools", "upright"],
  system: ["system", "solid"],
  sections: ["sections", "grid"],
  cut: ["cut", "rising"],
  past: ["past", "solid"],
  messages: ["past", "solid"],
  now: ["now", "level"],
  recalled: ["recalled", "falling"],
  reserved: ["reserved", "cross"],
};

export function ChartsView({ route, overview, base, params }) {
  const of = route.query.of === "namespace" ? "namespace" : "session";
  return html`<div class="charts stack">
    <div class="segments" role="group" aria-label=${t("charts.of")}>
      ${["session", "namespace"].map((one) => html`<button aria-pressed=${String(one === of)}
        onClick=${() => setQuery({ of: one === "session" ? null : one })}>${t(`charts.of_${one}`)}</button>`)}
    </div>
    ${of === "namespace"
      ? html`<${UsageFigures} namespace=${params.namespace} />`
      : html`<${SessionCharts} route=${route} overview=${overview} base=${base} params=${params} />`}
  </div>`;
}

function SessionCharts({ route, overview, base, params }) {
  const [from, setFrom] = useState(null);
  const start = from ?? Math.max(0, (overview.calls ?? 0) - SHOWN);
  const path = overview.whole === false ? null : `${base}/calls`; // its end is not known yet
  const answer = useData(path, { ...params, start, limit: SHOWN });
  useHeard(["messages", "steps"], answer.reload);
  const missing = path ? unready(answer) : html`<${Loading} />`;
  if (missing) return missing;
  const { items, total } = answer.data;
  if (!items.length) return html`<${Empty}>${t("charts.none")}<//>`;
  return html`
    <${Range} start=${start} count=${items.length} total=${total} setFrom=${setFrom} />
    <${Totals} calls=${items} />
    <${Charts} calls=${items} route=${route} />`;
}

function Range({ start, count, total, setFrom }) {
  if (total <= count) return null;
  return html`<div class="row">
    <button disabled=${start === 0} onClick=${() => setFrom(Math.max(0, start - SHOWN))}>${t("charts.older")}</button>
    <span role="status">${t("charts.range", { first: number(start + 1), last: number(start + count), total: number(total) })}</span>
    <button disabled=${start + count >= total} onClick=${() => setFrom(Math.min(total - SHOWN, start + SHOWN))}>${t("charts.newer")}</button>
  </div>`;
}

const sum = (calls, field) => calls.reduce((all, one) => all + (one[field] ?? 0), 0);
const known = (calls, field) => calls.some((one) => one[field] != null);

function Totals({ calls }) {
  const used = known(calls, "input");
  const figures = [
    ["calls", number(calls.length)],
    ["input", used ? short(sum(calls, "input")) : short(sum(calls, "tokens"))],
    ["output", known(calls, "output") ? short(sum(calls, "output")) : null],
    ["cached_share", used ? share(sum(calls, "cached"), sum(calls, "input")) : null],
    ["cost", known(calls, "cost") ? cost(sum(calls, "cost")) : null],
    ["errors", calls.some((one) => one.error) ? number(calls.filter((one) => one.error).length) : null],
  ];
  return html`<dl class="totals">${figures.filter(([, value]) => value !== null).map(
    ([field, value]) => html`<div><dt>${t(`charts.${field}`)}</dt><dd>${value}</dd></div>`,
  )}</dl>`;
}

function Charts({ calls, route }) {
  const shared = useShared(calls, route);
  const parts = partSeries(calls);
  const spent = spentSeries(calls);
  const marks = useMemo(() => compactions(calls), [calls]);
  const note = Object.keys(marks).length ? t("charts.compaction_note") : null;
  return html`<div class="figures">
    <${Figure} title=${t("charts.tokens_title")} note=${note} plot=${{ ...shared, series: parts, stacked: true, marks, height: 260 }} />
    ${spent.length > 0 && html`<${Figure} title=${t("charts.cost_title")} plot=${{ ...shared, series: spent }} />`}
    ${known(calls, "duration") && html`<${Figure} title=${t("charts.time_title")} plot=${{ ...shared, series: [durations(calls)] }} />`}
  </div>`;
}

// What all charts of a session share: the axis of calls, their names, and the way to each.
function useShared(calls, { namespace, session }) {
  const x = useMemo(() => calls.map((one) => one.number), [calls]);
  const name = (index, brief = false) => (brief ? String(x[index]) : t("charts.call", { number: number(x[index]) }));
  const say = (index) => {
    const one = calls[index];
    const told = [name(index), one.tokens != null && tn("tokens", one.tokens), one.cost != null && cost(one.cost), one.error];
    return told.filter(Boolean).join(", ");
  };
  const beside = (index) => html`<span class="plot-beside">
    ${calls[index].error && html`<span class="bad">${calls[index].error}</span>`}
    <time class="dim">${time(calls[index].at)}</time>
    <a href=${sessionHref(namespace, session, "conversation", { turn: x[index] })}>${t("charts.open_call")}</a>
  </span>`;
  return { x, name, say, beside, head: t("charts.call_head") };
}

function partSeries(calls) {
  const there = Object.keys(PARTS).filter((part) => calls.some((one) => one.parts?.[part]));
  const bare = calls.map((one) => (one.parts ? null : one.tokens));
  const series = there.map((part) => ({
    key: part,
    label: named("part", part),
    values: calls.map((one) => (one.parts ? one.parts[part] ?? 0 : null)),
    tone: PARTS[part][0],
    pattern: PARTS[part][1],
    text: short,
  }));
  if (bare.some((tokens) => tokens != null)) {
    series.push({ key: "whole", label: t("charts.whole"), values: bare, tone: "unknown", pattern: "solid", text: short });
  }
  if (known(calls, "budget")) {
    const budgets = calls.map((one) => one.budget ?? null);
    series.push({ key: "budget", label: t("charts.budget"), values: budgets, tone: "bad", line: true, dash: [6, 4], text: short });
  }
  return series;
}

function spentSeries(calls) {
  const series = [];
  if (known(calls, "cost")) {
    const values = calls.map((one) => one.cost);
    series.push({ key: "cost", label: t("charts.cost"), values, tone: "cut", pattern: "solid", text: cost, axis: price });
  } else if (known(calls, "output")) {
    const values = calls.map((one) => one.output);
    series.push({ key: "output", label: t("charts.output"), values, tone: "assistant", pattern: "dots", text: short });
  }
  if (known(calls, "cached")) {
    const values = calls.map((one) => (one.input ? (one.cached ?? 0) / one.input : null));
    series.push({ key: "share", label: t("charts.cached_share"), values, tone: "kept", line: true, share: true, text: percent });
  }
  return series;
}

function durations(calls) {
  const values = calls.map((one) => one.duration);
  const text = (seconds) => t("seconds", { count: seconds < 10 ? Math.round(10 * seconds) / 10 : Math.round(seconds) });
  return { key: "duration", label: t("charts.duration"), values, tone: "answer", pattern: "level", text };
}

// The calls before which a compaction was done.
function compactions(calls) {
  const marks = {};
  let before = null;
  calls.forEach((one, index) => {
    if (one.compactions == null) return;
    if (before !== null && one.compactions > before) marks[index] = String(one.compactions);
    before = one.compactions;
  });
  return marks;
}
