// Live mode: hears what happens in the session (or namespace) that is looked at, as it happens.
//
//   useLive({namespace, session})       the page follows this one while live mode is chosen
//   useHeard(["messages"], () => ...)   a view is told when something of these types happened
//   state.live                          "off", "connecting", "on", "lost" or "refused"
//   state.following                     the newest is scrolled to; a view ends it by stopFollowing()
// The switch is parts/live_switch.js.
import { source } from "./source.js";
import { announce, set, state, useStore } from "./store.js";
import { useEffect, useRef } from "./ui.js";
import { t } from "./words.js";

const TOLD = ["messages", "steps", "memories"];
const TOLD_AFTER = 1200; // milliseconds in which events are told as one sentence
const GATHERED = 150; // milliseconds in which events are one change of a view
const CHOSEN_UNDER = "ctxplug.live";

const hearers = new Set();

export function liveChosen() {
  if (state.liveChosen !== undefined) return state.liveChosen;
  try {
    return sessionStorage.getItem(CHOSEN_UNDER) === "yes";
  } catch {
    return false;
  }
}

// Begin or end live mode; it stays chosen until this tab is closed.
export function chooseLive(chosen) {
  try {
    sessionStorage.setItem(CHOSEN_UNDER, chosen ? "yes" : "no");
  } catch {
    // closed storage: the choice holds until the page is left
  }
  set({ liveChosen: chosen, following: chosen });
  announce(t(chosen ? "live.began" : "live.ended"));
}

// The reader looks at something older: what is new is counted but no longer scrolled to.
export function stopFollowing() {
  if (state.following) set({ following: false });
}

export function follow() {
  set({ following: true });
}

export function useLive({ namespace, session }) {
  useStore("liveChosen");
  const wanted = !source.readonly && liveChosen();
  useEffect(() => {
    if (!wanted || !namespace) return undefined;
    set({ live: "connecting", following: true });
    const teller = tellingOf();
    const stream = source.live({ namespace, session }, (event) => {
      teller.take(event);
      for (const hearer of [...hearers]) hearer(event);
    }, (live) => state.live !== live && set({ live }));
    return () => {
      stream.close();
      teller.end();
      set({ live: "off", following: false });
    };
  }, [wanted, namespace, session]);
}

// Call `heard` when something of these types happened; what comes close together is one call.
// After a gap in the stream ("behind") it is called too: anything may have happened.
export function useHeard(types, heard) {
  const latest = useRef(heard);
  latest.current = heard;
  useEffect(() => {
    let timer = null;
    const hearer = (event) => {
      if (event.type !== "behind" && !types.includes(event.type)) return;
      timer ??= setTimeout(() => {
        timer = null;
        latest.current();
      }, GATHERED);
    };
    hearers.add(hearer);
    return () => {
      hearers.delete(hearer);
      clearTimeout(timer);
    };
  }, [types.join(" ")]);
}

// Says what came in one sentence, when it has been quiet for a moment.
function tellingOf() {
  const came = new Set();
  let timer = null;
  const tell = () => {
    timer = null;
    const said = TOLD.filter((type) => came.has(type)).map((type) => t(`live.new_${type}`));
    came.clear();
    if (said.length) announce(said.join(t("live.and")));
  };
  return {
    take({ type }) {
      came.add(type);
      timer ??= setTimeout(tell, TOLD_AFTER);
    },
    end: () => clearTimeout(timer),
  };
}
