// The page: what starts when it is there.
import * as answers from "../formulas/answers.js";
import { startClaims } from "./claims.js";
import { startExplorer } from "./explorer.js";
import { startFigures } from "./figures.js";
import { startCatalogue, startTables } from "./tables.js";
import { startTheme } from "./theme.js";

/** Open what hides the place that the address names, and go there. */
function reveal() {
  const place = document.getElementById(location.hash.slice(1));
  if (!place) return;
  let hidden = false;
  for (let each = place; each; each = each.parentElement) {
    if (each.tagName === "DETAILS" && !each.open) hidden = each.open = true;
    if (each.hidden) each.hidden = false;
  }
  if (hidden) place.scrollIntoView();
}

const data = JSON.parse(document.getElementById("data").textContent);
startTheme(document.getElementById("theme"));
startClaims(document.getElementById("claim-filter"));
startFigures();
startTables(data.tables);
addEventListener("hashchange", reveal);
reveal();
// After the first paint: what lies below it.
requestAnimationFrame(() =>
  setTimeout(() => {
    startExplorer(document.getElementById("setting"), data.rules);
    startCatalogue(document.getElementById("catalogue"), data.rules);
    document.documentElement.dataset.ready = "";
  }),
);

/** The closed forms, for a console and for tests. */
window.maxpoLab = answers;
