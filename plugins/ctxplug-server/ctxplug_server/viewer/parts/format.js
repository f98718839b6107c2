// Numbers, times and sizes as they are read, in the chosen language.
import { state } from "../store.js";
import { t } from "../words.js";

const locale = () => (state.lang === "zh" ? "zh-CN" : "en");

// 1,234
export function number(value) {
  return value == null ? "–" : Number(value).toLocaleString(locale());
}

// 950, 3.4k, 1.2M
export function short(value) {
  if (value == null) return "–";
  if (value < 1000) return String(Math.round(value));
  const [divided, unit] = value < 999_500 ? [value / 1000, "k"] : [value / 1_000_000, "M"];
  return `${divided < 10 ? divided.toFixed(1) : Math.round(divided)}${unit}`;
}

// 42%
export function share(part, whole) {
  return whole ? `${Math.round((100 * part) / whole)}%` : "–";
}

// $0.0123; small ones keep two figures
export function cost(value) {
  if (value == null) return "–";
  const digits = value === 0 || value >= 1 ? 2 : value >= 0.01 ? 4 : 6;
  return `$${Number(value).toFixed(digits)}`;
}

// $0.002: as short as it goes, for an axis
export function price(value) {
  return `$${Number(value.toPrecision(3))}`;
}

// 12 ms, 3.4 s, 2 min 5 s; given in seconds
export function duration(seconds) {
  if (seconds == null) return "–";
  if (seconds < 0.0095) return t("ms", { count: (seconds * 1000).toFixed(1) });
  if (seconds < 1) return t("ms", { count: Math.round(seconds * 1000) });
  if (seconds < 60) return t("seconds", { count: seconds.toFixed(seconds < 10 ? 1 : 0) });
  const minutes = Math.floor(seconds / 60);
  return t("minutes", { count: minutes, seconds: Math.round(seconds - 60 * minutes) });
}

// 2024-05-01 09:30:12, in the time zone of the reader
export function time(iso, { seconds = true } = {}) {
  if (!iso) return "–";
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return String(iso);
  const two = (value) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return `${day} ${clock}${seconds ? `:${two(date.getSeconds())}` : ""}`;
}

const STEPS = [
  [60, "second", 1],
  [3600, "minute", 60],
  [86_400, "hour", 3600],
  [86_400 * 30, "day", 86_400],
  [86_400 * 365, "month", 86_400 * 30],
  [Infinity, "year", 86_400 * 365],
];

// 5 minutes ago
export function ago(iso, now = Date.now()) {
  const passed = (now - new Date(iso).getTime()) / 1000;
  if (Number.isNaN(passed)) return "–";
  const [, unit, length] = STEPS.find(([below]) => Math.abs(passed) < below);
  const words = new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" });
  return words.format(-Math.round(passed / length), unit);
}
