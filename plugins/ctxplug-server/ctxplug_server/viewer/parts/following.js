// useFollowing: in live mode the newest row is scrolled to, until the reader looks further up.
import { stopFollowing } from "../live.js";
import { useStore } from "../store.js";
import { useEffect } from "../ui.js";

const UPWARD = new Set(["ArrowUp", "PageUp", "Home", "k", "[", "{"]);
const ELSEWHERE = ".minimap, .turn-bar"; // what leads to another place of the list

// `list.current.show(index, align)` scrolls; `total` is how many rows there are.
export function useFollowing(total, list) {
  const { following, live } = useStore("following", "live");
  const on = following && live === "on";
  useEffect(() => {
    if (on && total) list.current?.show(total - 1, 0); // its end, or the beginning of one that is higher than the screen
  }, [on, total]);
  useEffect(() => {
    if (!on) return undefined;
    let low = 0; // where a finger last was
    const within = (event, where) => event.target.closest?.(where);
    const wheel = (event) => event.deltaY < 0 && within(event, ".paged") && stopFollowing();
    const key = (event) => UPWARD.has(event.key) && !within(event, "input, textarea, select") && stopFollowing();
    const press = (event) => {
      const bar = within(event, ".paged") === event.target; // the scroll bar, not a row
      if (bar || within(event, ELSEWHERE)) stopFollowing();
    };
    const touch = (event) => {
      const at = event.touches[0].clientY;
      if (event.type === "touchmove" && at > low && within(event, ".paged")) stopFollowing();
      low = at;
    };
    const heard = { wheel, keydown: key, pointerdown: press, touchstart: touch, touchmove: touch };
    const way = { capture: true, passive: true };
    for (const [type, listener] of Object.entries(heard)) document.addEventListener(type, listener, way);
    return () => {
      for (const [type, listener] of Object.entries(heard)) document.removeEventListener(type, listener, way);
    };
  }, [on]);
}
