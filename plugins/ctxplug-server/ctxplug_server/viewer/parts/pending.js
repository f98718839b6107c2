// usePending: an answer that takes the server a while, asked for again until it is there.
import { useData } from "../data.js";
import { html, useEffect } from "../ui.js";
import { t } from "../words.js";
import { Failed } from "./states.js";

const AGAIN = 400; // milliseconds after an answer that said it is not done

export function usePending(path, params) {
  const answer = useData(path, params);
  const pending = Boolean(answer.data?.pending);
  useEffect(() => {
    if (!pending || answer.loading) return undefined;
    const timer = setTimeout(answer.reload, AGAIN);
    return () => clearTimeout(timer);
  }, [answer.data, answer.loading]);
  return answer;
}

// What to show until the answer is there, or null when it is.
export function pendingOf(answer, words) {
  if (answer.error) {
    const refused = answer.error.status >= 400 && answer.error.status < 429; // it will be again
    return html`<${Failed} error=${answer.error} retry=${refused ? null : answer.reload} />`;
  }
  if (answer.data && !answer.data.pending) return null;
  const { done = 0, of = 0 } = answer.data ?? {};
  const known = of > 1 ? { value: done, max: of } : {};
  return html`<div class="state dim" role="status">
    <label class="stack">${words}<progress ...${known}></progress></label>
    ${of > 1 && html`<span class="small">${t("pending.done", { done, of })}</span>`}
  </div>`;
}
