// The words of the interface: t("key", {name: value}) in the chosen language.
import { state } from "./store.js";
import { en } from "./words/en.js";
import { enInsights } from "./words/insights_en.js";
import { enReport } from "./words/report_en.js";
import { zhReport } from "./words/report_zh.js";
import { zhInsights } from "./words/insights_zh.js";
import { zh } from "./words/zh.js";

const TABLES = { en: { ...en, ...enInsights, ...enReport }, zh: { ...zh, ...zhInsights, ...zhReport } };

export function has(key) {
  return key in TABLES[state.lang];
}

export function t(key, values = {}) {
  const text = TABLES[state.lang][key];
  if (text === undefined) throw new Error(`There are no words for ${JSON.stringify(key)}.`);
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}

// Words that depend on a number: "key.one" for one of it, else "key"; {count} is the number.
export function tn(key, count, values = {}) {
  const one = `${key}.one`;
  return t(count === 1 && has(one) ? one : key, { count: count.toLocaleString("en"), ...values });
}

// The name of a kind that may be one this page does not know: shown as it is then.
export function name(prefix, kind) {
  const key = `${prefix}.${kind}`;
  return has(key) ? t(key) : String(kind);
}
