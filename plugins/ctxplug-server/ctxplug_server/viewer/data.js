// useData: an answer of the source as a component needs it, kept while the next is fetched.
import { useCallback, useEffect, useRef, useState } from "./ui.js";
import { source } from "./source.js";

// `path` null asks for nothing. Returns {data, error, loading, reload}; `data` is the last answer
// to the same path (other parameters do not make it blank, so that nothing jumps).
// With another `version` it is asked again, and shown as before until the answer is there.
export function useData(path, params = {}, version = 0) {
  const [shown, setShown] = useState({ path: null, data: null, error: null, loading: true });
  const [again, setAgain] = useState(0);
  const key = path && `${path} ${version} ${JSON.stringify(params)}`;
  const latest = useRef(key);
  latest.current = key;
  useEffect(() => {
    if (!path) {
      setShown({ path: null, data: null, error: null, loading: false });
      return undefined;
    }
    const stop = new AbortController();
    setShown((was) => ({ path, data: was.path === path ? was.data : null, error: null, loading: true }));
    source.get(path, params, { signal: stop.signal }).then(
      (data) => latest.current === key && setShown({ path, data, error: null, loading: false }),
      (error) => {
        if (error.name === "AbortError" || latest.current !== key) return;
        setShown((was) => ({ path, data: was.path === path ? was.data : null, error, loading: false }));
      },
    );
    return () => stop.abort();
  }, [key, again]);
  const reload = useCallback(() => setAgain((count) => count + 1), []);
  const stale = shown.path !== path;
  return { ...shown, data: stale ? null : shown.data, loading: stale ? Boolean(path) : shown.loading, reload };
}
