// What the analyzer found in a session, the gravest first, with the steps and messages that show it.
import { useHeard } from "../live.js";
import { number } from "../parts/format.js";
import { pendingOf, usePending } from "../parts/pending.js";
import { Empty } from "../parts/states.js";
import { sessionHref, setQuery } from "../router.js";
import { state } from "../store.js";
import { html, useState } from "../ui.js";
import { name, t, tn } from "../words.js";

const SEVERITIES = ["high", "warning", "info"];
const TONES = { high: "bad", warning: "warn", info: "dim" };
const SIGNS = { high: "▲", warning: "◆", info: "○" };
const SAID_IN = "en"; // the language of the analyzer's sentences
const PAGE = 40; // findings that are drawn before more is asked for
const MOST = 12; // links of one finding that are shown before more is asked for

export function FindingsView({ route, base, params }) {
  const answer = usePending(`${base}/findings`, { ...params, lang: state.lang });
  const [most, setMost] = useState(PAGE);
  useHeard(["messages", "steps"], answer.reload);
  const missing = pendingOf(answer, t("findings.computing"));
  if (missing) return missing;
  const all = answer.data.findings;
  const chosen = SEVERITIES.includes(route.query.severity) ? route.query.severity : null;
  const shown = chosen ? all.filter((one) => one.severity === chosen) : all;
  const { notes = [], total = all.length } = answer.data;
  return html`<div class="findings stack">
    ${all.length > 0 && state.lang !== SAID_IN && html`<p class="dim small">${t("findings.english")}</p>`}
    ${all.length > 0 && html`<${Severities} all=${all} chosen=${chosen} />`}
    ${shown.length
      ? html`<ol class="findings-list">${shown.slice(0, most).map((one, index) => html`<${Finding} key=${`${one.kind} ${index}`} one=${one} route=${route} />`)}</ol>`
      : html`<${Empty}>${t("findings.none")}<//>`}
    ${most < shown.length && html`<button onClick=${() => setMost(most + PAGE)}>${tn("findings.more", shown.length - most)}</button>`}
    ${total > all.length && html`<p class="dim small">${t("findings.total", { shown: number(all.length), count: number(total) })}</p>`}
    ${notes.length > 0 && html`<section class="dim small"><h2 class="small">${t("findings.notes")}</h2>
      <ul>${notes.map((note) => html`<li>${note}</li>`)}</ul></section>`}
  </div>`;
}

function Severities({ all, chosen }) {
  const choose = (one) => setQuery({ severity: one === chosen ? null : one });
  return html`<div class="row" role="group" aria-label=${t("findings.severity")}>
    ${SEVERITIES.map((one) => {
      const count = all.filter((finding) => finding.severity === one).length;
      return html`<button aria-pressed=${String(one === chosen)} disabled=${!count} onClick=${() => choose(one)}>
        <span class="tone tone-${TONES[one]}" aria-hidden="true">${SIGNS[one]}</span>
        ${t(`severity.${one}`)} <span class="dim">${number(count)}</span></button>`;
    })}
  </div>`;
}

function Finding({ one, route }) {
  const tone = TONES[one.severity] ?? "dim";
  return html`<li class="finding tone-${tone}">
    <div class="finding-head">
      <span class="badge badge-box tone-${tone}"><span class="sign" aria-hidden="true">${SIGNS[one.severity] ?? "○"}</span>${name("severity", one.severity)}</span>
      <span class="finding-kind dim small">${one.label ?? name("finding", one.kind)}</span>
    </div>
    <h2 lang=${SAID_IN}>${one.summary}</h2>
    <dl class="finding-told">
      ${one.why && html`<dt>${t("findings.why")}</dt><dd lang=${SAID_IN}>${one.why}</dd>`}
      ${one.suggestion && html`<dt>${t("findings.do")}</dt><dd lang=${SAID_IN}>${one.suggestion}</dd>`}
    </dl>
    <${Evidence} one=${one} route=${route} />
  </li>`;
}

function Evidence({ one, route }) {
  const { namespace, session } = route;
  const links = (list, label, tab, query) =>
    (list ?? []).map((each) => ({ key: each, label: label(each), href: sessionHref(namespace, session, tab, query(each)) }));
  return html`
    <${Links} title=${t("findings.steps")} links=${links(one.steps, (id) => id.slice(0, 8), "steps", (step) => ({ step }))} />
    <${Links} title=${t("findings.calls")} links=${links(one.calls, number, "conversation", (turn) => ({ turn }))} />
    <${Links} title=${t("findings.messages")} links=${links(one.versions, (version) => `@${number(version)}`, "conversation", (message) => ({ message }))} />`;
}

function Links({ title, links }) {
  const [all, setAll] = useState(false);
  if (!links.length) return null;
  const shown = all ? links : links.slice(0, MOST);
  return html`<div class="evidence"><h3 class="small dim">${title}</h3><ul>
    ${shown.map((one) => html`<li key=${one.key}><a href=${one.href}>${one.label}</a></li>`)}
    ${shown.length < links.length && html`<li><button class="plain" onClick=${() => setAll(true)}>${tn("findings.more", links.length - shown.length)}</button></li>`}
  </ul></div>`;
}
