// The explorer: a setting in, every rule's exact numbers out.
import { climbs, floor, grid, moments, names, recommended, unbiased, wanted } from "../formulas/answers.js";
import { efficiencyChart, weightChart } from "./charts.js";
import { startControls } from "./controls.js";
import { short } from "./numbers.js";
import { makeTable } from "./tables.js";

const CURVE = grid(0.001, 0.99, 61);
/** Rules with history have shades of one grey in the figures: here they share a chart. */
const HISTORY = { replay: "#e69f00", "plug-in-floor": "#332288", "centered-replay": "#44aa99" };

/** What a rule climbs, in words. */
export function said(name, setting, found) {
  const { k, falsePositives, falseNegatives } = setting;
  const weights = climbs(name, setting);
  const errs = falsePositives + falseNegatives > 0;
  if (!weights) {
    return unbiased(name, setting) && !errs
      ? `pass@${k}, at every p.`
      : `At this p ${short(found.scale)} times the gradient of pass@${k}; the curve has it at every p.`;
  }
  const parts = weights
    .map((each, i) => [each, i + 1])
    .filter(([each]) => !each.equals(0))
    .map(([each, order]) => `${shownWeight(each)} pass@${order}`);
  const shown = parts.length > 8 ? [...parts.slice(0, 4), "…", ...parts.slice(-3)] : parts;
  return `${parts.length ? shown.join(" + ").replaceAll("+ -", "− ") : "Nothing"}${errs ? ", with these verifier errors" : ""}, exactly: ${short(found.scale)} times the gradient of pass@${k} at this p.`;
}

function shownWeight(weight) {
  if (weight.equals(1)) return "";
  const text = weight.toFraction();
  return text.length <= 7 ? text : short(Number(weight), 3);
}

function advice(setting) {
  const { here, everywhere } = recommended(setting);
  const head = (text) => Object.assign(document.createElement("h3"), { textContent: text });
  const line = (...parts) => {
    const p = document.createElement("p");
    p.append(...parts);
    return p;
  };
  const code = (text) => Object.assign(document.createElement("code"), { textContent: text });
  if (!here.name) {
    return [
      head("Recommended"),
      line(
        "No rule can be preferred: with two outcomes the scores of a verdict do not vary, and the floor is 0.",
      ),
    ];
  }
  // Above 1 where the history enters the weight: the floor is that of rules that see the group alone.
  const allowed = (value) =>
    value > 1
      ? `${short(100 * value, 3)} % of the floor of rules that see the group alone, over fair histories`
      : `${short(100 * value, 3)} % of what the floor allows`;
  const share = (value) => `${short(100 * value, 3)} %`;
  const same = here.name === everywhere.name;
  const over = "at the worst success rate from 0.001 to 0.9";
  return [
    head("Recommended"),
    line(
      code(here.name),
      ` has the least variance of the unbiased rules at this p: ${allowed(here.efficiency)}`,
      same ? `, and is the safest choice where p varies (${share(everywhere.efficiency)} ${over}).` : ".",
    ),
    ...(same
      ? []
      : [
          line(
            "Where p varies, ",
            code(everywhere.name),
            ` is the safest: ${share(everywhere.efficiency)} ${over}.`,
          ),
        ]),
    ...(setting.falsePositives + setting.falseNegatives > 0
      ? [
          line(
            "Unbiased for the rewards as they are judged: what it then climbs of true correctness is below.",
          ),
        ]
      : []),
  ];
}

/** Start the explorer on its form; `rules` are the catalogue's entries, with their colours. */
export function startExplorer(form, rules) {
  const colours = Object.fromEntries(rules.map((rule) => [rule.name, rule.colour]));
  // Paler on a dark page.
  const colour = (name) => `color-mix(in oklab, ${HISTORY[name] ?? colours[name]} var(--pure), white)`;
  const element = (id) => document.getElementById(id);
  const choice = element("shown-rule");
  const yes = (value, type) => (type === "display" ? (value ? "yes" : "no") : Number(value));
  const table = makeTable(
    element("moments"),
    [
      { title: "rule", render: (v, type) => (type === "display" ? `<code>${v}</code>` : v) },
      { title: "unbiased for pass@K", render: yes },
      { title: "scale" },
      { title: "tr Cov" },
      { title: "efficiency" },
      { title: "weight of grad p" },
    ],
    [],
    {
      paging: false,
      info: false,
      layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
      order: [
        [1, "desc"],
        [4, "desc"],
      ],
      choices: [],
    },
  );
  let setting = null;

  function drawWeight() {
    const name = choice.value;
    if (!name || !setting) return;
    const found = moments(name, setting);
    const curve = (value) => CURVE.map((p) => ({ p, value: value(p) }));
    weightChart(element("weight-chart"), {
      name,
      colour: colour(name),
      own: curve((p) => moments(name, { ...setting, p }, 0).climbed),
      wanted: curve((p) => wanted(setting.k, p)),
      k: setting.k,
      p: setting.p,
    });
    element("climbs").textContent = said(name, setting, found);
  }

  function draw() {
    const listed = names(setting);
    const least = floor(setting);
    const found = listed.map((name) => moments(name, setting, least));
    table
      .clear()
      .rows.add(found.map((m) => [m.name, m.unbiased, m.scale, m.trace, m.efficiency, m.climbed]))
      .draw();
    const before = choice.value;
    choice.replaceChildren(...listed.map((name) => new Option(name)));
    const { here } = recommended(setting);
    choice.value = listed.includes(before) ? before : (here.name ?? listed[0]);
    element("recommended").replaceChildren(...advice(setting));
    const curves = found.filter((m) => m.unbiased);
    const floors = CURVE.map((p) => floor({ ...setting, p }));
    efficiencyChart(
      element("efficiency-chart"),
      curves.map(({ name }) => ({
        name,
        colour: colour(name),
        points: CURVE.map((p, at) => ({ p, value: moments(name, { ...setting, p }, floors[at]).efficiency })),
      })),
      setting.p,
    );
    drawWeight();
  }

  let waiting = 0;
  choice.addEventListener("change", drawWeight);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width && setting) draw();
    width = innerWidth;
  });
  startControls(form, (asked, why) => {
    element("invalid").textContent = why;
    element("invalid").hidden = !why;
    if (why) return;
    setting = asked;
    // One drawing for many moves of a slider.
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(draw);
  });
}
