// Tabs that are links: each has an address, so they are a navigation, not an ARIA tab list.
import { html, useEffect, useRef } from "../ui.js";

// `items` are [{name, label, href}]; `current` is the name of the one shown.
export function Tabs({ label, items, current }) {
  const bar = useRef(null);
  useEffect(() => {
    const shown = bar.current.querySelector('[aria-current="page"]');
    if (shown) bar.current.scrollLeft = shown.offsetLeft - 48; // on a narrow screen it may be outside
  }, [current]);
  return html`<nav class="tabs more-beside" aria-label=${label} ref=${bar}>
    ${items.map(
      (item) => html`<a key=${item.name} href=${item.href}
        aria-current=${item.name === current ? "page" : null}>${item.label}</a>`,
    )}
  </nav>`;
}
