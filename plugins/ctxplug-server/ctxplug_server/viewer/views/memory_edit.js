// Changing and forgetting a memory: what is shown afterwards is what the server answered.
import { Dialog } from "../parts/dialog.js";
import { wordsOf } from "../parts/states.js";
import { source } from "../source.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../ui.js";
import { t } from "../words.js";

const DAY = 86_400;
const LIVES = [
  ["keep", null],
  ["ever", "forever"],
  ["day", DAY],
  ["week", 7 * DAY],
  ["month", 30 * DAY],
  ["year", 365 * DAY],
];

// Why a memory cannot be changed here, or null.
export function refusal(record, rights) {
  if (source.readonly) return t("memory.in_report");
  if (record.kind === "message") return t("memory.is_message");
  if (rights && rights.write === false) return t("memory.read_only");
  return null;
}

// `returned`: what was edited is shown again, so the focus comes back to where it was begun.
export function MemoryActions({ record, namespace, rights, outcome, returned, edit, forgotten }) {
  const [asked, setAsked] = useState(false);
  const first = useRef(null);
  useEffect(() => {
    if (returned) first.current.focus();
  }, []);
  const why = refusal(record, rights);
  return html`<div class="row memory-actions">
    <button ref=${first} disabled=${Boolean(why)} aria-describedby=${why ? "memory-why" : null} onClick=${edit}>${t("memory.edit")}</button>
    <button class="danger" disabled=${Boolean(why)} aria-describedby=${why ? "memory-why" : null}
      onClick=${() => setAsked(true)}>${t("memory.forget")}</button>
    ${why && html`<span id="memory-why" class="dim small">${why}</span>`}
    <span class="good small" role="status">${outcome}</span>
    ${asked && html`<${Forget} record=${record} namespace=${namespace} forgotten=${forgotten} onClose=${() => setAsked(false)} />`}
  </div>`;
}

function Forget({ record, namespace, forgotten, onClose }) {
  const [{ busy, error }, setDoing] = useState({ busy: false, error: null });
  const forget = async () => {
    setDoing({ busy: true, error: null });
    try {
      await source.send("DELETE", `/v1/memories/${encodeURIComponent(record.id)}`, { params: { namespace } });
    } catch (failure) {
      setDoing({ busy: false, error: failure });
      return;
    }
    onClose();
    forgotten();
  };
  return html`<${Dialog} title=${t("memory.forget_title")} onClose=${onClose}>
    <p>${t("memory.forget_why")}</p>
    <blockquote class="memory-quote">${record.content}</blockquote>
    ${error && html`<p class="bad" role="alert">${wordsOf(error)}</p>`}
    <div class="row">
      <button class="danger" disabled=${busy} onClick=${forget}>${t(busy ? "memory.forgetting" : "memory.forget_yes")}</button>
      <button onClick=${onClose}>${t("cancel")}</button>
    </div>
  <//>`;
}

export function MemoryEdit({ record, namespace, saved, closed }) {
  const form = useRef(null);
  const [{ busy, error }, setDoing] = useState({ busy: false, error: null });
  useLayoutEffect(() => form.current.elements.content.focus(), []);
  const save = async (event) => {
    event.preventDefault();
    const body = changesOf(record, new FormData(form.current));
    if (!Object.keys(body).length) return closed(t("memory.unchanged"));
    setDoing({ busy: true, error: null });
    try {
      await source.send("PATCH", `/v1/memories/${encodeURIComponent(record.id)}`, { params: { namespace }, body });
    } catch (failure) {
      setDoing({ busy: false, error: failure });
      return undefined;
    }
    return saved();
  };
  const escape = (event) => event.key === "Escape" && closed();
  return html`<form class="memory-form stack" ref=${form} onSubmit=${save} onKeyDown=${escape} aria-label=${t("memory.edit")}>
    <h2 class="sr">${t("memory.edit")}</h2>
    <label class="field">${t("memory.content")}
      <textarea name="content" required rows="4" defaultValue=${record.content}></textarea></label>
    <div class="memory-fields">
      <${ImportanceField} value=${record.importance ?? 0.5} />
      <label class="field">${t("memory.tags")}
        <input type="text" name="tags" defaultValue=${(record.tags ?? []).join(", ")} aria-describedby="tags-hint" />
        <span id="tags-hint">${t("memory.tags_hint")}</span></label>
      <label class="field">${t("memory.ttl")}
        <select name="ttl">${LIVES.map(([key]) => html`<option value=${key}>${t(`ttl.${key}`)}</option>`)}</select></label>
    </div>
    ${error && html`<p class="bad" role="alert">${t("memory.not_saved")} ${wordsOf(error)}</p>`}
    <div class="row">
      <button class="primary" type="submit" disabled=${busy}>${t(busy ? "memory.saving" : "memory.save")}</button>
      <button type="button" onClick=${() => closed()}>${t("cancel")}</button>
    </div>
  </form>`;
}

function ImportanceField({ value }) {
  const [chosen, setChosen] = useState(value);
  return html`<label class="field">${t("memory.importance")} ${Number(chosen).toFixed(2)}
    <input type="range" name="importance" min="0" max="1" step="0.01" value=${chosen}
      onInput=${(event) => setChosen(event.target.value)} /></label>`;
}

// What differs from the record, as the body of a PATCH.
function changesOf(record, form) {
  const changes = {};
  const content = form.get("content");
  if (content !== record.content) changes.content = content;
  const importance = Number(form.get("importance"));
  if (Math.abs(importance - (record.importance ?? 0.5)) > 0.004) changes.importance = importance;
  const tags = form.get("tags").split(/[,，、]/).map((tag) => tag.trim()).filter(Boolean);
  if (tags.join("\n") !== (record.tags ?? []).join("\n")) changes.tags = tags;
  const [, ttl] = LIVES.find(([key]) => key === form.get("ttl"));
  if (ttl !== null) changes.ttl = ttl;
  return changes;
}
