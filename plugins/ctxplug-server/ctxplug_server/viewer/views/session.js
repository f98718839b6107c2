// One session: its name and figures, its tabs, and the tab that is shown.
import { html, useEffect } from "../ui.js";
import { useData } from "../data.js";
import { useKeys } from "../keys.js";
import { StateBadge } from "../parts/fates.js";
import { number, time } from "../parts/format.js";
import { LiveSwitch } from "../parts/live_switch.js";
import { Failed, Loading } from "../parts/states.js";
import { Tabs } from "../parts/tabs.js";
import { go, sessionHref, TABS } from "../router.js";
import { source } from "../source.js";
import { t, tn } from "../words.js";
import { TAB_VIEWS } from "./session_tabs.js";

export function pathOf(session) {
  return `/v1/view/sessions/${encodeURIComponent(session)}`;
}

// The tabs there are, with the turn that is looked at kept on the way from one to the other.
function tabsOf({ namespace, session, query }) {
  return TABS.filter((name) => name in TAB_VIEWS).map((name) => ({
    name,
    label: t(`tab.${name}`),
    href: sessionHref(namespace, session, name, { turn: query.turn }),
  }));
}

function Figures({ overview }) {
  const { parent, forked } = overview;
  return html`<ul class="session-figures dim small">
    <li>${tn("count.turns", overview.turns ?? 0)}</li>
    <li>${tn("count.messages", overview.messages ?? 0)}</li>
    ${overview.budget && html`<li>${t("budget", { count: number(overview.budget) })}</li>`}
    ${overview.policy && html`<li>${t("policy", { name: overview.policy })}</li>`}
    ${parent && html`<li><a href=${sessionHref(overview.namespace, parent)}>
      ${t("sessions.fork", { parent, version: forked })}</a></li>`}
    <li title=${overview.counter && t("counted_by", { name: overview.counter })}>
      ${t("updated", { time: time(overview.updated_at, { seconds: false }) })}</li>
  </ul>`;
}

const AGAIN = 20; // milliseconds until it is asked how far a long log is read: each answer has read on for a while

function useReadOn({ data, loading, reload }) {
  useEffect(() => {
    if (!data || loading || data.whole !== false) return undefined;
    const timer = setTimeout(reload, AGAIN);
    return () => clearTimeout(timer);
  }, [data, loading]);
}

export function SessionView({ route }) {
  const { namespace, session, tab } = route;
  const params = { namespace };
  const base = pathOf(session);
  const answer = useData(base, params);
  useReadOn(answer);
  const tabs = tabsOf(route);
  const keys = Object.fromEntries(tabs.map((one, index) => [index + 1, () => go(one.href)]));
  useKeys(keys);
  const View = TAB_VIEWS[tab] ?? TAB_VIEWS.conversation;
  const overview = answer.data;
  return html`<div class="session">
    <div class="session-head">
      <p class="crumbs small"><a href="#/sessions">${t("nav.sessions")}</a>
        <span aria-hidden="true"> › </span><span class="dim">${namespace}</span></p>
      <div class="session-name">
        <h1 tabindex="-1">${session}</h1>
        ${overview && html`<${StateBadge} state=${overview.state} />`}
        ${overview && html`<${Figures} overview=${overview} />`}
        ${overview && !source.readonly &&
        html`<${LiveSwitch} namespace=${namespace} session=${session} reload=${answer.reload} />`}
      </div>
      <${Tabs} label=${t("tabs")} items=${tabs} current=${tab} />
    </div>
    ${answer.error && html`<${Failed} error=${answer.error} retry=${answer.reload} />`}
    ${!answer.error && !overview && html`<${Loading} />`}
    ${overview && View &&
    html`<${View} key=${tab} route=${route} overview=${overview} base=${base} params=${params} />`}
  </div>`;
}
