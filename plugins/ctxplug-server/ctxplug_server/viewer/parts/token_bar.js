// The window as a bar: each part as wide as its tokens, the prefix that a provider can take from
// its cache below it, and the limit.
import { html } from "../ui.js";
import { name, t } from "../words.js";
import { number, share } from "./format.js";

export const PARTS = ["tools", "system", "sections", "cut", "past", "now", "recalled", "reserved"];

const PATTERN = {
  tools: "upright",
  system: "solid",
  sections: "grid",
  cut: "level",
  past: "solid",
  now: "rising",
  recalled: "dots",
  reserved: "falling",
};

// Neighbouring pieces of one part, as one: [{part, tokens}], in the order of the window.
export function stretches(pieces) {
  const found = [];
  for (const { part, tokens } of pieces) {
    const last = found.at(-1);
    if (last && last.part === part) last.tokens += tokens;
    else found.push({ part, tokens });
  }
  return found.filter((one) => one.tokens > 0);
}

export function PartSwatch({ part }) {
  return html`<span class="swatch part-fill pattern-${PATTERN[part] || "solid"} tone-${part}" aria-hidden="true"></span>`;
}

function sentence(call) {
  const parts = PARTS.filter((part) => call.parts[part]).map(
    (part) => `${name("part", part)} ${number(call.parts[part])}`,
  );
  const { tokens, budget } = call;
  const whole = t("turn.tokens", { tokens: number(tokens), budget: number(budget), share: share(tokens, budget) });
  return `${whole}: ${parts.join(", ")}`;
}

// `labels`: the parts carry their names where they are wide enough.
export function TokenBar({ call, labels = false }) {
  const whole = Math.max(call.budget || 0, call.tokens, 1);
  const wide = (tokens) => `${(100 * tokens) / whole}%`;
  const margin = Math.max(0, (call.budget || 0) - (call.limit ?? call.budget ?? 0));
  const free = Math.max(0, whole - call.tokens - margin);
  const cached = call.cached?.tokens || 0;
  return html`<div class="token-bar ${labels ? "labelled" : ""}">
    <div class="token-parts" role="img" aria-label=${sentence(call)}>
      ${stretches(call.pieces).map(
        ({ part, tokens }, at) => html`<span key=${at} class="part part-fill pattern-${PATTERN[part] || "solid"} tone-${part}"
          style=${{ width: wide(tokens) }} title=${`${name("part", part)} · ${number(tokens)}`}
          >${labels && tokens / whole > 0.07 && html`<span class="part-label">${name("part", part)}</span>`}</span>`,
      )}
      ${free > 0 && html`<span class="part tone-free free" style=${{ width: wide(free) }} title=${`${t("part.free")} · ${number(free)}`}></span>`}
      ${margin > 0 && html`<span class="part tone-margin margin" style=${{ width: wide(margin) }} title=${`${t("part.margin")} · ${number(margin)}`}></span>`}
    </div>
    <div class="token-cached" aria-hidden="true">
      ${cached > 0 && html`<span style=${{ width: wide(cached) }}></span>`}
    </div>
  </div>`;
}

// What the cache line says.
export function cachedWords(call) {
  if (call.number === 1) return t("cached.first");
  const tokens = call.cached?.tokens || 0;
  if (!tokens) return t("cached.none");
  return t("cached", { tokens: number(tokens), share: share(tokens, call.tokens) });
}
