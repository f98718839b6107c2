// Where the views get their data from: a server, or the file that the page itself is.
//
//   source.get(path, params, {signal})        -> the answer, or a SourceError
//   source.send(method, path, {params, body}) -> the same, for what changes something
//   source.live(params, onEvent, onState)     -> {close()}; states as event_stream.js tells them
//   source.readonly                           -> nothing can be changed or followed
import { follow } from "./event_stream.js";
import { FileSource } from "./file_source.js";
import { set } from "./store.js";

const KEY_UNDER = "ctxplug.key";

export class SourceError extends Error {
  constructor(status, type, message, details = {}) {
    super(message);
    this.status = status;
    this.type = type;
    this.details = details;
  }
}

export function search(params = {}) {
  const pairs = Object.entries(params).flatMap(([name, value]) =>
    value == null || value === "" ? [] : [value].flat().map((one) => [name, String(one)]),
  );
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

class RemoteSource {
  readonly = false;
  #key = sessionStorage.getItem(KEY_UNDER) || "";
  #asked = null; // the promise of a key that was asked for
  #answer = null;

  async get(path, params = {}, { signal } = {}) {
    return this.#request("GET", path + search(params), undefined, signal);
  }

  async send(method, path, { params = {}, body } = {}) {
    const key = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`;
    return this.#request(method, path + search(params), body, undefined, key);
  }

  live(params, onEvent, onState = () => {}) {
    const open = (last, signal) => {
      const headers = this.#headers();
      if (last) headers["Last-Event-ID"] = last;
      return fetch(`v1/live${search(params)}`, { headers, signal });
    };
    return follow(open, onEvent, onState);
  }

  // A key was typed: remember it while this tab is open, and try again what waited for it.
  useKey(key) {
    this.#key = key;
    sessionStorage.setItem(KEY_UNDER, key);
    if (this.#answer) this.#answer(key);
    this.#asked = this.#answer = null;
  }

  #headers() {
    return this.#key ? { Authorization: `Bearer ${this.#key}` } : {};
  }

  async #request(method, path, body, signal, idempotency) {
    const sent = this.#key;
    const headers = { Accept: "application/json", ...this.#headers() };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (idempotency) headers["Idempotency-Key"] = idempotency;
    let response;
    try {
      const text = body === undefined ? undefined : JSON.stringify(body);
      response = await fetch(path.replace(/^\//, ""), { method, headers, body: text, signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new SourceError(0, "Unreachable", "");
    }
    if (response.status === 401) {
      response.body?.cancel(); // not read: it would hold its connection while the key is waited for
      await this.#askForKey(sent);
      return this.#request(method, path, body, signal, idempotency);
    }
    return this.#read(response);
  }

  async #read(response) {
    const text = await response.text();
    let data = null;
    try {
      data = text ? JSON.parse(text) : null;
    } catch {
      data = null;
    }
    if (response.ok) return data;
    const { type = "Error", message = response.statusText, details } = (data && data.error) || {};
    throw new SourceError(response.status, type, message, details);
  }

  #askForKey(sent) {
    if (sent !== this.#key) return Promise.resolve(); // another one was given meanwhile
    this.#asked ??= new Promise((resolve) => {
      this.#answer = resolve;
    });
    set({ dialog: "key", keyRefused: Boolean(sent) });
    return this.#asked;
  }
}

const embedded = document.getElementById("ctxplug-data");

export const source = embedded
  ? new FileSource(JSON.parse(embedded.textContent), SourceError)
  : new RemoteSource();
