// The server and its memories: how quick it answers, how namespaces grow, the process, and advice.
import { useData } from "../data.js";
import { duration, number } from "../parts/format.js";
import { unready } from "../parts/states.js";
import { UsageFigures } from "../parts/usage_figures.js";
import { setQuery } from "../router.js";
import { state } from "../store.js";
import { html, useEffect } from "../ui.js";
import { t } from "../words.js";
import { Advice } from "./monitoring_advice.js";
import { Growth, Process, size } from "./monitoring_growth.js";
import { Latencies } from "./monitoring_latency.js";

const AGAIN = 15_000; // milliseconds until it is read again

export function MonitoringView({ route }) {
  const answer = useData("/v1/monitoring", { lang: state.lang });
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && answer.reload(), AGAIN);
    return () => clearInterval(timer);
  }, []);
  const missing = unready(answer);
  const told = answer.data;
  return html`<div class="view-head"><h1 tabindex="-1">${t("nav.monitoring")}</h1>
      <button onClick=${answer.reload}>${t("monitoring.reload")}</button></div>
    ${missing ?? html`<div class="monitoring stack">
      ${told.requests ? html`<${Totals} told=${told} /><${Latencies} told=${told} />`
        : html`<p class="dim">${t("monitoring.not_owner")}</p>`}
      ${told.process && html`<${Process} process=${told.process} at=${told.at} />`}
      <${Growth} told=${told} />
      <${OfNamespace} told=${told} query=${route.query} />
    </div>`}`;
}

function Totals({ told }) {
  const routes = told.requests.routes;
  const sum = (field) => routes.reduce((all, one) => all + (one[field] ?? 0), 0);
  const figures = [
    ["uptime", duration(told.uptime_seconds)],
    ["requests", number(sum("all"))],
    ["in_flight", `${number(told.requests.in_flight)} / ${number(told.requests.waiting)}`],
    ["errors", `${number(sum("client_errors"))} / ${number(sum("server_errors"))}`],
    ["readers", number(told.live?.subscribers)],
    ["memories_open", number(told.memories_open)],
    ["store", size(told.store_bytes)],
  ];
  return html`<dl class="totals">${figures.map(([name, value]) => html`<div><dt>${t(`monitoring.${name}`)}</dt><dd>${value}</dd></div>`)}</dl>`;
}

// What is of one namespace: its use over time, and what to change.
function OfNamespace({ told, query }) {
  const names = told.namespaces.map((one) => one.namespace);
  if (!names.length) return null;
  const chosen = names.includes(query.namespace) ? query.namespace : names[0];
  return html`<section class="stack" aria-labelledby="of-namespace">
    <div class="view-head"><h2 id="of-namespace">${t("monitoring.of_namespace")}</h2>
      <select aria-label=${t("sessions.namespace")} value=${chosen} onChange=${(event) => setQuery({ namespace: event.target.value })}>
        ${names.map((one) => html`<option key=${one} value=${one} selected=${one === chosen}>${one}</option>`)}
      </select></div>
    <${Advice} key=${`advice ${chosen}`} namespace=${chosen} />
    <${UsageFigures} key=${`usage ${chosen}`} namespace=${chosen} />
  </section>`;
}
