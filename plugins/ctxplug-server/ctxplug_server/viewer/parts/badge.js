// A short word in a tone, with a sign, so that the colour never stands alone.
import { html } from "../ui.js";
import { Sign } from "./signs.js";

// `sign` is the name of one of signs.js.
export function Badge({ tone = "dim", sign = "", title, children }) {
  return html`<span class="badge tone-${tone}" title=${title}>${sign && html`<${Sign} name=${sign} />`}<span>${children}</span></span>`;
}
