// One step with all that was recorded of it.
import { html, useEffect, useRef } from "../ui.js";
import { useArrivalIn } from "../parts/arrival.js";
import { cost, duration, number, time } from "../parts/format.js";
import { Icon } from "../parts/icons.js";
import { sessionHref } from "../router.js";
import { name, t } from "../words.js";
import { StepBadge } from "./step_row.js";

function Fact({ label, children }) {
  return children == null || children === "" ? null : html`<dt>${label}</dt><dd>${children}</dd>`;
}

// Data of a step as it was recorded, indented; text that is no JSON stays text.
function shown(data) {
  return JSON.stringify(data, null, 2);
}

export function StepDetail({ step, route, onClose }) {
  const panel = useRef(null);
  useEffect(() => {
    panel.current.scrollTop = 0;
  }, [step.id]);
  useArrivalIn(panel);
  const { namespace, session } = route;
  const turn = step.call;
  return html`<aside class="detail" aria-label=${t("step.detail")} ref=${panel}>
    <div class="detail-head">
      <h2 class="ellipsis" tabindex="-1">${step.name}</h2>
      <button class="plain icon" aria-label=${t("close")} onClick=${onClose}><${Icon} name="close" /></button>
    </div>
    <div class="detail-body">
      <p class="row"><${StepBadge} kind=${step.kind} /></p>
      ${step.error && html`<p class="bad text">${step.error}</p>`}
      <dl class="facts">
        <${Fact} label=${t("step.outcome")}>${name("outcome", step.outcome)}<//>
        <${Fact} label=${t("step.began")}>${time(step.started_at)}<//>
        <${Fact} label=${t("step.took")}>${duration(step.duration)}<//>
        <${Fact} label=${t("step.tokens")}>${step.tokens == null ? null : number(step.tokens)}<//>
        <${Fact} label=${t("step.cost")}>${step.cost == null ? null : cost(step.cost)}<//>
        <${Fact} label=${t("step.agent")}>${step.agent}<//>
        <${Fact} label=${t("step.turn")}>${turn && html`<a href=${sessionHref(namespace, session, "conversation", { turn })}>${t("steps.turn", { turn })}</a> · <a href=${sessionHref(namespace, session, "window", { turn })}>${t("tab.window")}</a>`}<//>
        <${Fact} label=${t("step.parent")}>${step.parent && html`<a class="mono" href=${sessionHref(namespace, session, "steps", { step: step.parent })}>${step.parent}</a>`}<//>
        <${Fact} label=${t("step.id")}><span class="mono">${step.id}</span><//>
        <${Fact} label=${t("step.trace")}><span class="mono">${step.trace}</span><//>
      </dl>
      ${Object.keys(step.data || {}).length > 0 && html`<section class="detail-block"><h3>${t("step.data")}</h3><pre>${shown(step.data)}</pre></section>`}
    </div>
  </aside>`;
}
