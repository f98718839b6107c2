// useReading: where in the conversation the reader is, and which message is open beside it.
import { useEffect, useRef, useState } from "../ui.js";
import { next } from "../parts/paged_list.js";
import { setQuery } from "../router.js";
import { rowNear } from "../runs.js";
import { source } from "../source.js";
import { announce } from "../store.js";
import { t } from "../words.js";

const END = 0; // as far down as it goes: the last row whole, or from where it begins

// Where the list begins: at a message or a turn of the address, else at its end.
function useStart({ route, base, params, list, at, total, select }) {
  const done = useRef(null);
  const placed = useRef(false);
  const place = (row, align) => {
    placed.current = true;
    list.current?.show(row, align);
  };
  const { message, turn } = route.query;
  const known = at.reading === null; // else how long it is, and where it ends, is a guess
  const toMessage = () => {
    done.current = `message ${message}`;
    source.get(`${base}/messages/${message}`, params).then(
      ({ row }) => {
        place(row, 0.25);
        select(row, Number(message));
      },
      () => {
        place(total - 1, END);
        announce(t("message.none", { version: message }));
      },
    );
  };
  useEffect(() => {
    if (!total || !known || !list.current) return;
    if (message) {
      if (done.current !== `message ${message}`) toMessage();
      return;
    }
    if (done.current || (turn && !at.call)) return; // a turn's place is known with its window
    done.current = "begun";
    const row = turn ? Math.min(total - 1, rowNear(at.call.fates, at.call.head)) : total - 1;
    place(row, turn ? 0.6 : END);
    select(row, null);
  }, [message, total, known, at.call]);
  return { done, waiting: () => !placed.current };
}

// Returns what the list and its keys need; `visible(item)` says which rows are shown.
export function useReading({ route, base, params, list, at, total, visible }) {
  const [active, setActive] = useState(Math.max(0, total - 1));
  const [open, setOpen] = useState(null); // the version of the message beside
  const select = (row, version) => {
    setActive(row);
    if (version !== null) setOpen(version);
  };
  const { done, waiting } = useStart({ route, base, params, list, at, total, select });
  const openAt = (row, item) => {
    if (!item || item.kind !== "message") return;
    setOpen(item.version);
    done.current = `message ${item.version}`;
    setQuery({ message: item.version });
  };
  const close = () => {
    if (open === null) return false;
    setOpen(null);
    done.current = "begun";
    setQuery({ message: null });
    list.current.focus(active);
    return true;
  };
  const goTo = (row) => {
    setActive(row);
    list.current.show(row);
    list.current.focus(row);
  };
  const move = (by) => {
    const shown = (row) => !list.current.item(row) || visible(list.current.item(row));
    const row = next(active, by, total, shown);
    setActive(row);
    list.current.focus(row);
    if (open !== null) openAt(row, list.current.item(row));
  };
  const follow = (row, item) => {
    setActive(row);
    if (open !== null && item) openAt(row, item);
  };
  return { active, open, openAt, close, goTo, move, follow, waiting };
}
