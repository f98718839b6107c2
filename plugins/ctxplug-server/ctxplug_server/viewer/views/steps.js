// The steps that were traced: a tree in the order of time, with durations, errors and details.
import { html, useEffect, useRef, useState } from "../ui.js";
import { useData } from "../data.js";
import { useKeys } from "../keys.js";
import { useFollowing } from "../parts/following.js";
import { PagedList } from "../parts/paged_list.js";
import { Empty, unready } from "../parts/states.js";
import { setQuery } from "../router.js";
import { source } from "../source.js";
import { announce } from "../store.js";
import { t } from "../words.js";
import { StepDetail } from "./step_detail.js";
import { StepFilters } from "./step_filters.js";
import { stepRow } from "./step_row.js";

const PAGE = 100;

// To the step of the address, where it stands among those that are shown.
function useAsked({ route, path, params, filter, list, ready, select }) {
  const done = useRef(null);
  useEffect(() => {
    const { step } = route.query;
    if (!step || !ready || done.current === step || !list.current) return;
    done.current = step;
    source.get(path, { ...params, ...filter, around: step, limit: PAGE }).then((page) => {
      const at = page.items.findIndex((item) => item.id === step);
      if (at < 0) {
        announce(t("step.none"));
        return;
      }
      list.current.show((page.start ?? 0) + at, 0.3);
      select((page.start ?? 0) + at, page.items[at]);
    }, () => announce(t("step.none")));
  }, [route.query.step, ready]);
  return done;
}

export function StepsView({ route, overview, base, params }) {
  const path = `${base}/steps`;
  const { kind, errors } = route.query;
  const filter = { kind, errors: errors ? true : null };
  const about = useData(path, { ...params, ...filter, limit: 1 }, overview.version + (overview.steps || 0));
  const list = useRef(null);
  const [active, setActive] = useState(0);
  const [open, setOpen] = useState(null);
  const total = about.data?.total ?? 0;
  const select = (index, step) => {
    setActive(index);
    setOpen(step);
  };
  const asked = useAsked({ route, path, params, filter, list, ready: total > 0, select });
  useFollowing(total, list);
  const openAt = (index, step) => {
    if (!step) return;
    select(index, step);
    asked.current = step.id;
    setQuery({ step: step.id });
  };
  const close = () => {
    if (!open) return false;
    setOpen(null);
    setQuery({ step: null });
    list.current?.focus(active);
    return true;
  };
  const move = (by) => {
    const to = Math.max(0, Math.min(total - 1, active + by));
    setActive(to);
    list.current?.focus(to);
  };
  useKeys({ j: () => move(1), k: () => move(-1), Escape: close });
  useEffect(() => setActive(0), [kind, errors]);
  const fetchRows = async (start, limit, signal) =>
    (await source.get(path, { ...params, ...filter, start, limit }, { signal })).items;
  const waiting = unready(about);
  return html`<div class="steps ${open ? "with-detail" : ""}">
    ${waiting || (overview.steps > 0 && html`<${StepFilters} about=${about.data} query=${route.query} />`)}
    ${!waiting && total === 0 && html`<${Empty}><p>${t(overview.steps ? "steps.no_match" : "steps.none")}</p><//>`}
    ${total > 0 && html`<div class="steps-body">
      <${PagedList} total=${total} resetKey=${`${base} ${kind} ${errors}`} version=${total} fetch=${fetchRows}
        row=${stepRow({ list, filtered: Boolean(kind || errors), open })} label=${t("tab.steps")} className="step-list" estimate=${32}
        active=${active} selected=${open ? active : -1} control=${list}
        onActive=${(index, step) => (open && step ? openAt(index, step) : setActive(index))} onOpen=${openAt} />
      ${open && html`<${StepDetail} step=${open} route=${route} onClose=${close} />`}
    </div>`}
  </div>`;
}
