// The help: what the shortcuts and the signs are.
import { html } from "../ui.js";
import { set, state } from "../store.js";
import { t } from "../words.js";
import { Dialog } from "./dialog.js";
import { FATE_ORDER, FateBadge } from "./fates.js";

const SHORTCUTS = [
  [["?"], "help"],
  [["/"], "search"],
  [["g", "s"], "sessions"],
  [["g", "m"], "memories"],
  [["g", "o"], "monitoring"],
  [["1", "…", "6"], "tabs"],
  [["[", "]"], "turn"],
  [["{", "}"], "ends"],
  [["j", "k"], "move"],
  [["↑", "↓"], "arrows"],
  [["Home", "End"], "home"],
  [["Enter"], "open"],
  [["c"], "changed"],
  [["Esc"], "close"],
  [["t"], "theme"],
  [["l"], "language"],
];

export function Help({ onClose }) {
  return html`<${Dialog} title=${t("help.title")} onClose=${onClose}>
    <section class="stack">
      <h3>${t("help.keys")}</h3>
      <dl class="shortcuts">
        ${SHORTCUTS.map(
          ([keys, key]) => html`<dt>${keys.map((one) => html`<kbd>${one}</kbd>`)}</dt>
            <dd>${t(`help.key.${key}`)}</dd>`,
        )}
      </dl>
      <label class="check"><input type="checkbox" checked=${state.shortcuts}
        onChange=${(event) => set({ shortcuts: event.target.checked })} />${t("help.single")}</label>
    </section>
    <section class="stack">
      <h3>${t("help.fates")}</h3>
      <dl class="shortcuts">
        ${FATE_ORDER.map(
          (fate) => html`<dt><${FateBadge} fate=${fate} /></dt><dd>${t(`fate.${fate}.why`)}</dd>`,
        )}
      </dl>
    </section>
  <//>`;
}
