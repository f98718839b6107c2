// usePages: a list that comes in pages with a cursor, as far as it was asked for.
import { useData } from "../data.js";
import { source } from "../source.js";
import { useEffect, useRef, useState } from "../ui.js";

const NONE = { key: null, items: [], next: null, loading: false, error: null };

// Returns {items, data, error, loading, more, reload}: `data` is the first page's answer and
// `more()` fetches the next page, null if there is none.
export function usePages(path, params) {
  const first = useData(path, params);
  const [rest, setRest] = useState(NONE);
  const page = useRef(null);
  page.current = first.data;
  useEffect(() => setRest({ ...NONE, key: first.data, next: first.data?.next ?? null }), [first.data]);
  const known = rest.key === first.data ? rest : { ...NONE, next: first.data?.next ?? null };
  const more = async () => {
    const asked = first.data;
    const took = (changes) => page.current === asked && setRest((was) => ({ ...was, ...changes }));
    took({ loading: true, error: null });
    try {
      const answer = await source.get(path, { ...params, cursor: known.next });
      took({ loading: false, items: [...known.items, ...answer.items], next: answer.next ?? null });
    } catch (error) {
      took({ loading: false, error });
    }
  };
  return {
    data: first.data,
    items: [...(first.data?.items ?? []), ...known.items],
    error: first.error ?? known.error,
    loading: first.loading || known.loading,
    more: known.next ? more : null,
    reload: first.reload,
  };
}
