// One step in the list: its kind and name, how it ended, and its time within its turn.
import { html } from "../ui.js";
import { Badge } from "../parts/badge.js";
import { duration, number } from "../parts/format.js";
import { name, t } from "../words.js";

const KINDS = {
  window: ["system", "window"],
  compaction: ["cut", "compaction"],
  model: ["assistant", "model"],
  tool: ["tool", "tool"],
  recall: ["recalled", "recall"],
  remember: ["now", "remember"],
  error: ["bad", "warning"],
  retry: ["warn", "retry"],
  span: ["dim", "span"],
};

export function StepBadge({ kind }) {
  const [tone, sign] = KINDS[kind] || ["dim", "dot"];
  return html`<${Badge} tone=${tone} sign=${sign}>${name("step", kind)}<//>`;
}

export function outcomeOf(step) {
  return step.outcome === "ok" ? "" : name("outcome", step.outcome);
}

const ENOUGH = 60; // steps to each side that are looked at for the extent of a turn

// From when to when the turn of the step at `index` lasted, in milliseconds, of what is there.
function extent(step, index, list) {
  let from = step.offset_ms;
  let to = step.offset_ms + step.duration * 1000;
  for (const by of [-1, 1]) {
    for (let at = 1; at <= ENOUGH; at++) {
      const other = list.current?.item(index + by * at);
      if (!other || other.call !== step.call) break;
      from = Math.min(from, other.offset_ms);
      to = Math.max(to, other.offset_ms + other.duration * 1000);
    }
  }
  return { from, whole: Math.max(1, to - from) };
}

function Bar({ step, index, list }) {
  const { from, whole } = extent(step, index, list);
  const left = (100 * (step.offset_ms - from)) / whole;
  const width = (100 * step.duration * 1000) / whole;
  const [tone] = KINDS[step.kind] || ["dim"];
  return html`<span class="step-bar" aria-hidden="true"><span class=${`tone-${tone} ${step.outcome === "ok" ? "" : "is-failed"}`}
    style=${{ left: `${Math.min(99, left)}%`, width: `${Math.max(0.7, width)}%` }}></span></span>`;
}

export function stepRow({ list, filtered, open }) {
  return (step, index) => {
    const before = list.current?.item(index - 1);
    const first = step.call != null && before?.call !== step.call;
    const failed = step.outcome !== "ok";
    return {
      key: `${step.id}-${index}`,
      className: `step ${first ? "first-of-turn" : ""} ${failed ? "is-failed" : ""} ${open?.id === step.id ? "is-open" : ""}`,
      body: html`<span class="step-turn dim small">${first ? t("steps.turn", { turn: step.call }) : ""}</span>
        <span class="step-name" style=${{ paddingLeft: `${Math.min(8, step.depth) * 16}px` }}><${StepBadge} kind=${step.kind} />
          <span class="ellipsis strong-text">${step.name === step.kind ? "" : step.name}</span>
          ${failed && html`<${Badge} tone="bad" sign="warning">${outcomeOf(step)}<//>`}
          ${failed && step.error && html`<span class="step-error ellipsis small bad">${step.error}</span>`}</span>
        <span class="step-tokens dim small number">${step.tokens != null ? t("tokens", { count: number(step.tokens) }) : ""}</span>
        ${filtered ? html`<span></span>` : html`<${Bar} step=${step} index=${index} list=${list} />`}
        <span class="step-took number small">${duration(step.duration)}</span>`,
    };
  };
}
