// The few icons of the page; they are never the only name of a control.
import { html } from "../ui.js";

const PATHS = {
  sessions: "M2 3h12v8H6l-3 3v-3H2z",
  memories: "M8 2c3.3 0 6 1 6 2.2v7.6C14 13 11.3 14 8 14s-6-1-6-2.2V4.2C2 3 4.7 2 8 2zM2 8c0 1.2 2.7 2.2 6 2.2S14 9.2 14 8M2 4.2c0 1.2 2.7 2.2 6 2.2s6-1 6-2.2",
  monitoring: "M1.5 9h3l2-5.5 3 9 2-5 1 1.5h2",
  light: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M13 3l-1.2 1.2M4.2 11.8 3 13",
  dark: "M13 9.5A5.6 5.6 0 0 1 6.5 3 5.6 5.6 0 1 0 13 9.5z",
  system: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
  help: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8M8 12.6v.4",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  back: "M10 3 5 8l5 5",
  forward: "M6 3l5 5-5 5",
  first: "M12 3 7 8l5 5M4 3v10",
  last: "M4 3l5 5-5 5M12 3v10",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5 14 14",
  open: "M6 3l5 5-5 5",
  shut: "M3 6l5 5 5-5",
  pin: "M6 2h4l-.5 4L12 9H4l2.5-3zM8 9v5",
  error: "M8 2 15 14H1zM8 6.5v3.5M8 11.6v.6",
  reload: "M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3",
  wide: "M9.5 2.5h4v4M13.5 2.5 9 7M6.5 13.5h-4v-4M2.5 13.5 7 9",
  key: "M10.5 2.5a3 3 0 1 1-2.2 5L3 13v-2.5h2V8.7l1.8-1.8A3 3 0 0 1 10.5 2.5z",
};

export function Icon({ name }) {
  return html`<svg viewBox="0 0 16 16" aria-hidden="true" focusable="false" fill="none"
    stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">
    <path d=${PATHS[name]} />
  </svg>`;
}
