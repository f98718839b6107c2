// Small signs that go with a word, so that no colour stands alone. Filled and line shapes of 12 px.
import { html } from "../ui.js";

const FILLED = {
  full: "M1.5 1.5h9v9h-9z",
  half: "M1.5 1.5h4.5v9H1.5z",
  diamond: "M6 .8 11.2 6 6 11.2.8 6z",
  dot: "M6 4.5a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3z",
  disc: "M6 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
  halfdisc: "M6 2a4 4 0 0 1 0 8z",
  user: "M6 1a2.4 2.4 0 1 1 0 4.8A2.4 2.4 0 0 1 6 1zM1.5 11c0-2.6 2-4 4.5-4s4.5 1.4 4.5 4z",
};
const LINES = {
  half: "M1.5 1.5h9v9h-9z",
  lines: "M1.5 2.5h9M1.5 6h9M1.5 9.5h5",
  hatched: "M1.5 1.5h9v9h-9zM1.5 6 6 1.5M1.5 10.5l9-9M6 10.5 10.5 6",
  cross: "M2 2l8 8M10 2l-8 8",
  struck: "M1.5 1.5h9v9h-9zM10.5 1.5l-9 9",
  back: "M2 2v3.5h3.5M2.3 5.2A4.2 4.2 0 1 1 2.2 8",
  question: "M4 4a2 2 0 1 1 2.8 1.9C6.2 6.2 6 6.6 6 7.4M6 9.8v.1",
  circle: "M6 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
  halfdisc: "M6 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
  pause: "M4 2v8M8 2v8",
  check: "M1.5 6.5 4.5 9.5l6-7",
  clock: "M6 1.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM6 3.5V6l2 1.2",
  spark: "M6 1v10M1 6h10M2.5 2.5l7 7M9.5 2.5l-7 7",
  tool: "M1.5 10.5 6 6M6 6a2.8 2.8 0 0 1 3.8-3.6L8 4.2 9 5l1.8-1.8A2.8 2.8 0 0 1 6 6z",
  gear: "M6 4a2 2 0 1 1 0 4 2 2 0 0 1 0-4zM6 1v1.5M6 9.5V11M1 6h1.5M9.5 6H11M2.5 2.5l1 1M8.5 8.5l1 1M9.5 2.5l-1 1M3.5 8.5l-1 1",
  warning: "M6 1.2 11.3 10.5H.7zM6 4.5v3M6 9v.1",
  fork: "M3 1.5v9M3 8c0-3 5-1.5 5-4.5M8 3.5V1.5",
  window: "M1 2h10v8H1zM1 4.5h10",
  model: "M6 1v10M1 6h10M2.5 2.5l7 7M9.5 2.5l-7 7",
  compaction: "M1 3h10M1 9h10M6 .5V3M4.8 5.2 6 6.5l1.2-1.3M6 11.5V9",
  recall: "M2 2v3.5h3.5M2.3 5.2A4.2 4.2 0 1 1 2.2 8",
  remember: "M2 1h8v10L6 8.5 2 11z",
  retry: "M10 2v3H7M10 5a4.2 4.2 0 1 0 .2 2.5",
  span: "M1.5 2v8M10.5 2v8M1.5 6h9",
};

export function Sign({ name }) {
  return html`<svg class="sign" viewBox="0 0 12 12" aria-hidden="true" focusable="false">
    ${FILLED[name] && html`<path d=${FILLED[name]} fill="currentColor" />`}
    ${LINES[name] && html`<path d=${LINES[name]} fill="none" stroke="currentColor" stroke-width="1.4"
      stroke-linecap="round" stroke-linejoin="round" />`}
  </svg>`;
}
