// Use of tokens and money over time: what a namespace's ledger holds, by hour or by day.
import { useData } from "../data.js";
import { source } from "../source.js";
import { html, useEffect, useMemo, useState } from "../ui.js";
import { t, tn } from "../words.js";
import { Figure } from "./figure.js";
import { cost, number, price, share, short, time } from "./format.js";
import { Empty, unready } from "./states.js";

const STEP = { hour: 3_600_000, day: 86_400_000 };
const AGAIN = 400; // milliseconds until it is asked how far a long ledger is read
const MOST = 400; // columns, empty ones included
const SPANS = { hour: 2 * STEP.day, day: 30 * STEP.day };

export function UsageFigures({ namespace }) {
  const [by, setBy] = useState("day");
  const since = useMemo(() => new Date(Math.floor(Date.now() / STEP.hour) * STEP.hour - SPANS[by]).toISOString(), [by]);
  const answer = useData("/v1/view/usage", { namespace, by, since: source.readonly ? null : since });
  useEffect(() => {
    if (answer.data?.whole !== false || answer.loading) return undefined;
    const timer = setTimeout(answer.reload, AGAIN);
    return () => clearTimeout(timer);
  }, [answer.data, answer.loading]);
  const buckets = useMemo(() => filled(answer.data?.buckets ?? [], STEP[by]), [answer.data]);
  return html`<section class="stack">
    <div class="row">
      <span class="segments" role="group" aria-label=${t("usage.by")}>
        ${Object.keys(STEP).map((one) => html`<button aria-pressed=${String(one === by)} onClick=${() => setBy(one)}>${t(`usage.${one}`)}</button>`)}
      </span>
      <span class="dim small">${source.readonly ? "" : t(`usage.span_${by}`)}${answer.data?.whole === false && ` · ${t("usage.reading")}`}</span>
    </div>
    ${unready(answer) ?? (buckets.length
      ? html`<${Totals} buckets=${buckets} /><${Charts} buckets=${buckets} by=${by} />`
      : html`<${Empty}>${t("usage.none")}<//>`)}
  </section>`;
}

// The buckets with those between them in which nothing was used.
export function filled(buckets, step) {
  const found = [];
  for (const bucket of buckets) {
    const at = new Date(bucket.at).getTime();
    const before = found.length ? new Date(found[found.length - 1].at).getTime() : at;
    for (let gap = before + step; gap < at - step / 2 && found.length < MOST; gap += step) {
      found.push({ at: new Date(gap).toISOString(), input: 0, output: 0, cached: 0, cost: 0, calls: 0 });
    }
    found.push(bucket);
  }
  return found.slice(-MOST);
}

const sum = (buckets, field) => buckets.reduce((all, one) => all + (one[field] ?? 0), 0);

function Totals({ buckets }) {
  return html`<dl class="totals">
    <div><dt>${t("charts.calls")}</dt><dd>${number(sum(buckets, "calls"))}</dd></div>
    <div><dt>${t("charts.input")}</dt><dd>${short(sum(buckets, "input"))}</dd></div>
    <div><dt>${t("charts.output")}</dt><dd>${short(sum(buckets, "output"))}</dd></div>
    <div><dt>${t("charts.cached_share")}</dt><dd>${share(sum(buckets, "cached"), sum(buckets, "input"))}</dd></div>
    <div><dt>${t("charts.cost")}</dt><dd>${cost(sum(buckets, "cost"))}</dd></div>
  </dl>`;
}

function Charts({ buckets, by }) {
  const x = useMemo(() => buckets.map((_, index) => index), [buckets]);
  const name = (index, brief = false) => {
    const told = time(buckets[index].at, { seconds: false });
    if (by === "day") return brief ? told.slice(5, 10) : told.slice(0, 10);
    return brief ? told.slice(11) : told;
  };
  const column = (field) => buckets.map((one) => one[field] ?? 0);
  const fresh = buckets.map((one) => Math.max(0, (one.input ?? 0) - (one.cached ?? 0)));
  const shares = buckets.map((one) => (one.input ? (one.cached ?? 0) / one.input : null));
  const tokens = [
    { key: "cached", label: t("charts.cached"), values: column("cached"), tone: "kept", pattern: "rising", text: short },
    { key: "fresh", label: t("charts.fresh"), values: fresh, tone: "system", pattern: "solid", text: short },
    { key: "output", label: t("charts.output"), values: column("output"), tone: "assistant", pattern: "dots", text: short },
  ];
  const money = [
    { key: "cost", label: t("charts.cost"), values: column("cost"), tone: "cut", pattern: "solid", text: cost, axis: price },
    { key: "share", label: t("charts.cached_share"), values: shares, tone: "kept", line: true, share: true, text: percent },
  ];
  const say = (index) => `${name(index)}: ${tn("tokens", (buckets[index].input ?? 0) + (buckets[index].output ?? 0))}, ${cost(buckets[index].cost)}`;
  const shared = { x, name, say, head: t(`usage.${by}`) };
  return html`<div class="figures">
    <${Figure} title=${t("usage.tokens_title")} plot=${{ ...shared, series: tokens, stacked: true }} />
    <${Figure} title=${t("usage.cost_title")} plot=${{ ...shared, series: money }} />
  </div>`;
}

export function percent(value) {
  return value == null ? "–" : `${Math.round(100 * value)}%`;
}
