// The window of the chosen turn: its bar, what its parts take, and its pieces in their order.
import { html, useEffect, useState } from "../ui.js";
import { number, share } from "../parts/format.js";
import { Badge } from "../parts/badge.js";
import { Failed, Loading } from "../parts/states.js";
import { PARTS, PartSwatch } from "../parts/token_bar.js";
import { TurnBar } from "../parts/turn_bar.js";
import { sessionHref } from "../router.js";
import { name, t } from "../words.js";
import { Piece } from "./piece.js";
import { TurnFacts } from "./turn_facts.js";
import { useTurn } from "./turns.js";

const SHOWN = 200; // pieces that are drawn at once

function Legend({ call }) {
  const free = Math.max(0, (call.limit ?? call.budget) - call.tokens);
  const parts = PARTS.filter((part) => call.parts[part]);
  return html`<table class="table window-parts">
    <caption class="sr">${t("window.parts")}</caption>
    <thead class="sr"><tr><th scope="col">${t("window.part")}</th><th scope="col">${t("tokens.word")}</th><th scope="col">%</th></tr></thead>
    <tbody>
      ${parts.map((part) => html`<tr key=${part}>
        <th scope="row"><${PartSwatch} part=${part} /> ${name("part", part)}</th>
        <td class="number">${number(call.parts[part])}</td>
        <td class="number dim">${share(call.parts[part], call.budget)}</td></tr>`)}
      <tr><th scope="row"><span class="swatch free-swatch" aria-hidden="true"></span> ${t("part.free")}</th>
        <td class="number">${number(free)}</td><td class="number dim">${share(free, call.budget)}</td></tr>
      ${call.limit < call.budget && html`<tr><th scope="row"><span class="swatch margin-swatch" aria-hidden="true"></span> ${t("part.margin")}</th>
        <td class="number">${number(call.budget - call.limit)}</td>
        <td class="number dim">${share(call.budget - call.limit, call.budget)}</td></tr>`}
    </tbody>
  </table>`;
}

function Recalled({ call, namespace }) {
  if (!call.recalled?.length) return null;
  return html`<section class="window-side-block">
    <h2>${t("part.recalled")}</h2>
    ${call.query && html`<p class="dim small">${t("window.query", { query: call.query })}</p>`}
    <ul class="window-recalled">${call.recalled.map((one) => html`<li key=${one.id}>
      ${one.version
        ? html`<a href=${sessionHref(namespace, one.session, "conversation", { message: one.version })}>@${one.version}${one.session ? ` · ${one.session}` : ""}</a>`
        : html`<${Badge} tone="recalled" sign="back">${one.kind || t("window.gone")}<//>`}
      ${one.content && html`<span class="window-recalled-text">${one.content}</span>`}</li>`)}</ul>
  </section>`;
}

function Notes({ call }) {
  if (!call.notes?.length) return null;
  return html`<section class="window-side-block"><h2>${t("window.notes")}</h2>
    <ul>${call.notes.map((note) => html`<li>${note}</li>`)}</ul></section>`;
}

function Pieces({ call, base, route }) {
  const [shown, setShown] = useState(SHOWN);
  const [all, setAll] = useState(false);
  useEffect(() => setShown(SHOWN), [call.number]);
  const pieces = call.pieces.slice(0, shown);
  const rest = call.pieces.length - pieces.length;
  const cached = call.cached?.pieces ?? 0;
  return html`<section class="window-pieces" aria-labelledby="pieces-title">
    <div class="row window-pieces-head"><h2 id="pieces-title" class="grow">${t("window.pieces", { count: number(call.pieces.length) })}</h2>
      <button aria-pressed=${all} onClick=${() => setAll(!all)}>${t("window.texts")}</button></div>
    <ol class="pieces">
      ${pieces.map((piece, at) => html`<${Piece} key=${`${call.number}-${piece.index ?? at}`} piece=${piece} call=${call} base=${base}
        route=${route} open=${all} ends=${at === cached - 1} />`)}
    </ol>
    ${rest > 0 && html`<p class="row more"><button onClick=${() => setShown(shown + SHOWN)}>${t("window.more", { count: number(rest) })}</button></p>`}
  </section>`;
}

export function WindowView({ route, overview, base }) {
  const at = useTurn({ overview, base, route });
  const { call } = at;
  return html`<div class="window">
    <${TurnBar} at=${at}><${TurnFacts} at=${at} labels=${true} /><//>
    ${at.error && !call && html`<${Failed} error=${at.error} retry=${at.reload} />`}
    ${!call && !at.error && at.turns > 0 && html`<${Loading} text=${t("turn.computing")} />`}
    ${call && !call.error && html`<div class="window-body">
      <div class="window-side"><${Legend} call=${call} /><${Recalled} call=${call} namespace=${route.namespace} /><${Notes} call=${call} /></div>
      <${Pieces} call=${call} base=${base} route=${route} />
    </div>`}
  </div>`;
}
