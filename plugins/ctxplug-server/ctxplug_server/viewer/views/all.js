// The views by name, and which of them is meant by an address.
import { html } from "../ui.js";
import { Empty } from "../parts/states.js";
import { source } from "../source.js";
import { t } from "../words.js";
import { MemoriesView } from "./memories.js";
import { MonitoringView } from "./monitoring.js";
import { SessionView } from "./session.js";
import { SessionsView } from "./sessions.js";

const VIEWS = {
  sessions: SessionsView,
  memories: MemoriesView,
  monitoring: MonitoringView,
};

const always = () => true;
const onServer = () => !source.readonly;

// The navigation, in order.
export const PAGES = [
  { name: "sessions", shown: always },
  { name: "memories", shown: always },
  { name: "monitoring", shown: onServer },
].filter((page) => page.name in VIEWS);

function Nowhere() {
  return html`<h1 tabindex="-1">${t("nowhere")}</h1>
    <${Empty}><p>${t("nowhere.why")}</p><a href="#/sessions">${t("nav.sessions")}</a><//>`;
}

// Under which entry of the navigation an address stands.
export function placeOf(route) {
  return route.name === "session" ? "sessions" : route.name;
}

export function viewOf(route) {
  if (route.name === "session") {
    const title = `${route.session} · ${t(`tab.${route.tab}`)}`;
    return { View: SessionView, title, key: `${route.namespace}/${route.session}` };
  }
  const View = VIEWS[route.name];
  if (!View) return { View: Nowhere, title: t("nowhere"), key: "nowhere" };
  return { View, title: t(`nav.${route.name}`), key: route.name };
}
