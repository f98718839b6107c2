// A list of any length: pages of 100 rows are fetched when they are near the screen, what is far
// is an empty space as high as it would be, and what is looked at stays where it is.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../ui.js";
import { t } from "../words.js";
import { Pages } from "./page_cache.js";
import { Places } from "./page_places.js";

const MARGIN = 600; // pixels above and below the screen that are drawn too
const PAUSE = 70; // milliseconds of rest before pages are fetched, when it is scrolled fast

// `total` rows come from `fetch(start, limit, signal)`; `resetKey` names what they are of.
// `row(item, index)` draws one: {key, body, className}, or null to leave it out.
// While `waiting()` says so nothing is fetched: where it begins is not known yet.
// `active` is the index of the row that the keyboard is at, `onActive(index, item)` hears of it,
// `onOpen(index, item)` of Enter and clicks. `control.current` gets {show, focus, items, first}.
export function PagedList(props) {
  const { total, resetKey, estimate = 64, label, className = "", active, control, version } = props;
  const scroller = useRef(null);
  const [, redraw] = useState(0);
  const draw = () => redraw((count) => count + 1);
  const made = useRef(null);
  if (!made.current || made.current.resetKey !== resetKey) {
    made.current?.pages.stop();
    const pages = new Pages((start, limit, signal) => latest.current.fetch(start, limit, signal), draw);
    made.current = { resetKey, pages, places: new Places(estimate) };
  }
  const latest = useRef(props);
  latest.current = props;
  const { pages, places } = made.current;
  pages.resize(total);
  places.resize(total);
  const work = useRef({ timer: 0, frame: 0, wanted: null });

  const range = () => {
    const node = scroller.current;
    const top = node ? node.scrollTop : 0;
    return places.range(top - MARGIN, top + (node ? node.clientHeight : 800) + MARGIN);
  };
  const onScroll = () => {
    if (work.current.frame) return;
    work.current.frame = requestAnimationFrame(() => {
      work.current.frame = 0;
      if (!scroller.current) return;
      places.scrolled(scroller.current);
      draw();
      latest.current.onScrolled?.(places.part(scroller.current));
    });
  };
  const drawn = places.drawn(range(), active);
  const held = focusedIn(scroller.current);

  useLayoutEffect(() => {
    keepFocus(scroller.current, held);
    places.measure(scroller.current);
    places.hold(scroller.current);
    const { wanted } = work.current;
    if (wanted !== null) {
      const node = scroller.current.querySelector(`[data-index="${wanted}"]`);
      if (node) {
        work.current.wanted = null;
        node.focus({ preventScroll: true });
      }
    }
  });
  useEffect(() => {
    clearTimeout(work.current.timer);
    const missing = drawn.filter((page) => !pages.has(page));
    if (missing.length && !props.waiting?.()) {
      const wait = pages.empty ? 0 : PAUSE;
      work.current.timer = setTimeout(() => pages.want(places.drawn(range(), active)), wait);
    }
    return () => clearTimeout(work.current.timer);
  });
  useEffect(() => {
    const watch = new ResizeObserver(() => {
      places.narrowed(scroller.current);
      draw();
      latest.current.onScrolled?.(places.part(scroller.current));
    });
    watch.observe(scroller.current);
    return () => {
      watch.disconnect();
      made.current.pages.stop();
    };
  }, []);
  useEffect(() => {
    if (version !== undefined && made.current.version !== undefined && made.current.version !== version) {
      pages.renew(drawn);
    }
    made.current.version = version;
  }, [version]);

  const show = (index, align = 0.3) => {
    places.aim(index, align, scroller.current);
    draw();
  };
  const focus = (index) => {
    const node = scroller.current.querySelector(`[data-index="${index}"]`);
    if (node) {
      node.focus({ preventScroll: true });
      if (places.reveal(node, scroller.current)) draw();
      return;
    }
    work.current.wanted = index;
    scroller.current.focus({ preventScroll: true });
    show(index);
  };
  if (control) control.current = { show, focus, item: (index) => pages.item(index), part: () => places.part(scroller.current) };

  const at = pages.item(active);
  const reachable = at && (!props.visible || props.visible(at)); // else the list itself takes the Tab key
  const step = useListKeys({ latest, pages, focus });
  return html`<div class=${`paged ${className}`} role="listbox" aria-label=${label} ref=${scroller}
    aria-busy=${drawn.some((page) => !pages.has(page))} tabindex=${reachable ? -1 : 0} onScroll=${onScroll}
    onKeyDown=${step}>
    ${spaced(drawn, places).map((part) =>
      part.space !== undefined
        ? html`<div key=${`space-${part.from}`} role="presentation" style=${{ height: `${part.space}px` }}></div>`
        : html`<${Page} key=${`page-${part.page}`} page=${part.page} pages=${pages} places=${places}
            props=${latest.current} />`,
    )}
  </div>`;
}

