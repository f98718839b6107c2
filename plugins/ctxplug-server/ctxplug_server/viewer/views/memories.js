// The memories of a namespace: listed or searched for, with filters, and one of them in full.
import { useData } from "../data.js";
import { number, time } from "../parts/format.js";
import { Importance } from "../parts/importance.js";
import { LiveSwitch } from "../parts/live_switch.js";
import { usePages } from "../parts/pages.js";
import { Empty, Failed, Loading, unready } from "../parts/states.js";
import { parse, setQuery } from "../router.js";
import { source } from "../source.js";
import { set, state, useStore } from "../store.js";
import { html, useEffect, useMemo, useRef, useState } from "../ui.js";
import { name, t } from "../words.js";
import { MemoryDetail } from "./memory_detail.js";

const PAUSE = 200; // milliseconds without a key before a search begins
const INCLUDED = ["current", "superseded", "all"];
const TIERS = ["short", "medium", "long"];
const PAGE = 50;

export function MemoriesView({ route }) {
  useStore("namespace");
  const [renewed, setRenewed] = useState(0);
  const spaces = useData("/v1/namespaces");
  const names = (spaces.data?.namespaces ?? []).map((one) => one.namespace);
  const namespace = route.query.namespace ?? (names.includes(state.namespace) ? state.namespace : names[0]);
  return html`<div class="view-head"><h1 tabindex="-1">${t("nav.memories")}</h1>
      ${names.length > 0 && html`<${Spaces} names=${names} chosen=${namespace} />
        ${!source.readonly && html`<${LiveSwitch} namespace=${namespace} reload=${() => setRenewed((count) => count + 1)} />`}`}
    </div>
    ${unready(spaces) ?? (namespace === undefined
      ? html`<${Empty}><p>${t("memories.none")}</p><p>${t("memories.none.how")}</p><//>`
      : html`<${Browser} key=${namespace} namespace=${namespace} query=${route.query} renewed=${renewed} />`)}`;
}

function Spaces({ names, chosen }) {
  const choose = (event) => {
    set({ namespace: event.target.value });
    setQuery({ namespace: event.target.value, id: null, kind: null, tag: null, q: null });
  };
  const all = names.includes(chosen) || chosen === undefined ? names : [chosen, ...names];
  return html`<label class="row small dim"><span>${t("sessions.namespace")}</span>
    <select aria-label=${t("sessions.namespace")} value=${chosen} onChange=${choose}>
      ${all.map((one) => html`<option key=${one} value=${one} selected=${one === chosen}>${one}</option>`)}
    </select></label>`;
}

function Browser({ namespace, query, renewed }) {
  const { q, kind, tier, tag, include, id } = query;
  const asked = { namespace, q, kind, tier, tags: tag, include, limit: PAGE };
  const pages = usePages("/v1/view/memories", asked);
  useEffect(() => {
    if (renewed) pages.reload();
  }, [renewed]);
  const [outcome, setOutcome] = useState("");
  const gone = useReturn(id);
  const forgotten = () => {
    gone.current = true;
    setOutcome(t("memory.forgotten"));
    setQuery({ id: null });
    pages.reload();
  };
  const seen = useSeen(pages.items);
  const found = pages.items.find((one) => one.record.id === id);
  return html`<div class="memories ${id ? "has-detail" : ""}">
    <section class="memories-side" aria-label=${t("memories.list")}>
      <${Filters} query=${query} seen=${seen} />
      <p class="good small memories-outcome" role="status">${outcome}</p>
      <${List} pages=${pages} query=${query} />
    </section>
    <section class="memories-main" aria-label=${t("memories.detail")}>
      ${id
        ? html`<${MemoryDetail} key=${id} id=${id} namespace=${namespace} found=${found} changed=${pages.reload} forgotten=${forgotten} />`
        : html`<${Empty}><p>${t("memories.choose")}</p><//>`}
    </section>
  </div>`;
}

// The memory that was open is left: the focus goes back to its place in the list, or to the heading
// where it was forgotten (`current` of what is returned says so).
function useReturn(id) {
  const before = useRef(id);
  const gone = useRef(false);
  useEffect(() => {
    const at = document.activeElement;
    if (before.current && !id && (!at || at === document.body || at.id === "main")) {
      const items = gone.current ? [] : [...document.querySelectorAll(".memory-item")];
      (items.find((item) => item.dataset.id === before.current) ?? document.querySelector("main h1")).focus();
    }
    before.current = id;
    gone.current = false;
  }, [id]);
  return gone;
}

// The kinds and tags that were in any list of this namespace: what can be filtered by.
function useSeen(items) {
  const seen = useRef({ kinds: new Set(), tags: new Set() });
  return useMemo(() => {
    const { kinds, tags } = seen.current;
    for (const { record } of items) {
      kinds.add(record.kind);
      for (const tag of record.tags ?? []) tags.add(tag);
    }
    return { kinds: [...kinds].sort(), tags: [...tags].sort() };
  }, [items.length, items[0]]);
}

function Filters({ query, seen }) {
  const { q = "", kind = "", tier = "", tag = "", include = "superseded" } = query;
  const choose = (field) => (event) => setQuery({ [field]: event.target.value || null });
  return html`<form class="memories-filters" role="search" onSubmit=${(event) => event.preventDefault()}>
    <${Search} q=${q} />
    <${Choice} label=${t("memory.kind")} any=${t("memories.any_kind")} value=${kind} options=${seen.kinds}
      onChange=${choose("kind")} told=${(one) => name("kind", one)} />
    <${Choice} label=${t("memory.tier")} any=${t("memories.any_tier")} value=${tier} options=${TIERS}
      onChange=${choose("tier")} told=${(one) => name("tier", one)} />
    <${Choice} label=${t("memory.tags")} any=${t("memories.any_tag")} value=${tag} options=${seen.tags}
      onChange=${choose("tag")} told=${(one) => one} />
    <select aria-label=${t("memories.include")} value=${include} onChange=${choose("include")}>
      ${INCLUDED.map((one) => html`<option key=${one} value=${one} selected=${one === include}>${t(`memories.include.${one}`)}</option>`)}
    </select>
  </form>`;
}

function Search({ q }) {
  const [text, setText] = useState(q);
  useEffect(() => {
    if (text === (parse(location.hash).query.q ?? "")) return undefined;
    const timer = setTimeout(() => setQuery({ q: text || null }), PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => setText(q), [q]);
  return html`<input type="search" class="memories-search" value=${text} aria-label=${t("memories.search")}
    placeholder=${t("memories.placeholder")} onInput=${(event) => setText(event.target.value)} />`;
}

function Choice({ label, any, value, options, onChange, told }) {
  const all = !value || options.includes(value) ? options : [value, ...options];
  return html`<select aria-label=${label} value=${value} onChange=${onChange}>
    <option value="" selected=${!value}>${any}</option>
    ${all.map((one) => html`<option key=${one} value=${one} selected=${one === value}>${told(one)}</option>`)}
  </select>`;
}

function List({ pages, query }) {
  const { items } = pages;
  if (pages.error && !items.length) return html`<${Failed} error=${pages.error} retry=${pages.reload} />`;
  if (!pages.data) return html`<${Loading} />`;
  const filtered = query.q || query.kind || query.tier || query.tag || query.include;
  if (!items.length) {
    return html`<${Empty}><p>${t(filtered ? "memories.no_match" : "memories.none")}</p>
      ${filtered
        ? html`<button onClick=${() => setQuery({ q: null, kind: null, tier: null, tag: null, include: null })}>${t("memories.clear")}</button>`
        : html`<p>${t("memories.none.how")}</p>`}<//>`;
  }
  const count = pages.more ? `${number(items.length)}+` : number(items.length);
  return html`<p class="dim small memories-count" role="status">${query.q
      ? t("memories.found", { count, query: query.q }) : t("memories.listed", { count })}</p>
    <ul class="memories-list">${items.map((one) => html`<${Item} key=${one.record.id} one=${one} chosen=${one.record.id === query.id} />`)}</ul>
    ${pages.error && html`<${Failed} error=${pages.error} />`}
    ${pages.more && html`<button class="memories-more" disabled=${pages.loading} onClick=${pages.more}>${t("memories.more")}</button>`}`;
}

function Item({ one, chosen }) {
  const { record, score } = one;
  const past = record.current === false;
  const kind = record.kind === "message" ? record.metadata?.role ?? "message" : record.kind;
  return html`<li><button type="button" data-id=${record.id} class="memory-item ${past ? "past" : ""}" aria-current=${chosen ? "true" : null}
      onClick=${() => setQuery({ id: record.id })}>
    <span class="memory-text">${record.content}</span>
    <span class="memory-facts small">
      ${score != null && html`<b class="memory-score" title=${t("score")}>${score.toFixed(2)}</b>`}
      <span class="tone-${record.kind === "message" ? kind : "recalled"} tone">${name(record.kind === "message" ? "role" : "kind", kind)}</span>
      <span>${name("tier", record.tier ?? "medium")}</span>
      <${Importance} value=${record.importance ?? 0.5} />
      ${past && html`<span class="memory-past">${t("memory.past")}</span>`}
      ${(record.tags ?? []).slice(0, 4).map((tag) => html`<span class="tag">${tag}</span>`)}
      <time class="memory-time" datetime=${record.created_at}>${time(record.created_at, { seconds: false }).slice(0, 10)}</time>
    </span>
  </button></li>`;
}
