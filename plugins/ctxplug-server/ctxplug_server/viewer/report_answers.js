// The answers that stand in a report: found by what the views ask for, filtered and divided here.
//
// The data is {shared, answers, about}: a key of `answers` is a path, a space and the parameters
// that tell one answer from another as sorted pairs; {"$": n} in them is the n-th of `shared`.

const TELLING = ["namespace", "call", "lang", "policies", "by"];
const WHAT_IF = ["budget", "policy"]; // is computed by a server alone

export function keyOf(path, params = {}) {
  const kept = TELLING.filter((name) => params[name] != null && params[name] !== "")
    .map((name) => [name, String(params[name])])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `${path} ${JSON.stringify(kept)}`;
}

// Values as they were before what stands there often was said once.
export function unpacked(value, shared) {
  if (Array.isArray(value)) return value.map((one) => unpacked(one, shared));
  if (value === null || typeof value !== "object") return value;
  if (Object.hasOwn(value, "$")) return shared[value.$];
  const pairs = Object.entries(value).map(([name, inner]) => [
    name.startsWith("$") ? name.slice(1) : name,
    unpacked(inner, shared),
  ]);
  return Object.fromEntries(pairs);
}

const folded = (text) => String(text ?? "").normalize("NFKC").toLowerCase();
const wordsOf = (text) => folded(text).split(/\s+/).filter(Boolean);
const yes = (value) => value === true || value === "true" || value === "1";

export class Answers {
  #data;
  #calls = null; // of each message: the calls at which it became something else

  constructor(data) {
    this.#data = data;
  }

  // The answer, or undefined if it is not in the report.
  find(path, params = {}) {
    if (WHAT_IF.some((name) => params[name] != null && params[name] !== "")) return undefined;
    if (path === "/v1/view/sessions") return this.#sessions(params);
    if (path === "/v1/view/memories") return this.#memories(params);
    const answer = this.#get(path, params);
    if (/\/messages\/\d+$/.test(path)) return answer ?? this.#message(path, params);
    if (answer === undefined) return undefined;
    if (path.endsWith("/steps")) return paged(stepsOf(answer, params), params);
    return Array.isArray(answer.items) && path.startsWith("/v1/view/") ? paged(answer, params) : answer;
  }

  #get(path, params) {
    const { answers, shared = [] } = this.#data;
    const key = keyOf(path, params);
    const bare = keyOf(path, { namespace: params.namespace });
    const found = answers[key] ?? (params.call || params.policies || params.by ? undefined : answers[bare]);
    return (found ?? undefined) === undefined ? undefined : unpacked(found, shared);
  }

  #sessions(params) {
    const answer = this.#get("/v1/view/sessions", {});
    const words = wordsOf(params.q);
    const items = [];
    for (const item of answer.items) {
      if (params.namespace && item.namespace !== params.namespace) continue;
      if (params.state && item.state !== params.state) continue;
      const name = folded(`${item.session} ${item.namespace} ${item.title}`);
      if (words.every((word) => name.includes(word))) items.push(item);
      else if (words.length) {
        const snippet = this.#said(item, words);
        if (snippet) items.push({ ...item, snippet });
      }
    }
    return paged({ ...answer, items }, params);
  }

  // Where all of `words` stand in one message of a session, with what is around.
  #said(item, words) {
    const path = `/v1/view/sessions/${encodeURIComponent(item.session)}/lines`;
    for (const line of this.#get(path, { namespace: item.namespace })?.items ?? []) {
      const text = [line.text, ...(line.results ?? []).map((one) => one.text)].join(" ").replace(/\s+/g, " ");
      const where = folded(text);
      if (!words.every((word) => where.includes(word))) continue;
      const at = Math.max(0, where.indexOf(words[0]) - 60);
      return `${at ? "…" : ""}${text.slice(at, at + 180)}…`;
    }
    return null;
  }

  #memories(params) {
    const answer = this.#get("/v1/view/memories", { namespace: params.namespace });
    if (!answer) return undefined;
    const words = wordsOf(params.q);
    const tags = [params.tags ?? []].flat().filter(Boolean);
    const items = answer.items.filter(({ record }) => {
      const text = folded([record.content, record.kind, ...(record.tags ?? [])].join(" "));
      return (
        words.every((word) => text.includes(word)) &&
        (!params.kind || record.kind === params.kind) &&
        (!params.tier || record.tier === params.tier) &&
        (params.include !== "current" || record.current) &&
        tags.every((tag) => (record.tags ?? []).includes(tag))
      );
    });
    return paged({ ...answer, items }, params);
  }

  // A message at a call: as it was when it last became something else.
  #message(path, params) {
    const { namespace, call, lang } = params;
    const calls = this.#changes().get(`${path} ${namespace}`) ?? [];
    const then = call == null ? undefined : calls.filter((one) => one <= call).at(-1);
    if (then === undefined) return this.#get(path, { namespace }) ?? this.#line(path, namespace);
    const told = this.#get(path, { namespace, call: then, lang });
    if (!told) return undefined;
    const past = !["verbatim", "answer", "later"].includes(told.fate);
    return { ...told, call: Number(call), why: past ? told.why : [] };
  }

  #line(path, namespace) {
    const [, base, version] = /^(.*)\/messages\/(\d+)$/.exec(path);
    const lines = this.#get(`${base}/lines`, { namespace })?.items ?? [];
    const line = lines.find((one) => one.kind === "message" && one.version === Number(version));
    return line && { ...line, metadata: {} };
  }

  #changes() {
    if (this.#calls) return this.#calls;
    this.#calls = new Map();
    for (const key of Object.keys(this.#data.answers)) {
      const space = key.indexOf(" ");
      if (!/\/messages\/\d+$/.test(key.slice(0, space))) continue;
      const { namespace, call } = Object.fromEntries(JSON.parse(key.slice(space + 1)));
      if (call === undefined) continue;
      const name = `${key.slice(0, space)} ${namespace}`;
      const known = this.#calls.get(name) ?? [];
      if (!known.includes(Number(call))) known.push(Number(call));
      this.#calls.set(name, known.sort((a, b) => a - b));
    }
    return this.#calls;
  }
}

function stepsOf(answer, { kind, errors, around, limit }) {
  const items = answer.items.filter(
    (step) => (!kind || step.kind === kind) && (!yes(errors) || step.outcome !== "ok"),
  );
  const at = around ? items.findIndex((step) => step.id === around) : -1;
  const from = at < 0 ? undefined : Math.floor(at / Number(limit || 100)) * Number(limit || 100);
  return { ...answer, items, total: items.length, from };
}

// A part of the items, as the server gives them: by start or cursor, and limit.
function paged(answer, { start, limit, cursor }) {
  const all = answer.items;
  const asked = answer.from ?? Number(cursor || start || 0);
  const first = asked < 0 ? Math.max(0, all.length + asked) : asked;
  const end = first + Number(limit || all.length);
  const next = end < all.length ? String(end) : null;
  const { from, ...rest } = answer;
  return { ...rest, start: first, items: all.slice(first, end), next };
}
