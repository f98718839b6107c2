// Which steps are shown: all, those of a kind, or only what failed.
import { html } from "../ui.js";
import { number } from "../parts/format.js";
import { setQuery } from "../router.js";
import { name, t } from "../words.js";

export function StepFilters({ about, query }) {
  const kinds = Object.entries(about.kinds || {});
  const all = kinds.reduce((sum, [, count]) => sum + count, 0);
  const choose = (kind) => setQuery({ kind, step: null });
  return html`<div class="step-filters">
    <div class="row" role="group" aria-label=${t("steps.kind")}>
      <button aria-pressed=${!query.kind} onClick=${() => choose(null)}>${t("steps.all")} <span class="dim number">${number(all)}</span></button>
      ${kinds.map(([kind, count]) => html`<button key=${kind} aria-pressed=${query.kind === kind} onClick=${() => choose(kind)}>
        ${name("step", kind)} <span class="dim number">${number(count)}</span></button>`)}
    </div>
    ${about.errors > 0 && html`<label class="check"><input type="checkbox" checked=${Boolean(query.errors)}
      onChange=${(event) => setQuery({ errors: event.target.checked ? 1 : null, step: null })} />
      ${t("steps.errors")} <span class="dim number">${number(about.errors)}</span></label>`}
  </div>`;
}
