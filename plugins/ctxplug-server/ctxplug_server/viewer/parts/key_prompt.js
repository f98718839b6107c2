// Asks for an API key when the server wants one; it stays in this tab only.
import { html, useRef } from "../ui.js";
import { source } from "../source.js";
import { set, useStore } from "../store.js";
import { t } from "../words.js";
import { Dialog } from "./dialog.js";

export function KeyPrompt() {
  const { keyRefused } = useStore("keyRefused");
  const field = useRef(null);
  const use = (event) => {
    event.preventDefault();
    const key = field.current.value.trim();
    if (!key) return;
    set({ dialog: null });
    source.useKey(key);
  };
  return html`<${Dialog} title=${t("key.title")} closable=${false}>
    <p>${t("key.why")}</p>
    ${keyRefused && html`<p class="bad" role="alert">${t("key.refused")}</p>`}
    <form class="stack" onSubmit=${use}>
      <label class="field">${t("key.label")}
        <input type="password" autocomplete="off" spellcheck=${false} required ref=${field} />
      </label>
      <p class="dim small">${t("key.kept")}</p>
      <div class="row"><button class="primary" type="submit">${t("key.use")}</button></div>
    </form>
  <//>`;
}
