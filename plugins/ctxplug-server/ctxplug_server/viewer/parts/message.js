// A message as it is read: what it says, what it calls, what a tool gave back.
import { html } from "../ui.js";
import { name, t, tn } from "../words.js";
import { number } from "./format.js";

export function argumentsOf(call) {
  return typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments);
}

// What a message says on a few lines, at most `most` characters of it.
export function Said({ message, most = Infinity }) {
  const { text, thinking, calls = [], results = [], images } = message;
  const cut = (said) => (said.length > most ? `${said.slice(0, most)}…` : said);
  const nothing = !text && !thinking && !calls.length && !results.length && !images;
  return html`<div class="said">
    ${thinking && html`<p class="said-thinking dim"><span class="label">${t("said.thinking")}</span> ${cut(thinking)}</p>`}
    ${text && html`<p class="text">${cut(text)}</p>`}
    ${calls.map((call) => html`<p class="said-call mono" key=${call.id}><span class="dim" aria-label=${t("said.call")}>→ </span><span class="strong">${call.name}</span>(${cut(argumentsOf(call))})</p>`)}
    ${results.map((result) => html`<p class="said-result mono ${result.error ? "bad" : ""}" key=${result.id}><span class="dim" aria-label=${t("said.result")}>← </span><span class="strong">${result.name}</span> ${result.error && html`<span class="label">${t("said.failed")}</span> `}${cut(result.text || "")}</p>`)}
    ${images > 0 && html`<p class="dim small">${tn("said.images", images)}</p>`}
    ${nothing && html`<p class="dim">${t("nothing")}</p>`}
  </div>`;
}

// The text of an entry of the log that is no message.
export function markText(mark, data = {}) {
  if (mark === "compaction") {
    const steps = data.steps || [];
    if (!steps.length) return t("mark.compaction.plain", { number: data.number ?? 1 });
    const [before, after] = [steps[0][1], steps.at(-1)[2]];
    return t("mark.compaction", { number: data.number ?? 1, before: number(before), after: number(after) });
  }
  if (mark === "snapshot") return t("mark.snapshot", { name: data.name ?? "" });
  if (mark === "session") {
    if (data.parent) return t("mark.forked", { parent: data.parent, at: data.at ?? 0 });
    return t("mark.session", { event: data.state ? name("state", data.state) : data.event ?? "" });
  }
  if (data.restored) {
    return t(data.name ? "mark.restored.name" : "mark.restored", { version: data.restored, name: data.name });
  }
  return t("mark.kept");
}
