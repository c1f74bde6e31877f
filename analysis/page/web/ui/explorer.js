// The explorer: a setting in, every rule's exact numbers out.
import {
  EVERY_RULE,
  absent,
  climbs,
  grid,
  largestBias,
  madeForK,
  moments,
  names,
  onlyFair,
  recommended,
  reference,
  unbiased,
  wanted,
} from "../formulas/answers.js";
import { LEAST, MOST, efficiencyChart, weightChart } from "./charts.js";
import { startControls } from "./controls.js";
import { short } from "./numbers.js";
import { makeTable } from "./tables.js";

const CURVE = grid(LEAST, MOST, 61);
/** Rules with history have shades of one grey in the figures: here they share a chart. */
const HISTORY = {
  replay: "#e69f00",
  "plug-in-floor": "#332288",
  "centered-replay": "#44aa99",
  pooled: "#999933",
};

/** Why rules of the catalogue have no closed form here, by what they see. */
const ELSEWHERE = {
  group: "one of a family with a parameter, which exact_moments of Python takes",
  batch: "looks at the other prompts of its batch, and one prompt is no batch",
  memory: "remembers earlier steps of a training run, so that its moments are those of a path of policies",
  vector: "takes several rewards of a rollout, and here is one",
  "vector-batch": "takes several rewards of a rollout and the other prompts of its batch",
};

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

const head = (text) => Object.assign(document.createElement("h3"), { textContent: text });
const code = (text) => Object.assign(document.createElement("code"), { textContent: text });
function line(...parts) {
  const p = document.createElement("p");
  p.append(...parts);
  return p;
}

/** What there is for K above n, and at what bias and noise. */
function adviceBeyond(setting) {
  const { n, k } = setting;
  const listed = madeForK(setting).map((name) => moments(name, setting));
  const said = listed.map(({ name, scale, efficiency }) =>
    line(
      code(name),
      Number.isFinite(scale)
        ? `: ${short(scale)} times the gradient of pass@${k} at this p, ${short(1 / efficiency, 3)} times the variance of groups of ${k}`
        : `: the gradient of pass@${k} is 0 to rounding at this p`,
      name === "chebyshev"
        ? `; its weight is off by ${short(100 * largestBias(n, k), 2)} % of K at most, at any p.`
        : setting.staleness === 1
          ? "; unbiased where the history is fair, as here."
          : "; biased by a history that is not fair, as here.",
    ),
  );
  return [
    head("No rule of a group is unbiased"),
    line(
      `pass@${k} asks for a weight of degree ${k - 1} in p, and the updates of ${n} rollouts have at most ${n - 1}. Groups of ${k}, fewer of them, do it without bias: `,
      code("pkpo-loo1"),
      ".",
    ),
    ...(said.length
      ? said
      : [
          line(
            `Beyond 2n = ${2 * n} `,
            code("chebyshev"),
            " is too noisy to be defined, and without more history there is no ",
            code("pooled"),
            ".",
          ),
        ]),
  ];
}

/** What to take for K up to n. */
function advice(setting, { here, everywhere }) {
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
    ...[...new Set([here.name, everywhere.name])]
      .filter(onlyFair)
      .map((name) =>
        line(
          "A history that is not fair biases ",
          code(name),
          "; ",
          code("replay"),
          " is unbiased with any.",
        ),
      ),
    ...(setting.falsePositives + setting.falseNegatives > 0
      ? [
          line(
            "Unbiased for the rewards as they are judged: what it then climbs of true correctness is below.",
          ),
        ]
      : []),
  ];
}

/** Curves that lie on each other as one, by all their names. */
function merged(curves) {
  const same = (a, b) =>
    a.points.every(({ value }, at) => !(Math.abs(value - b.points[at].value) > 1e-9 * Math.abs(value)));
  return curves.reduce((kept, curve) => {
    const other = kept.find((each) => same(each, curve));
    if (!other) return [...kept, curve];
    other.name += `, ${curve.name}`;
    return kept;
  }, []);
}

/** Start the explorer on its form; `rules` are the catalogue's entries, with their colours. */
export function startExplorer(form, rules) {
  const colours = Object.fromEntries(rules.map((rule) => [rule.name, rule.colour]));
  // Paler on a dark page.
  const colour = (name) => {
    const own = HISTORY[name] ?? colours[name];
    return `light-dark(${own}, color-mix(in oklab, ${own} 66%, white))`;
  };
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

  /** Rules by why they are not in the table: at this setting, or at any. */
  function drawAbsent() {
    const groups = new Map();
    const add = (why, name) => groups.set(why, [...(groups.get(why) ?? []), name]);
    for (const name of EVERY_RULE) {
      const why = absent(name, setting);
      if (why) add(`${why} here`, name);
    }
    for (const { name, kind } of rules) if (!EVERY_RULE.includes(name)) add(ELSEWHERE[kind], name);
    element("absent-count").textContent = [...groups.values()].flat().length;
    element("absent").replaceChildren(
      ...[...groups].map(([why, listed]) => {
        const item = document.createElement("li");
        item.append(`${why[0].toUpperCase()}${why.slice(1)}: `);
        listed.forEach((name, i) => item.append(i ? ", " : "", code(name)));
        return item;
      }),
    );
  }

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
    const least = reference(setting);
    const found = listed.map((name) => moments(name, setting, least));
    const above = setting.k > setting.n;
    table
      .clear()
      .rows.add(found.map((m) => [m.name, m.unbiased, m.scale, m.trace, m.efficiency, m.climbed]))
      .draw();
    const before = choice.value;
    choice.replaceChildren(...listed.map((name) => new Option(name)));
    const best = above ? null : recommended(setting);
    const first = above ? madeForK(setting)[0] : best.here.name;
    choice.value = listed.includes(before) ? before : (first ?? listed[0]);
    element("recommended").replaceChildren(...(above ? adviceBeyond(setting) : advice(setting, best)));
    element("efficiency-title").textContent = above
      ? `Rules made for K, where their scale is within 10 % of 1: variance in groups of ${setting.k}, for as many rollouts, over the rule's, against p`
      : "Efficiency of the unbiased rules: least possible variance over the rule's, against p";
    const references = CURVE.map((p) => reference({ ...setting, p }));
    const value = ({ scale, efficiency }) => (above && !(Math.abs(scale - 1) <= 0.1) ? NaN : efficiency);
    const drawn = above ? madeForK(setting) : found.filter((m) => m.unbiased).map(({ name }) => name);
    const curves = drawn.map((name) => ({
      name,
      colour: colour(name),
      points: CURVE.map((p, at) => ({ p, value: value(moments(name, { ...setting, p }, references[at])) })),
    }));
    efficiencyChart(element("efficiency-chart"), merged(curves), setting.p);
    drawAbsent();
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
    element("invalid").textContent = why && setting ? `${why} Below is the setting before.` : why;
    element("invalid").hidden = !why;
    if (why) return;
    setting = asked;
    // One drawing for many moves of a slider.
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(draw);
  });
}
