// The calls that differ between two policies: what entered, what left, what has another form.
import { number } from "../parts/format.js";
import { Empty } from "../parts/states.js";
import { href, sessionHref } from "../router.js";
import { html, useState } from "../ui.js";
import { has, name, t, tn } from "../words.js";

const SHOWN = 40; // calls that are listed before more is asked for
const WAYS = { entered: ["good", "+"], left: ["bad", "−"], changed: ["warn", "~"] };

export function DifferingCalls({ differing, policies, route }) {
  const [most, setMost] = useState(SHOWN);
  if (!differing.length) return html`<${Empty}>${t("compare.no_difference")}<//>`;
  return html`<section><h2>${tn("compare.differing", differing.length, { of: number(policies[0].calls.length) })}</h2>
    <p class="dim small">${t("compare.reading", { first: name("policy", policies[0].name), last: name("policy", policies[policies.length - 1].name) })}</p>
    <ol class="differing">${differing.slice(0, most).map((one, index) => html`<${Call} key=${index} one=${one} route=${route} />`)}</ol>
    ${most < differing.length && html`<button onClick=${() => setMost(most + SHOWN)}>${t("compare.more")}</button>`}
  </section>`;
}

function Call({ one, route }) {
  const [open, setOpen] = useState(false);
  const [before, after] = one.tokens;
  const to = sessionHref(route.namespace, route.session, "conversation", { turn: one.number });
  return html`<li><details onToggle=${(event) => setOpen(event.target.open)}>
    <summary>
      <strong>${one.number ? t("charts.call", { number: number(one.number) }) : t("compare.unnumbered")}</strong>
      <span class="number">${number(before)} → ${number(after)}</span>
      ${Object.entries(WAYS).map(([way, [tone, sign]]) => one[way] > 0 && html`<span class="tone tone-${tone} small">${sign}${one[way]} ${t(`compare.${way}`)}</span>`)}
      ${one.recalled_in.length + one.recalled_out.length > 0 && html`<span class="tone tone-recalled small">${tn("compare.recalled", one.recalled_in.length + one.recalled_out.length)}</span>`}
    </summary>
    ${open && html`<div class="stack differing-body">
      ${one.number && html`<a href=${to}>${t("charts.open_call")}</a>`}
      ${one.query && html`<p class="small"><span class="dim">${t("compare.query")}</span> ${one.query}</p>`}
      <${Errors} errors=${one.errors} />
      <${Parts} parts=${one.parts} />
      <${Recalled} title=${t("compare.recalled_in")} ids=${one.recalled_in} namespace=${route.namespace} />
      <${Recalled} title=${t("compare.recalled_out")} ids=${one.recalled_out} namespace=${route.namespace} />
      <${Messages} messages=${one.messages} route=${route} number=${one.number} />
    </div>`}
  </details></li>`;
}

function Errors({ errors }) {
  const told = (errors ?? []).filter(Boolean);
  return told.length ? html`<ul class="bad">${told.map((error) => html`<li>${error}</li>`)}</ul>` : null;
}

function Parts({ parts }) {
  const changed = Object.entries(parts ?? {});
  if (!changed.length) return null;
  return html`<ul class="row small">${changed.map(([part, by]) => html`<li>${name("part", part)} <b>${by > 0 ? "+" : "−"}${number(Math.abs(by))}</b></li>`)}</ul>`;
}

function Recalled({ title, ids, namespace }) {
  if (!ids.length) return null;
  return html`<div class="evidence"><h3 class="small dim">${title}</h3><ul>
    ${ids.map((id) => html`<li key=${id}><a href=${href("memories", { namespace, id })}>${id.slice(0, 8)}</a></li>`)}</ul></div>`;
}

function Messages({ messages, route, number: turn }) {
  if (!messages.length) return null;
  return html`<div class="scroll-x" tabindex="0" role="group" aria-label=${t("findings.messages")}><table class="table">
    <thead><tr><th scope="col">${t("compare.how")}</th><th scope="col">${t("compare.message")}</th>
      <th scope="col">${t("compare.before")}</th><th scope="col">${t("compare.after")}</th></tr></thead>
    <tbody>${messages.map((one) => html`<tr>
      <td class="nowrap"><span class="tone tone-${WAYS[one.how][0]}">${WAYS[one.how][1]} ${t(`compare.${one.how}`)}</span></td>
      <td class="nowrap"><a href=${sessionHref(route.namespace, route.session, "conversation", { turn, message: one.version })}>@${number(one.version)}</a> ${name("role", one.role)}</td>
      <td>${form(one.before)}</td><td>${form(one.after)}</td></tr>`)}</tbody>
  </table></div>`;
}

function form(given) {
  if (given == null) return t("compare.absent");
  return has(`form.${given}`) ? name("form", given) : name("fate", given);
}
