// Where in the page we are, kept in the address: #/s/NAMESPACE/SESSION/TAB?turn=12
import { useEffect, useState } from "./ui.js";

export const TABS = ["conversation", "window", "steps", "charts", "compare", "findings"];

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // typed by hand, with a lone %
  }
}

export function parse(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean).map(decoded);
  const query = Object.fromEntries(new URLSearchParams(search));
  if (parts[0] === "s" && parts.length >= 3) {
    const tab = TABS.includes(parts[3]) ? parts[3] : "conversation";
    return { name: "session", namespace: parts[1], session: parts[2], tab, query };
  }
  return { name: parts[0] || "sessions", rest: parts.slice(1), query };
}

function search(query) {
  const kept = Object.entries(query || {}).filter(([, value]) => value != null && value !== "");
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
}

export function sessionHref(namespace, session, tab = "conversation", query = {}) {
  const parts = [namespace, session, tab].map(encodeURIComponent);
  return `#/s/${parts.join("/")}${search(query)}`;
}

export function href(name, query = {}, ...rest) {
  return `#/${[name, ...rest].map(encodeURIComponent).join("/")}${search(query)}`;
}

export function go(to, { replace = false } = {}) {
  if (to === location.hash) return;
  if (!replace) {
    location.hash = to;
    return;
  }
  history.replaceState(null, "", to);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

// Change what stands behind the "?" of where we are; null takes a value out. Makes no history.
export function setQuery(changes) {
  const [path] = location.hash.split("?", 1);
  const query = { ...parse(location.hash).query, ...changes };
  go(`${path || "#/sessions"}${search(query)}`, { replace: true });
}

export function useRoute() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const listener = () => setHash(location.hash);
    window.addEventListener("hashchange", listener);
    listener();
    return () => window.removeEventListener("hashchange", listener);
  }, []);
  return parse(hash);
}
