// Shortcuts: single keys, which hold while no text is typed and can be turned off.
import { useEffect, useRef } from "./ui.js";
import { state } from "./store.js";

const TYPED_IN = "input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";

// `bindings` are {key: action}; a key is that of the event ("j", "?", "Escape"). An action that
// returns false did not take the key. A part that is drawn later is asked first.
const all = [];

export function useKeys(bindings) {
  const latest = useRef(bindings);
  latest.current = bindings;
  useEffect(() => {
    const entry = () => latest.current;
    all.push(entry);
    return () => all.splice(all.indexOf(entry), 1);
  }, []);
}

let waiting = ""; // "g" was pressed: the next key says where to go

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  const typing = event.target.closest?.(TYPED_IN);
  if (typing && event.key !== "Escape") return;
  if (!state.shortcuts && event.key.length === 1) return;
  const key = waiting + event.key;
  waiting = event.key === "g" && !waiting ? "g" : "";
  for (const bindings of [...all].reverse()) {
    const action = bindings()[key];
    if (action && action(event) !== false) {
      event.preventDefault();
      return;
    }
  }
}

window.addEventListener("keydown", pressed);
