// One memory: what it says, why it was found, where it comes from, and what can be done with it.
import { useData } from "../data.js";
import { number, time } from "../parts/format.js";
import { Icon } from "../parts/icons.js";
import { Importance } from "../parts/importance.js";
import { unready } from "../parts/states.js";
import { WhyBars } from "../parts/why_bars.js";
import { href, sessionHref, setQuery } from "../router.js";
import { html, useState } from "../ui.js";
import { name, t, tn } from "../words.js";
import { MemoryActions, MemoryEdit } from "./memory_edit.js";

// `found` is its place in the list, with the score; `changed()` says that the list is outdated,
// `forgotten()` that the memory is no more.
export function MemoryDetail({ id, namespace, found, changed, forgotten }) {
  const answer = useData(`/v1/view/memories/${encodeURIComponent(id)}`, { namespace });
  const [edited, setEdited] = useState(null); // true while it is; false when it was
  const [outcome, setOutcome] = useState("");
  const back = html`<button class="plain memory-back" onClick=${() => setQuery({ id: null })}>
    <${Icon} name="back" />${t("memories.back")}</button>`;
  if (!answer.data) return html`<article>${back}${unready(answer)}</article>`;
  const close = (told = "") => {
    setEdited(false);
    setOutcome(told);
  };
  const renewed = () => {
    close(t("memory.saved"));
    answer.reload();
    changed();
  };
  const { record } = answer.data;
  const message = record.kind === "message";
  return html`<article class="memory">
    ${back}
    ${edited
      ? html`<${MemoryEdit} record=${record} namespace=${namespace} saved=${renewed} closed=${close} />`
      : html`<h2 class="memory-content text">${record.content}</h2>
        <${MemoryActions} record=${record} namespace=${namespace} rights=${answer.data.may} outcome=${outcome}
          returned=${edited === false} edit=${() => setEdited(true)} forgotten=${forgotten} />`}
    ${found?.why && html`<${WhyBars} score=${found.score} why=${found.why} />`}
    <${Facts} told=${answer.data} namespace=${namespace} />
    ${!message && html`<${Provenance} told=${answer.data} namespace=${namespace} />`}
  </article>`;
}

function Facts({ told, namespace }) {
  const { record } = told;
  const rows = [
    ["kind", `${name("kind", record.kind)} · ${name("tier", record.tier ?? "medium")}`],
    ["importance", html`<${Importance} value=${record.importance ?? 0.5} />`],
    ["tags", record.tags?.length && record.tags.map((tag) => html`<a class="tag" href=${href("memories", { namespace, tag })}>${tag}</a> `)],
    ["origin", html`<${Trust} record=${record} />`],
    ["made_by", name("made_by", record.made_by ?? "remember")],
    ["session", record.session && html`<a href=${sessionHref(namespace, record.session)}>${record.session}</a>`],
    ["agent", record.agent],
    ["created_at", time(record.created_at)],
    ["validity", html`<${Validity} record=${record} />`],
    ["expires_at", record.expires_at ? time(record.expires_at) : t("memory.never")],
    ["accessed", accesses(record)],
    ["id", html`<code>${record.id}</code>`],
  ];
  const metadata = record.metadata && Object.keys(record.metadata).length ? record.metadata : null;
  return html`<section class="memory-section"><h3>${t("memory.facts")}</h3>
    <dl class="facts">${rows.filter(([, value]) => value).map(([field, value]) => html`<dt>${t(`memory.${field}`)}</dt><dd>${value}</dd>`)}</dl>
    ${metadata && html`<details><summary>${t("memory.metadata")}</summary><pre>${JSON.stringify(metadata, null, 2)}</pre></details>`}
  </section>`;
}

function accesses(record) {
  if (!record.access_count) return t("memory.not_recalled");
  const count = tn("memory.times", record.access_count);
  return record.last_accessed ? t("memory.times_last", { count, last: time(record.last_accessed, { seconds: false }) }) : count;
}

const TRUST = { user: "good", model: "accent", tool: "warn", document: "bad" };

function Trust({ record }) {
  const trust = record.trust ?? "document";
  return html`<span class="badge badge-box tone-${TRUST[trust] ?? "dim"}">${name("trust", trust)}</span>
    ${record.origin !== trust && html`<span class="dim"> ${t("memory.from", { origin: record.origin ?? "user" })}</span>`}`;
}

function Validity({ record }) {
  const from = time(record.valid_from ?? record.created_at, { seconds: false });
  if (!record.valid_to) return t("memory.valid_since", { from });
  return t("memory.valid_between", { from, to: time(record.valid_to, { seconds: false }) });
}

function Provenance({ told, namespace }) {
  const sources = told.sources ?? [];
  return html`<section class="memory-section"><h3>${t("memory.provenance")}</h3>
    <h4 class="small dim">${t("memory.sources")}</h4>
    ${sources.length
      ? html`<ul class="sources">${sources.map((one) => html`<${Source} one=${one} namespace=${namespace} />`)}</ul>`
      : html`<p class="dim">${t("memory.no_sources")}</p>`}
    <${History} told=${told} namespace=${namespace} />
  </section>`;
}

function Source({ one, namespace }) {
  if (one.version != null && one.session) {
    const to = sessionHref(namespace, one.session, "conversation", { message: one.version });
    return html`<li><a href=${to}>${one.session} @${number(one.version)}</a> <span class="text">${one.text}</span></li>`;
  }
  if (one.kind) return html`<li><a href=${href("memories", { namespace, id: one.id })}>${one.text}</a></li>`;
  return html`<li class="dim">${t("memory.source_gone", { id: one.id })}</li>`;
}

// What was held of the same thing, one after the other: this memory is one of them.
function History({ told, namespace }) {
  const { record, history = [], supersedes = [], superseded_by: by } = told;
  if (history.length < 2) return null;
  const before = new Set(supersedes.map((one) => one.id));
  const place = (one) => {
    if (one.id === record.id) return "this";
    if (before.has(one.id)) return "supersedes";
    return one.id === by?.id ? "superseded_by" : "";
  };
  return html`<h4 class="small dim">${t("memory.history")}</h4>
    <ol class="history">${history.map((one) => html`<li class=${one.id === record.id ? "this" : ""}>
      <span class="small dim"><${Validity} record=${one} />${place(one) && html` · <b>${t(`memory.place.${place(one)}`)}</b>`}</span>
      ${one.id === record.id
        ? html`<span class="text">${one.content}</span>`
        : html`<a class="text" href=${href("memories", { namespace, id: one.id })}>${one.content}</a>`}
    </li>`)}</ol>`;
}
