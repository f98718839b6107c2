// Event stream: server-sent events read by fetch, because EventSource cannot send a key.
// The stream resumes after what was seen last (Last-Event-ID) and comes back by itself.

const FIRST_PAUSE = 500; // milliseconds before the first attempt to come back
const LONGEST_PAUSE = 15_000;
const SILENCE = 60_000; // milliseconds without a byte after which a stream counts as dead
const FINAL = new Set([400, 401, 403, 404, 422]); // answers that another attempt will not change

// Reads text of an event stream piece by piece and calls `onEvent({id, type, data})`.
export class EventReader {
  constructor(onEvent, onRetry = () => {}) {
    this.rest = "";
    this.onEvent = onEvent;
    this.onRetry = onRetry;
    this.clear();
  }

  // Take the next piece of text; a piece may end anywhere, between \r and \n too.
  feed(text) {
    const all = this.rest + text;
    const lines = all.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === "") return this.done();
    if (line.startsWith(":")) return undefined;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.data.push(value);
    else if (field === "event") this.type = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.onRetry(Number(value));
    return undefined;
  }

  done() {
    const { data, type, id } = this;
    this.clear();
    if (data.length) this.onEvent({ id, type, data: data.join("\n") });
  }

  clear() {
    this.data = [];
    this.type = "message";
    this.id = null;
  }
}

// Follow a stream until `close()` is called. `open(lastId, signal)` answers with a Response;
// `onEvent` gets the JSON of each event; `onState(state, reason)` hears "connecting", "on", "lost"
// (it comes back by itself) or "refused" (it does not).
export function follow(open, onEvent, onState = () => {}) {
  const stop = new AbortController();
  run({ open, onEvent, onState, stop, last: "", first: FIRST_PAUSE, pause: FIRST_PAUSE });
  return { close: () => stop.abort() };
}

async function run(feed) {
  const { stop, onState } = feed;
  onState("connecting");
  while (!stop.signal.aborted) {
    const ended = await once(feed).catch((error) => ({ again: true, error }));
    if (stop.signal.aborted) return;
    if (!ended.again) return onState("refused", ended.error);
    onState("lost", ended.error);
    await paused(feed.pause * (0.75 + Math.random() / 2), stop.signal);
    feed.pause = Math.min(feed.pause * 2, LONGEST_PAUSE);
  }
}

// Hold one connection as long as it lasts; say whether it is worth another attempt.
async function once(feed) {
  const silent = new AbortController();
  const given = () => silent.abort();
  feed.stop.signal.addEventListener("abort", given, { once: true });
  let watch = setTimeout(given, SILENCE);
  try {
    const response = await feed.open(feed.last, silent.signal);
    if (!response.ok) return { again: !FINAL.has(response.status), error: response.status };
    feed.onState("on");
    const reader = new EventReader((event) => taken(feed, event), (ms) => { feed.first = ms; });
    const body = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await body.read();
      if (done) return { again: true };
      clearTimeout(watch);
      watch = setTimeout(given, SILENCE);
      feed.pause = feed.first;
      reader.feed(value);
    }
  } finally {
    clearTimeout(watch);
    silent.abort(); // also when a handler failed: no stream is left open behind
    feed.stop.signal.removeEventListener("abort", given);
  }
}

function taken(feed, event) {
  if (event.id) feed.last = event.id;
  let told;
  try {
    told = JSON.parse(event.data);
  } catch {
    return; // not of this protocol
  }
  if (told && typeof told === "object") feed.onEvent({ ...told, id: event.id });
}

function paused(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
