// One row of the conversation: a message with its fate, or a line for what else the log has.
import { html } from "../ui.js";
import { FateBadge, RoleBadge, toneOf } from "../parts/fates.js";
import { number, time } from "../parts/format.js";
import { Icon } from "../parts/icons.js";
import { markText, Said } from "../parts/message.js";
import { runOf } from "../runs.js";
import { t } from "../words.js";

const SHOWN = 700; // characters of each text in a row

// Returns the function that draws a row of the list, for the window of one turn.
export function messageRow({ runs, head, visible, open }) {
  return (item) => {
    if (!visible(item)) return null;
    if (item.kind === "mark") return mark(item);
    const fate = runOf(runs, item.version)?.[2];
    const later = fate === "later" ? "is-later" : "";
    const last = item.version === head ? "is-head" : "";
    const shown = item.version === open ? "is-open" : "";
    return {
      key: item.version,
      className: `message tone-${fate ? toneOf(fate) : "unknown"} ${later} ${last} ${shown}`,
      body: html`<${Row} item=${item} fate=${fate} />`,
    };
  };
}

function mark(item) {
  return {
    key: item.version,
    className: `log-mark ${item.mark === "compaction" ? "is-compaction" : ""}`,
    body: html`<span class="log-mark-text">${markText(item.mark, item.data)}</span>`,
  };
}

function Row({ item, fate }) {
  const who = item.role === "tool" ? null : item.name;
  return html`<div class="message-who">
      <${RoleBadge} role=${item.role} who=${who} />
      <span class="message-version mono dim" title=${time(item.at)}>@${item.version}</span>
      ${item.pinned && html`<span class="dim" title=${t("pinned")}><${Icon} name="pin" /><span class="sr">${t("pinned")}</span></span>`}
    </div>
    <${Said} message=${item} most=${SHOWN} />
    <div class="message-fate">
      ${fate && html`<${FateBadge} fate=${fate} />`}
      <span class="dim small number" title=${t("tokens", { count: number(item.tokens) })}>${number(item.tokens)}<span class="sr"> ${t("tokens.word")}</span></span>
    </div>`;
}
