// Places: how high the pages of a long list are, and what has to stay where it is on the screen.

const LENGTH = 100;

export class Places {
  #total = 0;
  #count = 0;
  #heights = new Map(); // page -> measured pixels
  #estimate; // pixels of a row that was not measured
  #seen = { pixels: 0, rows: 0 };
  #tops = null; // cached
  #anchor = null; // {row, offset}, {row, end} or {page, part}: what stays where it is
  #own = null; // the scroll position that we set ourselves
  #last = null; // the one that we knew last
  #width = 0;

  constructor(estimate) {
    this.#estimate = estimate;
  }

  resize(total) {
    if (total === this.#total) return;
    this.#heights.delete(Math.floor(this.#total / LENGTH)); // it was the last, and is longer now
    this.#total = total;
    this.#count = Math.ceil(total / LENGTH);
    this.#tops = null;
  }

  height(page) {
    const rows = Math.min(LENGTH, this.#total - page * LENGTH);
    return this.#heights.get(page) ?? Math.round(rows * this.#estimate);
  }

  top(page) {
    this.#tops ??= this.#summed();
    return this.#tops[Math.min(page, this.#count)] ?? 0;
  }

  get whole() {
    return this.top(this.#count);
  }

  #summed() {
    const tops = [0];
    for (let page = 0; page < this.#count; page++) tops.push(tops[page] + this.height(page));
    return tops;
  }

  #pageAt(pixel) {
    let low = 0;
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= pixel) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }

  // The pages between two heights.
  range(from, to) {
    if (!this.#count) return [];
    const first = this.#pageAt(Math.max(0, from));
    const last = this.#pageAt(Math.max(0, to));
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  }

  // Those of `range`, the page where the keyboard is, and that of what is aimed at.
  drawn(range, active) {
    const pages = new Set(range);
    if (active >= 0 && active < this.#total) pages.add(Math.floor(active / LENGTH));
    if (this.#anchor?.row !== undefined) pages.add(Math.floor(this.#anchor.row / LENGTH));
    return [...pages].filter((page) => page < this.#count).sort((a, b) => a - b);
  }

  measure(scroller) {
    for (const node of scroller.querySelectorAll(":scope > [data-page]:not([data-empty])")) {
      const page = Number(node.dataset.page);
      const height = node.getBoundingClientRect().height;
      if (!this.#heights.has(page)) this.#learn(page, height);
      if (Math.abs(height - (this.#heights.get(page) ?? -1)) > 0.5) {
        this.#heights.set(page, height);
        this.#tops = null;
      }
    }
  }

  // The first pages tell how high a row is; once that is known well it stays, so that nothing moves.
  #learn(page, height) {
    if (this.#seen.rows >= 300 || height < 1) return;
    this.#seen.pixels += height;
    this.#seen.rows += Math.min(LENGTH, this.#total - page * LENGTH);
    this.#estimate = this.#seen.pixels / this.#seen.rows;
    this.#tops = null;
  }

  // It was scrolled: by the reader, unless it is where we put it.
  scrolled(scroller) {
    this.#last = scroller.scrollTop;
    if (this.#own !== null && Math.abs(scroller.scrollTop - this.#own) < 2) return;
    this.#own = null;
    this.#anchor = this.#found(scroller);
  }

  #found(scroller) {
    const edge = scroller.getBoundingClientRect().top;
    const top = scroller.scrollTop;
    if (top <= 0) return null; // at the beginning: stay there
    const end = top >= scroller.scrollHeight - scroller.clientHeight - 1;
    if (end) return { row: this.#total - 1, end };
    const page = this.#pageAt(top);
    const node = scroller.querySelector(`:scope > [data-page="${page}"]:not([data-empty])`);
    for (const row of node ? node.children : []) {
      const box = row.getBoundingClientRect();
      if (box.bottom > edge + 1 && row.dataset.index) {
        return { row: Number(row.dataset.index), offset: box.top - edge };
      }
    }
    return { page, part: (top - this.top(page)) / Math.max(1, this.height(page)) };
  }

  aim(index, align, scroller) {
    this.#last = scroller.scrollTop;
    this.#anchor = { row: index, offset: Math.round(scroller.clientHeight * align) };
    this.hold(scroller);
  }

  // Put what is looked at back to where it was, after heights became known.
  hold(scroller) {
    const most = Math.max(0, scroller.scrollHeight - scroller.clientHeight);
    if (this.#movedBefore(scroller, most)) this.scrolled(scroller);
    const anchor = this.#anchor;
    if (!anchor) return;
    const to = this.#wantedTop(anchor, scroller);
    const wanted = Math.max(0, Math.min(most, to));
    if (Math.abs(scroller.scrollTop - wanted) < 1) {
      if (this.#own !== null) this.#own = this.#last = scroller.scrollTop; // the browser put it there
      return;
    }
    scroller.scrollTop = wanted;
    this.#own = this.#last = scroller.scrollTop;
  }

  // Whether the reader has scrolled and the event that tells so has yet to come: what is drawn in
  // between must not take it back. A list that became shorter is moved by the browser.
  #movedBefore({ scrollTop }, most) {
    if (this.#last === null || Math.abs(scrollTop - this.#last) < 2) return false;
    return !(this.#last > most && scrollTop >= most - 1);
  }

  #wantedTop(anchor, scroller) {
    if (anchor.row === undefined) return this.top(anchor.page) + anchor.part * this.height(anchor.page);
    const node = scroller.querySelector(`[data-index="${anchor.row}"]`);
    if (node) {
      const { top: edge, bottom } = scroller.getBoundingClientRect();
      if (anchor.end) return scroller.scrollTop + node.getBoundingClientRect().bottom - bottom;
      return scroller.scrollTop + node.getBoundingClientRect().top - edge - anchor.offset;
    }
    const page = Math.floor(anchor.row / LENGTH);
    const part = (anchor.row % LENGTH) / LENGTH;
    if (anchor.end) return this.top(page) + part * this.height(page);
    return this.top(page) + part * this.height(page) - anchor.offset;
  }

  // Scroll as little as shows `node` whole; say whether it had to.
  reveal(node, scroller) {
    const box = node.getBoundingClientRect();
    const edge = scroller.getBoundingClientRect();
    let by = 0;
    if (box.top < edge.top) by = box.top - edge.top - 8;
    else if (box.bottom > edge.bottom) by = Math.min(box.top - edge.top, box.bottom - edge.bottom + 8);
    if (!by) return false;
    scroller.scrollTop += by;
    return true;
  }

  // The width may be another: heights are measured anew.
  narrowed(scroller) {
    if (scroller.clientWidth === this.#width) return;
    const first = this.#width === 0;
    this.#width = scroller.clientWidth;
    if (first) return;
    this.#heights.clear();
    this.#seen = { pixels: 0, rows: 0 };
    this.#tops = null;
  }

  // Which rows are on the screen: {from, to}; where nothing is drawn yet, by how far it is scrolled.
  part(scroller) {
    const edge = scroller.getBoundingClientRect();
    const rows = [...scroller.querySelectorAll("[data-index]")].filter((row) => {
      const box = row.getBoundingClientRect();
      return box.bottom > edge.top && box.top < edge.bottom;
    });
    if (rows.length) {
      return { from: Number(rows[0].dataset.index), to: Number(rows.at(-1).dataset.index) + 1 };
    }
    return { from: this.#rowAt(scroller.scrollTop), to: this.#rowAt(scroller.scrollTop + edge.height) };
  }

  #rowAt(pixel) {
    const page = this.#pageAt(pixel);
    const within = (pixel - this.top(page)) / Math.max(1, this.height(page));
    return (page + Math.max(0, Math.min(1, within))) * LENGTH;
  }
}
