// Pages: the rows of a long list that were fetched, as many pages as are worth keeping.

const LENGTH = 100;
const KEPT = 40; // pages
const AT_ONCE = 2;

export class Pages {
  length = LENGTH;
  total = 0;
  #fetch;
  #changed;
  #pages = new Map(); // page -> its items
  #running = new Map(); // page -> AbortController
  #failed = new Set();
  #wanted = [];

  constructor(fetch, changed) {
    this.#fetch = fetch;
    this.#changed = changed;
  }

  get empty() {
    return this.#pages.size === 0;
  }

  resize(total) {
    if (total === this.total) return;
    const partial = Math.floor(Math.min(total, this.total) / LENGTH);
    if (this.total) this.#outdated(partial);
    this.total = total;
  }

  has(page) {
    return this.#pages.has(page) && !this.stale.has(page);
  }

  get(page) {
    return this.#pages.get(page);
  }

  failed(page) {
    return this.#failed.has(page);
  }

  item(index) {
    return this.#pages.get(Math.floor(index / LENGTH))?.[index % LENGTH];
  }

  stale = new Set();

  #outdated(page) {
    if (this.#pages.has(page)) this.stale.add(page);
  }

  // What is shown may have changed: fetch it again, and forget the rest.
  renew(shown) {
    for (const page of [...this.#pages.keys()]) {
      if (shown.includes(page)) this.stale.add(page);
      else this.#pages.delete(page);
    }
    this.want(shown);
  }

  again(page) {
    this.#failed.delete(page);
    this.want([page]);
    this.#changed();
  }

  // Fetch these pages, and no longer those that were wanted before.
  want(pages) {
    for (const [page, stop] of this.#running) {
      if (!pages.includes(page)) stop.abort();
    }
    this.#wanted = pages.filter((page) => !this.has(page) && !this.#failed.has(page));
    this.#next();
  }

  stop() {
    for (const stop of this.#running.values()) stop.abort();
    this.#wanted = [];
  }

  #next() {
    while (this.#running.size < AT_ONCE && this.#wanted.length) {
      const page = this.#wanted.shift();
      if (!this.#running.has(page)) this.#load(page);
    }
  }

  async #load(page) {
    const stop = new AbortController();
    this.#running.set(page, stop);
    try {
      const items = await this.#fetch(page * LENGTH, LENGTH, stop.signal);
      if (stop.signal.aborted) return;
      this.#pages.delete(page);
      this.#pages.set(page, items);
      this.stale.delete(page);
      for (const old of this.#pages.keys()) {
        if (this.#pages.size <= KEPT) break;
        this.#pages.delete(old);
      }
    } catch (error) {
      if (stop.signal.aborted || error.name === "AbortError") return;
      this.#failed.add(page);
    } finally {
      this.#running.delete(page);
      this.#next();
    }
    this.#changed();
  }
}
