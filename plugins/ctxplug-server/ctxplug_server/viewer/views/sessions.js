// The list of sessions: search, a filter by state and namespace, and pages on request.
import { html, useEffect, useRef, useState } from "../ui.js";
import { useData } from "../data.js";
import { useKeys } from "../keys.js";
import { SESSION_STATES, StateBadge } from "../parts/fates.js";
import { Marked } from "../parts/marked.js";
import { usePages } from "../parts/pages.js";
import { Sign } from "../parts/signs.js";
import { ago, number, short, time } from "../parts/format.js";
import { Empty, Failed, Loading } from "../parts/states.js";
import { sessionHref, setQuery } from "../router.js";
import { announce, set, state } from "../store.js";
import { t, tn } from "../words.js";

const PAGE = 50;
const PATH = "/v1/view/sessions";
const PAUSE = 250; // milliseconds of no typing before it is searched

// What was typed, as it stands after a pause.
function useTyped(value, take) {
  const [typed, setTyped] = useState(value);
  const timer = useRef(0);
  useEffect(() => setTyped(value), [value]);
  const type = (text, now = false) => {
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => take(text), now ? 0 : PAUSE);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return [typed, type];
}

function Filters({ query, namespaces }) {
  const [typed, type] = useTyped(query.q || "", (q) => setQuery({ q: q.trim() || null }));
  const namespace = query.namespace ?? state.namespace;
  const choose = (event) => {
    set({ namespace: event.target.value });
    setQuery({ namespace: event.target.value || null });
  };
  const known = namespace && !namespaces.includes(namespace) ? [namespace, ...namespaces] : namespaces;
  return html`<search class="filters">
    <label class="field grow">${t("sessions.search")}
      <input type="search" value=${typed} placeholder=${t("sessions.search.hint")}
        onInput=${(event) => type(event.target.value)} />
    </label>
    <label class="field">${t("sessions.state")}
      <select value=${query.state || ""}
        onChange=${(event) => setQuery({ state: event.target.value || null })}>
        <option value="">${t("sessions.state.any")}</option>
        ${SESSION_STATES.map((one) => html`<option key=${one} value=${one}>${t(`state.${one}`)}</option>`)}
      </select>
    </label>
    ${known.length > 1 &&
    html`<label class="field">${t("sessions.namespace")}
      <select value=${namespace} onChange=${choose}>
        <option value="">${t("sessions.namespace.any")}</option>
        ${known.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
      </select>
    </label>`}
  </search>`;
}

// How long a session is: asked for when its row is first on the screen.
function Length({ item }) {
  const spot = useRef(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => entries[0].isIntersecting && setSeen(true));
    watch.observe(spot.current);
    return () => watch.disconnect();
  }, []);
  const path = seen ? `${PATH}/${encodeURIComponent(item.session)}/size` : null;
  const { data, error } = useData(path, { namespace: item.namespace, version: item.version });
  let text = t("sessions.counting");
  if (error) text = "–";
  else if (data && !data.whole) text = t("sessions.size.more", { messages: number(data.messages) });
  else if (data) text = tn("sessions.size", data.turns, { tokens: short(data.tokens) });
  return html`<span class="session-size dim number" ref=${spot}>${text}</span>`;
}

function Row({ item, query, several }) {
  const { session, namespace, parent, snippet, title } = item;
  const named = title && title !== session;
  return html`<li class="session-row">
    <a class="session-link" href=${sessionHref(namespace, session)}><${Marked} text=${title || session} words=${query} /></a>
    <span class="session-state"><${StateBadge} state=${item.state} /></span>
    <${Length} item=${item} />
    <span class="session-time dim number" title=${time(item.updated_at)}>${ago(item.updated_at)}</span>
    <span class="session-more small dim">
      ${named && html`<span class="session-id"><${Marked} text=${session} words=${query} /></span>`}
      ${several && html`<span class="mono">${namespace}</span>`}
      ${parent && html`<span class="nowrap"><${Sign} name="fork" /> ${t("sessions.fork", { parent, version: item.forked })}</span>`}
      ${snippet && html`<span class="session-snippet"><${Marked} text=${snippet} words=${query} /></span>`}
    </span>
  </li>`;
}

function move(event, list, by) {
  const links = [...list.querySelectorAll(".session-link")];
  const at = links.indexOf(document.activeElement);
  const to = by === "home" ? 0 : by === "end" ? links.length - 1 : at + by;
  const link = links[Math.max(0, Math.min(links.length - 1, to))];
  if (!link) return false;
  link.focus();
  return true;
}

export function SessionsView({ route }) {
  const { q, state: wanted } = route.query;
  const namespace = route.query.namespace ?? state.namespace;
  const list = useRef(null);
  const all = usePages(PATH, { q, state: wanted, namespace, limit: PAGE });
  const names = useData("/v1/namespaces").data?.namespaces ?? [];
  const several = !namespace && new Set(all.items.map((item) => item.namespace)).size > 1;
  useEffect(() => {
    if (all.data && !all.loading && q) announce(tn("sessions.shown", all.items.length));
  }, [all.data, all.loading]);
  useKeys({ j: (event) => move(event, list.current, 1), k: (event) => move(event, list.current, -1) });
  const arrows = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, Home: "home", End: "end" }[event.key];
    if (by && move(event, list.current, by)) event.preventDefault();
  };
  return html`<div class="sessions">
    <h1 tabindex="-1" class="sr">${t("nav.sessions")}</h1>
    <${Filters} query=${route.query} namespaces=${names.map((one) => one.namespace)} />
    ${all.error && html`<${Failed} error=${all.error} retry=${all.reload} />`}
    ${!all.data && !all.error && html`<${Loading} />`}
    ${all.data && all.items.length === 0 && html`<${NoSessions} filtered=${q || wanted || namespace} />`}
    <ul class="session-list" aria-label=${t("sessions.list")} aria-busy=${all.loading} ref=${list}
      onKeyDown=${arrows} hidden=${all.items.length === 0}>
      ${all.items.map((item) => html`<${Row} key=${`${item.namespace}/${item.session}`} item=${item}
        query=${q} several=${several} />`)}
    </ul>
    ${all.more && html`<p class="row more"><button onClick=${all.more} disabled=${all.loading}>
      ${all.loading ? t("loading") : t("sessions.more")}</button></p>`}
  </div>`;
}

function NoSessions({ filtered }) {
  if (!filtered) {
    return html`<${Empty}><p>${t("sessions.none")}</p><p class="small">${t("sessions.none.how")}</p><//>`;
  }
  const clear = () => {
    set({ namespace: "" });
    setQuery({ q: null, state: null, namespace: null });
  };
  return html`<${Empty}><p>${t("sessions.no_match")}</p>
    <button onClick=${clear}>${t("sessions.clear")}</button><//>`;
}
