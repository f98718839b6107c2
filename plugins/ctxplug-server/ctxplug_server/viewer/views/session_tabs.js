// The tabs of a session. Each view gets {route, overview, base, params}: `base` is the path of the
// session's data and `params` its namespace.
import { ChartsView } from "./charts.js";
import { CompareView } from "./compare.js";
import { ConversationView } from "./conversation.js";
import { StepsView } from "./steps.js";
import { WindowView } from "./window.js";
import { FindingsView } from "./findings.js";

export const TAB_VIEWS = {
  conversation: ConversationView,
  window: WindowView,
  steps: StepsView,
  charts: ChartsView,
  compare: CompareView,
  findings: FindingsView,
};
