// What is known of the window of the chosen turn, on one line and a bar.
import { html } from "../ui.js";
import { number, share } from "../parts/format.js";
import { Icon } from "../parts/icons.js";
import { cachedWords, TokenBar } from "../parts/token_bar.js";
import { t } from "../words.js";

export function sourceWords(call) {
  if (call.exact === true) return t("source.exact");
  if (call.exact === false) return t("source.differs");
  return t(`source.${call.source}`, { policy: call.policy });
}

export function TurnFacts({ at, labels = false }) {
  const { call, loading } = at;
  if (!call) return html`<p class="turn-facts dim small">${loading ? t("turn.computing") : ""}</p>`;
  if (call.error) {
    const words = call.needed ? t("turn.needed", { needed: number(call.needed), budget: number(call.budget) }) : call.error;
    return html`<p class="turn-facts bad"><${Icon} name="error" /> ${t("turn.no_window")}: ${words}</p>`;
  }
  const { tokens, budget } = call;
  return html`<div class="turn-facts ${loading ? "is-loading" : ""}">
    <p class="turn-figures small">
      <span class="strong">${t("turn.tokens", { tokens: number(tokens), budget: number(budget), share: share(tokens, budget) })}</span>
      <span class="dim">${cachedWords(call)}</span>
      <span class=${call.exact === false ? "tone-warn tone" : "dim"}>${sourceWords(call)}</span>
      ${call.estimated && html`<span class="dim">${t("estimated")}</span>`}
    </p>
    <${TokenBar} call=${call} labels=${labels} />
  </div>`;
}
