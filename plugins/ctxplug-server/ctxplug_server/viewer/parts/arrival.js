// Where a panel covers what was there before, the focus goes into it when it opens.
import { useEffect } from "../ui.js";

export function useArrivalIn(panel) {
  useEffect(() => {
    const covers = getComputedStyle(panel.current).position === "fixed";
    if (covers) panel.current.querySelector("h2").focus();
  }, []);
}
