// What all parts of the page share: what was chosen (remembered), and what is announced.
import { useEffect, useState } from "./ui.js";

const KEPT_UNDER = "ctxplug.viewer";
const KEPT = ["theme", "lang", "shortcuts", "namespace"];
const listeners = new Set();

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEPT_UNDER) || "{}");
  } catch {
    return {};
  }
}

function browserLanguage() {
  const named = document.documentElement.dataset.lang; // by a report
  const first = named || (navigator.languages && navigator.languages[0]) || navigator.language || "en";
  return first.toLowerCase().startsWith("zh") ? "zh" : "en";
}

const kept = remembered();

export const state = {
  theme: ["light", "dark"].includes(kept.theme) ? kept.theme : "system",
  lang: ["en", "zh"].includes(kept.lang) ? kept.lang : browserLanguage(),
  shortcuts: kept.shortcuts !== false, // single keys do something
  namespace: typeof kept.namespace === "string" ? kept.namespace : "", // "": all that are visible
  announced: "", // said by the live region
  dialog: null, // "help" or "key", or null
  keyRefused: false, // the key was asked for again because it was refused
  live: "off", // "off", "connecting", "on", "lost": of the live mode
  following: false, // live mode: the newest is shown as it comes
};

export function set(changes) {
  Object.assign(state, changes);
  if (Object.keys(changes).some((name) => KEPT.includes(name))) {
    const all = Object.fromEntries(KEPT.filter((n) => n in state).map((n) => [n, state[n]]));
    try {
      localStorage.setItem(KEPT_UNDER, JSON.stringify(all));
    } catch {
      // closed storage: the choice holds until the page is left
    }
  }
  if (changes.theme) {
    if (changes.theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = changes.theme;
  }
  if (changes.lang) document.documentElement.lang = changes.lang === "zh" ? "zh-CN" : "en";
  for (const listener of [...listeners]) listener();
}

document.documentElement.lang = state.lang === "zh" ? "zh-CN" : "en";

// The state; the component is drawn again when one of the named values changes.
export function useStore(...names) {
  const [, redraw] = useState(0);
  useEffect(() => {
    let before = names.map((name) => state[name]);
    const listener = () => {
      const now = names.map((name) => state[name]);
      if (now.some((value, index) => value !== before[index])) {
        before = now;
        redraw((count) => count + 1);
      }
    };
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return state;
}

// Say something to those who hear the page; the same text twice is said twice.
export function announce(text) {
  set({ announced: state.announced === text ? text + "\u00a0" : text });
}
