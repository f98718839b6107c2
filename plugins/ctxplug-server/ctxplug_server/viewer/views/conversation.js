// The conversation: every message, and what became of it in the window of the chosen turn.
import { html, useMemo, useRef, useState } from "../ui.js";
import { useKeys } from "../keys.js";
import { FateCounts } from "../parts/fate_counts.js";
import { useFollowing } from "../parts/following.js";
import { Minimap } from "../parts/minimap.js";
import { PagedList } from "../parts/paged_list.js";
import { Failed } from "../parts/states.js";
import { TurnBar } from "../parts/turn_bar.js";
import { setQuery } from "../router.js";
import { rowNear, runOf } from "../runs.js";
import { source } from "../source.js";
import { t } from "../words.js";
import { MessageDetail } from "./message_detail.js";
import { messageRow } from "./message_row.js";
import { useReading } from "./reading.js";
import { TurnFacts } from "./turn_facts.js";
import { useTurn } from "./turns.js";

const PLAIN = new Set(["verbatim", "answer", "later"]);

function Legend({ runs, at, changed, onPick, onToggle, onTurn }) {
  return html`<div class="conversation-legend">
    <${FateCounts} runs=${runs} onPick=${onPick} />
    <div class="row">
      ${at.call && html`<button class="plain small" onClick=${onTurn}>${t("turn.show", { turn: at.call.number })}</button>`}
      <label class="check small"><input type="checkbox" checked=${changed} onChange=${onToggle} />${t("changed.only")}</label>
    </div>
  </div>`;
}

export function ConversationView({ route, overview, base, params }) {
  const at = useTurn({ overview, base, route });
  const total = overview.rows;
  const list = useRef(null);
  const [part, setPart] = useState(null); // of the rows, on the screen
  const [wide, setWide] = useState(false);
  const changed = route.query.filter === "changed";
  const runs = at.call?.fates ?? [];
  const visible = (item) => !changed || item.kind !== "message" || !PLAIN.has(runOf(runs, item.version)?.[2]);
  const reading = useReading({ route, base, params, list, at, total, visible });
  const { active, open, goTo } = reading;
  useFollowing(total, list);
  const toggle = () => setQuery({ filter: changed ? null : "changed" });
  const toTurn = () => goTo(Math.min(total - 1, rowNear(runs, at.call.head)));
  useKeys({ j: () => reading.move(1), k: () => reading.move(-1), c: toggle, Escape: reading.close });
  const toFate = (fate) => {
    const run = runs.find((one) => one[2] === fate && one[4] > active) ?? runs.find((one) => one[2] === fate);
    if (run) goTo(run[4]);
  };
  const fetchRows = async (start, limit, signal) =>
    (await source.get(`${base}/lines`, { ...params, start, limit }, { signal })).items;
  const row = useMemo(() => messageRow({ runs, head: at.call?.head, visible, open }), [at.call, changed, open]);

  return html`<div class="conversation ${open !== null ? "with-detail" : ""} ${wide ? "wide-detail" : ""}">
    <${TurnBar} at=${at}><${TurnFacts} at=${at} /><//>
    ${at.error && !at.call && html`<${Failed} error=${at.error} retry=${at.reload} />`}
    <${Legend} runs=${runs} at=${at} changed=${changed} onPick=${toFate} onToggle=${toggle} onTurn=${toTurn} />
    <div class="conversation-body">
      <${PagedList} total=${total} resetKey=${base} version=${overview.version} fetch=${fetchRows} row=${row}
        visible=${visible} label=${t("conversation.list")} className="messages" estimate=${76}
        active=${active} selected=${open === null ? -1 : active} control=${list} onScrolled=${setPart}
        waiting=${reading.waiting} onActive=${reading.follow} onOpen=${reading.openAt} />
      <${Minimap} runs=${runs} total=${total} part=${part} head=${at.call ? rowNear(runs, at.call.head) + 1 : 0}
        onPick=${(to) => list.current.show(to, 0.4)} />
      ${open !== null && html`<${MessageDetail} version=${open} turn=${at.call?.number} base=${base} params=${params}
        wide=${wide} onWide=${() => setWide(!wide)} onClose=${reading.close} />`}
    </div>
  </div>`;
}
