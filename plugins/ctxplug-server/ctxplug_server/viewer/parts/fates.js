// Fates, roles, states and parts with their sign, tone and word: everywhere the same.
import { html } from "../ui.js";
import { name } from "../words.js";
import { Badge } from "./badge.js";

// fate: [tone, sign, width of its mark in the minimap: how much of the message is still there]
const FATES = {
  verbatim: ["kept", "full", 1],
  shortened: ["shortened", "half", 0.8],
  digest: ["cut", "lines", 0.6],
  merged: ["merged", "hatched", 0.45],
  left_out: ["out", "cross", 0.2],
  removed: ["removed", "struck", 0.2],
  recalled: ["recalled", "back", 0.45],
  answer: ["answer", "diamond", 1],
  later: ["later", "dot", 0.08],
  unknown: ["unknown", "question", 0.3],
};

export const FATE_ORDER = Object.keys(FATES);

// A fate this page does not know looks like "unknown", under its own name.
function of(fate) {
  return FATES[fate] || FATES.unknown;
}

export function toneOf(fate) {
  return of(fate)[0];
}

export function widthOf(fate) {
  return of(fate)[2];
}

export function FateBadge({ fate }) {
  const [tone, sign] = of(fate);
  return html`<${Badge} tone=${tone} sign=${sign}>${name("fate", fate)}<//>`;
}

const STATES = {
  created: ["dim", "circle"],
  active: ["good", "disc"],
  idle: ["dim", "halfdisc"],
  suspended: ["warn", "pause"],
  completed: ["accent", "check"],
  failed: ["bad", "cross"],
  expired: ["dim", "clock"],
};

export const SESSION_STATES = Object.keys(STATES);

export function StateBadge({ state }) {
  const [tone, sign] = STATES[state] || ["dim", "question"];
  return html`<${Badge} tone=${tone} sign=${sign}>${name("state", state)}<//>`;
}

const ROLES = { system: "gear", user: "user", assistant: "spark", tool: "tool" };

export function RoleBadge({ role, who }) {
  const tone = role in ROLES ? role : "dim";
  return html`<${Badge} tone=${tone} sign=${ROLES[role] || "dot"}>${who || name("role", role)}<//>`;
}
