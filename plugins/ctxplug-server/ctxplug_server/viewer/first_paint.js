// Before the first paint: the theme and the language that were chosen, so that nothing flashes.
(function () {
  let chosen = {};
  try {
    chosen = JSON.parse(localStorage.getItem("ctxplug.viewer") || "{}");
  } catch {
    chosen = {}; // storage may be closed to pages
  }
  const root = document.documentElement;
  if (chosen.theme === "light" || chosen.theme === "dark") root.dataset.theme = chosen.theme;
  const first = root.dataset.lang || navigator.language || "en"; // a report may name one
  root.lang = chosen.lang || (first.toLowerCase().startsWith("zh") ? "zh" : "en");
})();
