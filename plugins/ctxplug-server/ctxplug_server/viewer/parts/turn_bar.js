// The turn that is looked at: a slider with the windows of all turns above it.
import { html } from "../ui.js";
import { useKeys } from "../keys.js";
import { t } from "../words.js";
import { Columns } from "./columns.js";
import { number } from "./format.js";
import { Icon } from "./icons.js";

function Move({ to, name, icon, turns, onTurn }) {
  const off = to < 1 || to > turns;
  return html`<button class="plain icon" aria-label=${t(name)} title=${t(name)} aria-disabled=${off}
    onClick=${() => !off && onTurn(to)}><${Icon} name=${icon} /></button>`;
}

// `turn` of {turn, turns, columns, setTurn} as useTurn gives it.
export function TurnBar({ at, children }) {
  const { turn, turns, columns, setTurn, budget } = at;
  const clamp = (to) => setTurn(Math.max(1, Math.min(turns, to)));
  useKeys({
    "[": () => clamp(turn - 1),
    "]": () => clamp(turn + 1),
    "{": () => clamp(1),
    "}": () => clamp(turns),
  });
  if (at.reading !== null) {
    return html`<p class="turn-bar dim" role="status">${t("turn.reading", { messages: number(at.reading) })}</p>`;
  }
  if (!turns) return html`<p class="turn-bar dim">${t("turn.none")}</p>`;
  const column = columns[turn - 1];
  const tokens = column?.tokens;
  const spoken = t(tokens ? "turn.value" : "turn", { turn, turns, tokens: number(tokens) });
  return html`<section class="turn-bar" aria-label=${t("turn.label")}>
    <div class="turn-moves">
      <${Move} to=${turn > 1 ? 1 : 0} name="turn.first" icon="first" turns=${turns} onTurn=${setTurn} />
      <${Move} to=${turn - 1} name="turn.previous" icon="back" turns=${turns} onTurn=${setTurn} />
      <output class="turn-number strong">${t("turn", { turn: number(turn), turns: number(turns) })}</output>
      <${Move} to=${turn + 1} name="turn.next" icon="forward" turns=${turns} onTurn=${setTurn} />
      <${Move} to=${turn < turns ? turns : turns + 1} name="turn.last" icon="last" turns=${turns} onTurn=${setTurn} />
    </div>
    <div class="turn-slide">
      <${Columns} columns=${columns} turn=${turn} budget=${budget} onTurn=${setTurn} />
      <input type="range" min="1" max=${turns} step="1" value=${turn} aria-label=${t("turn.label")}
        aria-valuetext=${spoken} disabled=${turns === 1}
        onInput=${(event) => setTurn(Number(event.target.value))} />
    </div>
    ${children}
  </section>`;
}
