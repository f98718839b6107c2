// In a report: what it is a report of, when it was made, and what is not in it.
import { source } from "../source.js";
import { html } from "../ui.js";
import { t, tn } from "../words.js";
import { number, time } from "./format.js";

function Left({ one }) {
  const { what, ...values } = one;
  const shown = Object.entries(values).map(([key, value]) => [key, typeof value === "number" ? number(value) : value]);
  return html`<li>${t(`report.left.${what}`, Object.fromEntries(shown))}</li>`;
}

export function ReportNote() {
  if (!source.readonly) return null;
  const { title = "ctxplug", made_at: made, left_out: left = [] } = source.about;
  return html`<aside class="report-note small dim" aria-label=${t("report.label")}>
    <span>${t("report.of", { title, time: time(made, { seconds: false }) })}</span>
    ${left.length > 0 && html`<details>
      <summary>${tn("report.left", left.length)}</summary>
      <ul>${left.map((one) => html`<${Left} one=${one} />`)}</ul>
    </details>`}
  </aside>`;
}
