// The switch of the live mode, with a sign of how the connection is.
import { chooseLive, follow, liveChosen, useHeard, useLive } from "../live.js";
import { state, useStore } from "../store.js";
import { html } from "../ui.js";
import { t } from "../words.js";

// While it is on, `reload` is called whenever something happened in what is followed.
export function LiveSwitch({ namespace, session, reload }) {
  useStore("live", "liveChosen", "following", "lang");
  useLive({ namespace, session });
  useHeard(["ready", "messages", "steps", "session", "sessions", "memories"], reload);
  const chosen = liveChosen();
  const paused = state.live === "on" && !state.following;
  const sign = !chosen ? "off" : paused ? "paused" : state.live;
  return html`<div class="live live-${sign}">
    <button type="button" class="live-toggle" aria-pressed=${String(chosen)} title=${t("live.why")}
      onClick=${() => chooseLive(!chosen)}
      ><span class="live-dot" aria-hidden="true"></span>${t("live.name")}</button>
    ${chosen && html`<span class="live-state" role="status">${t(`live.${sign}`)}</span>`}
    ${sign === "paused" && html`<button type="button" onClick=${follow}>${t("live.follow")}</button>`}
  </div>`;
}
