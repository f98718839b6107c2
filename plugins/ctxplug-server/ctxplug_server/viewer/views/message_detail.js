// One message: why it stands as it does, what is sent of it, and what was said.
import { html, useEffect, useRef } from "../ui.js";
import { useData } from "../data.js";
import { FateBadge, RoleBadge } from "../parts/fates.js";
import { number, time } from "../parts/format.js";
import { Icon } from "../parts/icons.js";
import { Said } from "../parts/message.js";
import { unready } from "../parts/states.js";
import { useArrivalIn } from "../parts/arrival.js";
import { state } from "../store.js";
import { name, t } from "../words.js";

function same(message) {
  const { sent } = message;
  if (!sent) return false;
  const told = ({ text, calls, results }) =>
    JSON.stringify([text, calls.map((one) => one.arguments), results.map((one) => one.text)]);
  return told(sent) === told(message);
}

function Block({ title, tokens, message, children }) {
  return html`<section class="detail-block">
    <h3>${title}${tokens != null && html`<span class="dim small number">${t("tokens", { count: number(tokens) })}</span>`}</h3>
    ${children || html`<${Said} message=${message} />`}
    ${message?.cut && html`<p class="dim small">${t("message.cut")}</p>`}
  </section>`;
}

function Texts({ message }) {
  if (message.fate === "later") {
    return html`<${Block} title=${t("as_said")} tokens=${message.tokens} message=${message} />`;
  }
  if (same(message)) {
    return html`<${Block} title=${t("as_both")} tokens=${message.tokens} message=${message} />`;
  }
  return html`<div class="detail-pair">
    <${Block} title=${t("as_sent")} tokens=${message.sent ? message.sent_tokens : null} message=${message.sent}>
      ${!message.sent && html`<p class="dim">${t("not_sent")}</p>`}
    <//>
    <${Block} title=${t("as_said")} tokens=${message.tokens} message=${message} />
  </div>`;
}

function Whole({ message }) {
  const tags = Object.entries(message.metadata || {});
  return html`
    <p class="row"><${RoleBadge} role=${message.role} who=${message.role === "tool" ? null : message.name} />
      ${message.agent && html`<span class="dim small">${t("agent", { name: message.agent })}</span>`}
      <span class="dim small nowrap">${time(message.at)}</span></p>
    ${message.fate && html`<section class="detail-why">
      <p class="row"><${FateBadge} fate=${message.fate} />
        ${message.form && message.form !== "verbatim" && html`<span class="dim small">${name("form", message.form)}</span>`}</p>
      <ul>${(message.why || []).map((reason) => html`<li>${reason}</li>`)}</ul>
    </section>`}
    <${Texts} message=${message} />
    ${tags.length > 0 && html`<section class="detail-block"><h3>${t("metadata")}</h3>
      <pre>${JSON.stringify(message.metadata, null, 2)}</pre></section>`}`;
}

export function MessageDetail({ version, turn, base, params, wide, onWide, onClose }) {
  const answer = useData(`${base}/messages/${version}`, { ...params, call: turn, lang: state.lang });
  const panel = useRef(null);
  useEffect(() => {
    panel.current.scrollTop = 0;
  }, [version]);
  useArrivalIn(panel);
  return html`<aside class="detail" aria-label=${t("message.detail")} ref=${panel}>
    <div class="detail-head">
      <h2 tabindex="-1">${t("message.title", { version })}</h2>
      <button class="plain icon wide-only" aria-pressed=${wide} title=${t("detail.wide")} aria-label=${t("detail.wide")}
        onClick=${onWide}><${Icon} name="wide" /></button>
      <button class="plain icon" aria-label=${t("close")} onClick=${onClose}><${Icon} name="close" /></button>
    </div>
    <div class="detail-body">${unready(answer) || html`<${Whole} message=${answer.data} />`}</div>
  </aside>`;
}
