// A text with the words that were searched for marked in it.
import { html } from "../ui.js";

export function Marked({ text, words }) {
  const found = (words || "").split(/\s+/).filter(Boolean).map((one) => one.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!found.length) return text;
  const parts = text.split(new RegExp(`(${found.join("|")})`, "gi"));
  return parts.map((part, index) => (index % 2 ? html`<mark>${part}</mark>` : part));
}