// Which row has the focus: a number, "list" for the list itself, or null.
function focusedIn(scroller) {
  const at = document.activeElement;
  if (!scroller || !scroller.contains(at)) return null;
  return at === scroller ? "list" : (at.closest("[data-index]")?.dataset.index ?? null);
}

// Pages that come and go move their neighbours, and what is moved loses the focus: give it back.
function keepFocus(scroller, held) {
  const lost = document.activeElement === document.body || !document.activeElement;
  if (held === null || !lost) return; // elsewhere it was moved on purpose
  const row = scroller.querySelector(`[data-index="${held}"]`);
  (row ?? scroller).focus({ preventScroll: true });
}

function useListKeys({ latest, pages, focus }) {
  return (event) => {
    const { total, active, onActive, onOpen, visible } = latest.current;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.closest("button, a, input")) return;
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -total, End: total }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      onOpen?.(active, pages.item(active));
      event.preventDefault();
    } else if (by) {
      event.preventDefault();
      const index = next(active, by, total, (at) => !visible || !pages.item(at) || visible(pages.item(at)));
      onActive(index, pages.item(index));
      focus(index);
    }
  };
}

// The row `by` rows away, and past those that are not shown.
export function next(from, by, total, shown) {
  const step = Math.sign(by);
  let index = Math.max(0, Math.min(total - 1, from + by));
  while (!shown(index) && index + step >= 0 && index + step < total) index += step;
  return shown(index) ? index : from;
}

function spaced(drawn, places) {
  const parts = [];
  let at = 0;
  for (const page of drawn) {
    const gap = places.top(page) - places.top(at);
    if (gap > 0) parts.push({ space: gap, from: at });
    parts.push({ page });
    at = page + 1;
  }
  const rest = places.whole - places.top(at);
  if (rest > 0) parts.push({ space: rest, from: "end" });
  return parts;
}

function Page({ page, pages, places, props }) {
  const items = pages.get(page);
  const failed = pages.failed(page);
  if (!items) {
    return html`<div class="page placeholder" role="presentation" data-page=${page} data-empty
      style=${{ height: `${places.height(page)}px` }}>
      ${failed && html`<p class="page-failed"><span class="bad">${t("page.failed")}</span>
        <button onClick=${() => pages.again(page)}>${t("try_again")}</button></p>`}
    </div>`;
  }
  const first = page * pages.length;
  const rows = items.map((item, at) => rowOf(item, first + at, props)).filter(Boolean);
  const hidden = items.length - rows.length;
  return html`<div class="page" role="presentation" data-page=${page}>
    ${rows}
    ${rows.length === 0 && html`<p class="page-hidden dim small">${t("page.hidden", { count: hidden })}</p>`}
  </div>`;
}

function rowOf(item, index, { row, total, active, selected, onActive, onOpen }) {
  const drawn = row(item, index);
  if (!drawn) return null;
  const open = (event) => {
    if (event.target.closest("a, button")) return;
    onActive(index, item);
    onOpen?.(index, item);
  };
  return html`<div key=${drawn.key} role="option" class=${`paged-row ${drawn.className || ""}`}
    data-index=${index} tabindex=${index === active ? 0 : -1} aria-selected=${index === selected}
    aria-posinset=${index + 1} aria-setsize=${total} onClick=${open}
    onFocus=${() => index !== active && onActive(index, item)}>${drawn.body}</div>`;
}
