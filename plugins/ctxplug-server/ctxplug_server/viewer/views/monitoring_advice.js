// Advice: what to change in how an agent uses its memory, in words, with the evidence.
import { useData } from "../data.js";
import { number, time } from "../parts/format.js";
import { Empty, Failed, Loading } from "../parts/states.js";
import { href, sessionHref } from "../router.js";
import { state } from "../store.js";
import { html } from "../ui.js";
import { name, t } from "../words.js";

const TONES = { high: ["bad", "▲"], warning: ["warn", "◆"], info: ["dim", "○"] };
const MOST = 8; // links of one kind

export function Advice({ namespace }) {
  const answer = useData("/v1/advice", { namespace, lang: state.lang });
  if (answer.error) return html`<${Failed} error=${answer.error} retry=${answer.reload} />`;
  if (!answer.data) return html`<${Loading} text=${t("advice.reading")} />`;
  const { advice, notes, sessions, records, at } = answer.data;
  return html`<section><h3>${t("advice.title")}</h3>
    <p class="dim small">${t("advice.basis", { sessions: number(sessions), records: number(records), at: time(at, { seconds: false }) })}</p>
    ${advice.length
      ? html`<ul>${advice.map((tip, index) => html`<${Tip} key=${index} tip=${tip} namespace=${namespace} />`)}</ul>`
      : html`<${Empty}>${t("advice.none")}<//>`}
    ${notes?.length > 0 && html`<ul class="dim small">${notes.map((note) => html`<li>${note}</li>`)}</ul>`}
  </section>`;
}

function Tip({ tip, namespace }) {
  const [tone, sign] = TONES[tip.severity] ?? TONES.info;
  const steps = tip.sessions.length === 1 ? tip.steps : []; // else nobody says of which session
  return html`<li class="advice tone-${tone}">
    <span class="badge badge-box tone-${tone}"><span class="sign" aria-hidden="true">${sign}</span>${name("severity", tip.severity)}</span>
    <h4>${tip.title}</h4>
    <dl class="finding-told">
      ${["seen", "why", "change", "saves"].filter((field) => tip[field]).map((field) => html`<dt>${t(`advice.${field}`)}</dt><dd>${tip[field]}</dd>`)}
      ${tip.setting && html`<dt>${t("advice.setting")}</dt><dd><code>${tip.setting}</code></dd>`}
    </dl>
    <${Links} title=${t("nav.sessions")} ids=${tip.sessions} to=${(id) => sessionHref(namespace, id, "charts")} />
    <${Links} title=${t("findings.steps")} ids=${steps} short to=${(step) => sessionHref(namespace, tip.sessions[0], "steps", { step })} />
    <${Links} title=${t("nav.memories")} ids=${tip.records} short to=${(id) => href("memories", { namespace, id })} />
  </li>`;
}

function Links({ title, ids, to, short = false }) {
  if (!ids.length) return null;
  return html`<div class="evidence"><h5 class="small dim">${title}</h5><ul>
    ${ids.slice(0, MOST).map((id) => html`<li key=${id}><a href=${to(id)}>${short ? id.slice(0, 8) : id}</a></li>`)}
    ${ids.length > MOST && html`<li class="dim">${t("findings.more", { count: ids.length - MOST })}</li>`}
  </ul></div>`;
}
