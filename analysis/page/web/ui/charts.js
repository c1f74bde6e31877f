// The explorer's two pictures.
import * as Plot from "@observablehq/plot";
import { short } from "./numbers.js";

/** Success rates from which to which curves are drawn. */
export const [LEAST, MOST] = [0.001, 0.99];
const RATES = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99];
const logit = (p) => Math.log(p / (1 - p));

/** Success rates along an axis that is even in log-odds. */
const rateAxis = () => ({
  label: "success rate p →",
  domain: [LEAST, MOST].map(logit),
  ticks: RATES.map(logit),
  tickFormat: (x) => String(Number((1 / (1 + Math.exp(-x))).toPrecision(3))),
  labelOffset: 40,
});

/** Where the chosen p stands, if inside. */
const marked = (p) => (p >= LEAST && p <= MOST ? [logit(p)] : []);

const options = (element, description) => ({
  width: Math.max(280, element.clientWidth),
  height: 290,
  marginLeft: 46,
  marginBottom: 44,
  ariaLabel: description,
  style: { background: "transparent", color: "inherit", fontSize: "12px", overflow: "visible" },
});

function put(element, chart, description) {
  const svg = chart.tagName.toLowerCase() === "svg" ? chart : chart.querySelector(":scope > svg");
  // A picture is one thing with one description: its parts have no role that could be named.
  for (const part of svg.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
  // The squares of a legend say nothing that the names next to them do not.
  for (const each of chart.querySelectorAll("svg"))
    if (each !== svg) each.setAttribute("aria-hidden", "true");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", description);
  element.replaceChildren(chart);
}

/** Curves {name, colour, points: [{p, value}]} of efficiencies, with gaps at NaN; the chosen p is marked. */
export function efficiencyChart(element, curves, p) {
  if (!curves.length) {
    element.replaceChildren("No such rule is defined at this setting.");
    return;
  }
  const values = curves.flatMap(({ points: own }) => own.map(({ value }) => value));
  const most = Math.max(1, ...values.filter((value) => value < 1.6));
  // What leaves the frame does so to a place that a path can have.
  const points = curves.flatMap(({ name, points: own }) =>
    own.map(({ p: rate, value }) => ({ name, x: logit(rate), y: Math.min(value, 9 * most) })),
  );
  const description = `Efficiency against the success rate, of ${curves.map((each) => each.name).join(", ")}; the table has the numbers at p = ${short(p)}.`;
  put(
    element,
    Plot.plot({
      ...options(element, description),
      x: { ...rateAxis(), grid: true },
      y: { label: "↑ efficiency", domain: [0, most], grid: true },
      color: {
        domain: curves.map(({ name }) => name),
        range: curves.map(({ colour }) => colour),
        legend: true,
      },
      marks: [
        Plot.ruleX(marked(p), { stroke: "currentColor", strokeOpacity: 0.6, strokeDasharray: "3 3" }),
        Plot.ruleY([0]),
        Plot.lineY(points, { x: "x", y: "y", stroke: "name", strokeWidth: 2, clip: true }),
      ],
    }),
    description,
  );
}

/** What a rule climbs, `own`, next to `wanted`, pass@K's, each [{p, value}], per K. */
export function weightChart(element, { name, colour, own, wanted, k, p }) {
  const description = `Weight of the gradient of p in the update of ${name}, against the success rate, next to that of pass@${k}.`;
  const series = [
    ...wanted.map((each) => ({ x: logit(each.p), y: each.value, of: `pass@${k}` })),
    ...own.map((each) => ({ x: logit(each.p), y: each.value, of: name })),
  ];
  put(
    element,
    Plot.plot({
      ...options(element, description),
      x: { ...rateAxis(), grid: true },
      y: { label: "↑ weight of grad p", grid: true, zero: true },
      color: { domain: [`pass@${k}`, name], range: ["var(--faint)", colour], legend: true },
      marks: [
        Plot.ruleX(marked(p), { stroke: "currentColor", strokeOpacity: 0.6, strokeDasharray: "3 3" }),
        Plot.ruleY([0]),
        Plot.lineY(
          series.filter(({ of }) => of !== name),
          { x: "x", y: "y", stroke: "of", strokeWidth: 5, strokeOpacity: 0.75 },
        ),
        Plot.lineY(
          series.filter(({ of }) => of === name),
          { x: "x", y: "y", stroke: "of", strokeWidth: 2 },
        ),
      ],
    }),
    description,
  );
}
