// How long requests and the verbs of memories take: percentiles of the last 15 minutes.
import { duration, number } from "../parts/format.js";
import { Empty } from "../parts/states.js";
import { html, useState } from "../ui.js";
import { has, t } from "../words.js";

const QUANTILES = ["p50", "p90", "p95", "p99", "highest"];
const ROOMY = new Set(["p90", "highest"]); // left out on a narrow screen
const FEW = 12; // routes that are shown before all are asked for

export function Latencies({ told }) {
  const [all, setAll] = useState(false);
  const routes = [...told.requests.routes].sort((a, b) => (b.count ?? 0) - (a.count ?? 0) || b.all - a.all);
  const verbs = Object.entries(told.verbs).map(([verb, figures]) => ({ ...figures, name: has(`verb.${verb}`) ? t(`verb.${verb}`) : verb }));
  const shown = (all ? routes : routes.slice(0, FEW)).map((one) => ({ ...one, name: `${one.method} ${one.route}`, code: true }));
  return html`<section><h2>${t("monitoring.latency")}</h2>
    <p class="dim small">${t("monitoring.latency_note")}</p>
    <${Rows} title=${t("monitoring.verbs")} rows=${verbs} />
    ${shown.length ? html`<${Rows} title=${t("monitoring.routes")} rows=${shown} errors />` : html`<${Empty}>${t("monitoring.no_requests")}<//>`}
    ${!all && routes.length > FEW && html`<button onClick=${() => setAll(true)}>${t("monitoring.all_routes", { count: routes.length })}</button>`}
  </section>`;
}

function Rows({ title, rows, errors = false }) {
  const most = Math.max(...rows.map((one) => one.p95 ?? 0), 0.000001);
  return html`<div class="scroll-x" tabindex="0" role="group" aria-label=${title}>
    <table class="table latencies">
      <thead><tr><th scope="col">${title}</th><th scope="col" class="number">${t("monitoring.count")}</th>
        ${errors && html`<th scope="col" class="number">${t("monitoring.errors_short")}</th>`}
        ${QUANTILES.map((one) => html`<th scope="col" class=${`number ${ROOMY.has(one) ? "wide-only" : ""}`}>${t(`monitoring.${one}`)}</th>`)}<td class="wide-only"></td></tr></thead>
      <tbody>${rows.map((one) => html`<tr key=${one.name}>
        <th scope="row" class=${one.code ? "mono route" : ""}>${one.name}</th>
        <td class="number">${number(one.count)}</td>
        ${errors && html`<td class="number ${one.server_errors ? "bad" : ""}">${number(one.client_errors + one.server_errors)}</td>`}
        ${QUANTILES.map((name) => html`<td class=${`number ${ROOMY.has(name) ? "wide-only" : ""}`}>${duration(one[name])}</td>`)}
        <td class="wide-only latency-track">${one.p95 != null && html`<span class="latency-bar" style=${{ width: `${(100 * (one.p95 ?? 0)) / most}%` }}></span>`}</td>
      </tr>`)}</tbody>
    </table></div>`;
}
