// useTurn: which turn is looked at, kept in the address, and what its window was.
import { useEffect, useRef, useState } from "../ui.js";
import { useData } from "../data.js";
import { setQuery } from "../router.js";
import { source } from "../source.js";

const REST = 120; // milliseconds of no movement before a window is asked for
const COLUMNS = 2000; // turns that one request tells of

// The columns of all turns, fetched in as few requests as there have to be.
function useColumns(base, namespace, turns, version) {
  const [columns, setColumns] = useState([]);
  useEffect(() => {
    if (!turns) return undefined;
    const stop = new AbortController();
    (async () => {
      const all = [];
      while (all.length < turns) {
        const params = { namespace, start: all.length, limit: COLUMNS };
        const page = await source.get(`${base}/calls`, params, { signal: stop.signal });
        if (!page.items.length) break;
        all.push(...page.items);
      }
      if (!stop.signal.aborted) setColumns(all);
    })().catch(() => {}); // the slider does without them; the window itself tells of errors
    return () => stop.abort();
  }, [base, namespace, turns, version]);
  return columns;
}

// The last value of `value` that was not empty, of the same `of`.
function useLast(value, of) {
  const kept = useRef({ of, value: null });
  if (kept.current.of !== of) kept.current = { of, value: null };
  if (value) kept.current.value = value;
  return kept.current.value;
}

// Returns {turn, turns, setTurn, columns, budget, call, current, error, loading, reload}: `call`
// is the window shown, that of the turn before while the next is `loading`.
export function useTurn({ overview, base, route }) {
  const { namespace } = route;
  const reading = overview.whole === false ? overview.messages : null; // a long log is read in parts
  const turns = reading === null ? overview.turns || 0 : 0;
  const asked = Math.round(Number(route.query.turn));
  const chosen = asked >= 1 && asked <= turns ? asked : turns;
  const [moved, setMoved] = useState(null);
  const timer = useRef(0);
  const turn = moved ?? chosen;
  const setTurn = (to) => {
    setMoved(to);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      setQuery({ turn: to === turns ? null : to });
      setMoved(null);
    }, REST);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const path = chosen ? `${base}/calls/${chosen}` : null;
  const answer = useData(path, { namespace }, overview.version);
  const call = useLast(answer.data, base);
  const columns = useColumns(base, namespace, turns, overview.version);
  return {
    turn,
    turns,
    reading,
    setTurn,
    columns,
    budget: call?.budget ?? overview.budget,
    call,
    error: answer.error,
    loading: answer.loading || moved !== null,
    reload: answer.reload,
  };
}
