// Two policies on one session: what each would have sent, call by call, and what it would cost.
import { Figure } from "../parts/figure.js";
import { number, short } from "../parts/format.js";
import { pendingOf, usePending } from "../parts/pending.js";
import { Empty } from "../parts/states.js";
import { sessionHref, setQuery } from "../router.js";
import { source } from "../source.js";
import { html, useMemo, useState } from "../ui.js";
import { name as named, t, tn } from "../words.js";
import { CompareTotals } from "./compare_totals.js";
import { DifferingCalls } from "./compare_calls.js";

const POLICIES = ["conservative", "balanced", "aggressive"];

export function CompareView({ route, overview, base, params }) {
  const { a, b, budget } = route.query;
  const chosen = POLICIES.includes(a) && POLICIES.includes(b) && a !== b;
  const [first, second] = chosen ? [a, b] : defaults(overview);
  const run = chosen || source.readonly;
  return html`<div class="compare stack">
    ${!source.readonly && html`<${Choose} first=${first} second=${second} budget=${budget} overview=${overview} />`}
    ${run
      ? html`<${Result} key=${`${first} ${second} ${budget}`} policies=${[first, second]} budget=${budget}
          route=${route} base=${base} params=${params} />`
      : html`<${Empty}><p>${t("compare.choose")}</p><p>${t("compare.safe")}</p><//>`}
  </div>`;
}

function defaults({ policy }) {
  const first = POLICIES.includes(policy) ? policy : "balanced";
  return [first, first === "aggressive" ? "balanced" : "aggressive"];
}

function Choose({ first, second, budget, overview }) {
  const [problem, setProblem] = useState("");
  const run = (event) => {
    event.preventDefault();
    const { a, b, budget: tokens } = Object.fromEntries(new FormData(event.target));
    setProblem(a === b ? t("compare.same_policy") : "");
    if (a !== b) setQuery({ a, b, budget: tokens || null });
  };
  return html`<form class="row compare-form" onSubmit=${run}>
    <${Policy} field="a" label=${t("compare.first")} value=${first} />
    <${Policy} field="b" label=${t("compare.second")} value=${second} />
    <label class="field">${t("compare.budget")}
      <input type="number" name="budget" min="1" max="10000000" inputmode="numeric" defaultValue=${budget ?? ""}
        placeholder=${overview.budget ? number(overview.budget) : t("compare.as_was")} /></label>
    <button class="primary" type="submit">${t("compare.run")}</button>
    ${problem && html`<p class="bad" role="alert">${problem}</p>`}
  </form>`;
}

function Policy({ field, label, value }) {
  return html`<label class="field">${label}
    <select name=${field}>${POLICIES.map((one) => html`<option key=${one} value=${one} selected=${one === value}>${named("policy", one)}</option>`)}</select>
  </label>`;
}

function Result({ policies, budget, route, base, params }) {
  const answer = usePending(`${base}/compare`, { ...params, policies: policies.join(","), budget });
  const pending = pendingOf(answer, t("compare.computing"));
  if (pending) return pending;
  const { data } = answer;
  if (!data.policies[0].calls.length) return html`<${Empty}>${t("charts.none")}<//>`;
  return html`
    <p class="dim small">${t(data.recorded ? "compare.recorded" : "compare.played")}</p>
    <${CompareTotals} policies=${data.policies} />
    <${Chart} policies=${data.policies} route=${route} />
    <${DifferingCalls} differing=${data.differing} policies=${data.policies} route=${route} />
    ${data.notes?.length > 0 && html`<ul class="dim small">${data.notes.map((note) => html`<li>${note}</li>`)}</ul>`}`;
}

const LOOKS = [
  { tone: "accent", pattern: "solid" },
  { tone: "cut", pattern: "dots", dash: [7, 4] },
];

function Chart({ policies, route }) {
  const { namespace, session } = route;
  const calls = policies[0].calls;
  const x = useMemo(() => calls.map((one, index) => one.number ?? index + 1), [policies]);
  const series = policies.map((policy, index) => ({
    ...LOOKS[index % LOOKS.length],
    key: policy.name,
    label: named("policy", policy.name),
    values: policy.calls.map((one) => one.tokens),
    line: true,
    text: short,
  }));
  const name = (index, brief = false) => (brief ? String(x[index]) : t("charts.call", { number: number(x[index]) }));
  const say = (index) => [name(index), ...series.map((one) => `${one.label} ${tn("tokens", one.values[index] ?? 0)}`)].join(", ");
  const beside = (index) => html`<span class="plot-beside"><a href=${sessionHref(namespace, session, "conversation", { turn: x[index] })}>${t("charts.open_call")}</a></span>`;
  return html`<${Figure} title=${t("compare.chart")} plot=${{ x, series, name, say, beside, head: t("charts.call_head") }} />`;
}
