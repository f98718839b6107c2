// What grows: the memory of the process, with what is suspected of it, and what namespaces hold.
import { Figure } from "../parts/figure.js";
import { number, short, time } from "../parts/format.js";
import { Empty } from "../parts/states.js";
import { href } from "../router.js";
import { html, useMemo } from "../ui.js";
import { t } from "../words.js";

const BYTES = Array.from({ length: 40 }, (_, power) => 2 ** power);
const UNITS = ["B", "KB", "MB", "GB", "TB"];
const TONES = { suspected: ["bad", "▲"], rising: ["warn", "◆"], steady: ["good", "✓"], too_short: ["dim", "○"] };

// 12.3 MB
export function size(bytes) {
  if (bytes == null) return "–";
  const power = bytes > 0 ? Math.min(UNITS.length - 1, Math.floor(Math.log(bytes) / Math.log(1024))) : 0;
  const value = bytes / 1024 ** power;
  return `${value < 10 && power ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`;
}

export function Process({ process }) {
  const { history, trend } = process;
  const [tone, sign] = TONES[trend.verdict] ?? TONES.too_short;
  const x = useMemo(() => history.map((_, index) => index), [history]);
  const at = (index) => time(new Date(1000 * history[index][0]).toISOString(), { seconds: false });
  const series = [{ key: "rss", label: t("monitoring.resident"), values: history.map(([, bytes]) => bytes), tone: "accent", pattern: "solid", line: true, text: size, incrs: BYTES }];
  return html`<section><h2>${t("monitoring.process")}</h2>
    <p class="tone tone-${tone} verdict"><span aria-hidden="true">${sign}</span> <b>${t(`trend.${trend.verdict}`)}</b> <span class="verdict-said">${process.said}</span></p>
    <dl class="totals">
      <div><dt>${t("monitoring.resident")}</dt><dd>${size(process.resident_bytes)}</dd></div>
      <div><dt>${t("monitoring.cpu")}</dt><dd>${t("seconds", { count: number(Math.round(process.cpu_seconds)) })}</dd></div>
      <div><dt>${t("monitoring.threads")}</dt><dd>${number(process.threads)}</dd></div>
    </dl>
    ${history.length > 1 && html`<${Figure} title=${t("monitoring.resident_chart")} plot=${{
      x, series, head: t("monitoring.time"), height: 160,
      name: (index, brief) => (brief ? at(index).slice(11) : at(index)),
      say: (index) => `${at(index)}: ${size(history[index][1])}`,
    }} />`}
  </section>`;
}

export function Growth({ told }) {
  const { namespaces } = told;
  return html`<section><h2>${t("monitoring.growth")}</h2>
    ${namespaces.length
      ? html`<div class="scroll-x" tabindex="0" role="group" aria-label=${t("monitoring.growth")}><table class="table">
        <thead><tr><th scope="col">${t("sessions.namespace")}</th>
          ${["sessions", "messages", "records"].map((one) => html`<th scope="col" class="number">${t(`monitoring.${one}`)}</th><th scope="col" class="number">${t("monitoring.per_day")}</th>`)}
          <th scope="col" class="number">${t("monitoring.archived")}</th><th scope="col">${t("monitoring.trend")}</th></tr></thead>
        <tbody>${namespaces.map((one) => html`<${Row} key=${one.namespace} one=${one} />`)}</tbody></table></div>`
      : html`<${Empty}>${t("monitoring.no_growth")}<//>`}
    ${told.namespaces_untold > 0 && html`<p class="dim small">${t("monitoring.untold", { count: number(told.namespaces_untold) })}</p>`}
  </section>`;
}

function Row({ one }) {
  const rate = (value) => (value == null ? "–" : `${value > 0 ? "+" : ""}${short(value)}`);
  return html`<tr><th scope="row"><a href=${href("memories", { namespace: one.namespace })}>${one.namespace}</a></th>
    ${["sessions", "messages", "records"].map((name) => html`<td class="number">${number(one[name])}</td><td class="number dim">${rate(one.per_day[name])}</td>`)}
    <td class="number">${size(one.archived_bytes)}</td>
    <td><${Spark} points=${one.history.map(([, messages, records]) => messages + records)} /></td></tr>`;
}

// A small line without numbers: they stand beside it.
function Spark({ points }) {
  if (points.length < 2) return html`<span class="dim" aria-hidden="true">–</span>`;
  const [least, most] = [Math.min(...points), Math.max(...points)];
  const high = (value) => (most > least ? 18 - (16 * (value - least)) / (most - least) : 10);
  const path = points.map((value, index) => `${index ? "L" : "M"}${((80 * index) / (points.length - 1)).toFixed(1)} ${high(value).toFixed(1)}`).join("");
  return html`<svg class="spark" viewBox="0 0 80 20" aria-hidden="true"><path d=${path} /></svg>`;
}
