// The page: frame, navigation, what is chosen, and the view that the address names.
import { html, render, useEffect, useRef } from "./ui.js";
import { useKeys } from "./keys.js";
import { Help } from "./parts/help.js";
import { KeyPrompt } from "./parts/key_prompt.js";
import { Icon } from "./parts/icons.js";
import { ReportNote } from "./parts/report_note.js";
import { go, href, useRoute } from "./router.js";
import { source } from "./source.js";
import { announce, set, state, useStore } from "./store.js";
import { PAGES, placeOf, viewOf } from "./views/all.js";
import { t } from "./words.js";

const THEMES = ["system", "light", "dark"];

function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length];
  set({ theme });
  announce(t(`theme.${theme}`));
}

function nextLanguage() {
  set({ lang: state.lang === "zh" ? "en" : "zh" });
  announce(t("language.now"));
}

function Brand() {
  return html`<a class="brand" href="#/sessions" aria-label="ctxplug">
    <svg viewBox="0 0 16 16" aria-hidden="true">
      <rect class="b1" x="0" y="3" width="7" height="10" rx="1.5" />
      <rect class="b2" x="8" y="3" width="3" height="10" rx="1" />
      <rect class="b3" x="12" y="3" width="4" height="10" rx="1" />
    </svg>
    <span class="wide-only">ctxplug</span>
  </a>`;
}

function Header({ route }) {
  const { theme } = state;
  const current = placeOf(route);
  return html`<header class="shell-header">
    <${Brand} />
    <nav class="shell-nav" aria-label=${t("nav")}>
      ${PAGES.filter((page) => page.shown()).map(
        ({ name }) => html`<a key=${name} href=${href(name)}
          aria-current=${current === name ? "page" : null}
          ><${Icon} name=${name} /><span>${t(`nav.${name}`)}</span></a>`,
      )}
    </nav>
    <div class="shell-tools">
      <button class="plain icon" onClick=${nextTheme} title=${t(`theme.${theme}`)}
        aria-label=${t(`theme.${theme}`)}><${Icon} name=${theme} /></button>
      <button class="plain" onClick=${nextLanguage} lang=${state.lang === "zh" ? "en" : "zh-CN"}
        title=${t("language.other.why")}>${t("language.other")}</button>
      <button class="plain icon" onClick=${() => set({ dialog: "help" })} title=${t("help")}
        aria-label=${t("help")}><${Icon} name="help" /></button>
    </div>
  </header>`;
}

function focusMain() {
  (document.querySelector("main h1") || document.getElementById("main")).focus();
}

// A new view: its heading gets the focus, unless the page has just come.
function useArrival(route) {
  const place = [route.name, route.namespace, route.session, route.tab].join("/");
  const first = useRef(true);
  useEffect(() => {
    if (first.current) first.current = false;
    else if (!document.activeElement?.closest?.(".tabs, .shell-nav")) focusMain();
    if (!first.current) announce(document.title);
    window.scrollTo(0, 0);
  }, [place]);
}

function App() {
  useStore("lang", "theme", "dialog", "shortcuts");
  const route = useRoute();
  useArrival(route);
  useKeys({
    "?": () => set({ dialog: "help" }),
    gs: () => go(href("sessions")),
    gm: () => go(href("memories")),
    go: () => !source.readonly && go(href("monitoring")),
    t: nextTheme,
    l: nextLanguage,
    "/": () => {
      const field = document.querySelector("main input[type=search]");
      if (!field) return false;
      field.focus();
      field.select();
      return true;
    },
  });
  const { View, title, key } = viewOf(route);
  useEffect(() => {
    document.title = title ? `${title} · ctxplug` : "ctxplug";
  });
  const skip = (event) => {
    event.preventDefault();
    focusMain();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>${t("skip")}</a>
    <${Header} route=${route} />
    <${ReportNote} />
    <main id="main" tabindex="-1"><${View} key=${key} route=${route} /></main>
    ${state.dialog === "help" && html`<${Help} onClose=${() => set({ dialog: null })} />`}
    ${state.dialog === "key" && html`<${KeyPrompt} />`}
    <${Announcer} />
  `;
}

function Announcer() {
  const { announced } = useStore("announced");
  return html`<div class="sr" role="status" aria-live="polite">${announced}</div>`;
}

render(html`<${App} />`, document.getElementById("app"));
