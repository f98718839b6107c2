// One piece of a window: what it is of, what it takes, and its text as it was sent.
import { html, useEffect, useState } from "../ui.js";
import { useData } from "../data.js";
import { RoleBadge } from "../parts/fates.js";
import { number } from "../parts/format.js";
import { Icon } from "../parts/icons.js";
import { Said } from "../parts/message.js";
import { unready } from "../parts/states.js";
import { PartSwatch } from "../parts/token_bar.js";
import { sessionHref } from "../router.js";
import { name, t } from "../words.js";

const LISTED = 12; // versions that are named

function Versions({ versions, route, turn }) {
  const shown = versions.slice(0, LISTED);
  return html`<p class="piece-versions small dim">${t("window.versions")} ${shown.map((version) => html`<a key=${version}
    href=${sessionHref(route.namespace, route.session, "conversation", { turn, message: version })}>@${version}</a> `)}
    ${versions.length > LISTED && t("window.versions.more", { count: versions.length - LISTED })}</p>`;
}

function Tools({ tools }) {
  return html`<div class="said">${tools.map((tool, at) => html`<pre key=${at}>${JSON.stringify(tool, null, 2)}</pre>`)}</div>`;
}

function Sent({ piece, call, base, route }) {
  const params = { namespace: route.namespace, start: piece.index, limit: 1 };
  const answer = useData(`${base}/calls/${call.number}/window`, params);
  const waiting = unready(answer);
  if (waiting) return waiting;
  const item = answer.data.items[0];
  const tools = piece.part === "tools" && answer.data.tools?.length;
  return html`${tools ? html`<${Tools} tools=${answer.data.tools} />` : html`<${Said} message=${item || { text: piece.label }} />`}
    ${item?.cut && html`<p class="dim small">${t("message.cut")}</p>`}
    ${piece.versions.length > 0 && html`<${Versions} versions=${piece.versions} route=${route} turn=${call.number} />`}`;
}

export function Piece({ piece, call, base, route, open, ends }) {
  const [shown, setShown] = useState(open);
  useEffect(() => setShown(open), [open]);
  const id = `piece-${piece.index}`;
  const form = piece.form !== "verbatim" && piece.part !== "reserved" ? name("form", piece.form) : "";
  const able = piece.part !== "reserved";
  return html`<li class="piece ${piece.cached ? "is-cached" : ""}">
    <button class="plain piece-head" aria-expanded=${shown} aria-controls=${id} disabled=${!able} onClick=${() => setShown(!shown)}>
      <${Icon} name=${shown ? "shut" : "open"} />
      <span class="piece-part"><${PartSwatch} part=${piece.part} />${name("part", piece.part)}</span>
      <span class="piece-role">${piece.role && html`<${RoleBadge} role=${piece.role} />`}</span>
      <span class="piece-label">${form && html`<span class="piece-form dim">${form}</span>`} ${piece.label || t("window.framing")}</span>
      <span class="number">${number(piece.tokens)}<span class="sr"> ${t("tokens.word")}${piece.cached ? `, ${t("window.cached")}` : ""}</span></span>
    </button>
    <div id=${id} class="piece-text" hidden=${!shown}>${shown && able && html`<${Sent} piece=${piece} call=${call} base=${base} route=${route} />`}</div>
    ${ends && html`<p class="cache-end">↑ ${t("window.cache_ends")}</p>`}
  </li>`;
}
