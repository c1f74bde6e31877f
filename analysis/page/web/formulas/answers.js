// All that is said of one setting: every rule's exact moments, what it climbs, and which rule to take.
import { binomial } from "./binomial.js";
import { leastTable } from "./floor.js";
import { HISTORY_RULES, historyTables } from "./history.js";
import { traceCovariance, weight } from "./moments.js";
import { levels } from "./policy.js";
import { RULES, defined, table } from "./rules.js";
import { LARGEST, spectrum } from "./spectrum.js";

/** Success rates among which the rule that is safest at every p is sought: even in log-odds. */
export const RATES = grid(0.001, 0.9, 41);

/** `points` rates from `low` to `high`, even in log-odds. */
export function grid(low, high, points) {
  const logit = (p) => Math.log(p / (1 - p));
  const step = (logit(high) - logit(low)) / (points - 1);
  return Array.from({ length: points }, (_, i) =>
    i === points - 1 ? high : 1 / (1 + Math.exp(-(logit(low) + i * step))),
  );
}

/** Names of the rules that there are at a setting. */
export function names({ n, k, history }) {
  return [
    ...Object.keys(RULES).filter((name) => defined(name, n, k)),
    ...Object.keys(HISTORY_RULES).filter((name) => history > 0 && HISTORY_RULES[name].defined(n, k, history)),
  ];
}

/** Whether a rule's expected update is the gradient of pass@K, for every policy (and fair history). */
export function unbiased(name, { n, k, staleness = 1 }) {
  const { aim, unbiased: always, fair } = RULES[name] ?? HISTORY_RULES[name];
  const aimed = aim === "max@k" || (aim === "mean" && k === 1) || (aim === "max@n" && k === n);
  return aimed && Boolean(always || (fair && staleness === 1));
}

/** The tables of a rule after each history, and the histories' chances at the policy's rate. */
function tablesOf(name, { n, k, history, staleness = 1 }, policy) {
  if (name in RULES) return [[table(name, n, k)], [1]];
  const rate = Math.min(1, policy.seen * staleness);
  return [historyTables(name, n, k, history), binomial(history, rate)];
}

/** The weight of grad p in the gradient of pass@K. */
export function wanted(k, p) {
  return k * (1 - p) ** (k - 1);
}

/**
 * Exact moments of one rule at a setting {n, k, p, correct, outcomes, history, staleness, falsePositives,
 * falseNegatives}: `climbed`, the weight of grad p; `scale`, that over pass@K's; `trace`, the trace
 * covariance; `efficiency`, the floor over trace / c^2, c the scale on rewards as they are judged.
 */
export function moments(name, setting, least = floor(setting)) {
  const policy = levels(setting);
  const [tables, chances] = tablesOf(name, setting, policy);
  const f = weight(tables, chances, policy.seen);
  const trace = traceCovariance(tables, chances, policy);
  const c = f / wanted(setting.k, policy.seen);
  return {
    name,
    climbed: f * policy.share,
    scale: (f * policy.share) / wanted(setting.k, setting.p),
    trace,
    efficiency: trace > 0 && least > 0 ? (least * c ** 2) / trace : NaN,
    unbiased: unbiased(name, setting),
  };
}

/** Least trace covariance of a rule that is unbiased for max@K of the rewards as they are judged; 0 where degenerate. */
export function floor(setting) {
  const policy = levels(setting);
  const least = traceCovariance([leastTable(policy, setting.n, setting.k)], [1], policy);
  const loo1 = traceCovariance([leastWithout(setting)], [1], policy);
  return least <= 1e-12 * loo1 ? 0 : least;
}

function leastWithout({ n, k }) {
  return k > 1 ? table("pkpo-loo1", n, k) : table("reinforce", n, k);
}

/** Weights of pass@1..pass@n that a rule climbs, as fractions; null where they are not exact or n > 32. */
export function climbs(name, { n, k, falsePositives = 0, falseNegatives = 0, history, staleness = 1 }) {
  if (n > LARGEST) return null;
  if (name in RULES) {
    const { exact } = table(name, n, k);
    return exact && spectrum(exact, falsePositives, falseNegatives);
  }
  // Unbiased after each history (or over fair ones): what pkpo-loo1, or at K = 1 the reward, climbs.
  if (!history || !unbiased(name, { n, k, staleness })) return null;
  return spectrum(leastWithout({ n, k }).exact, falsePositives, falseNegatives);
}

/**
 * The unbiased rule of least variance at this success rate, and the one whose least efficiency over success
 * rates from 0.001 to 0.9 is greatest; null where no efficiency is defined. Ties go to the rule listed first.
 */
export function recommended(setting) {
  const candidates = names(setting).filter((name) => unbiased(name, setting));
  const best = (score) => {
    const scores = candidates.map((name) => [name, score(name)]).filter(([, value]) => value >= 0);
    const top = Math.max(...scores.map(([, value]) => value));
    const [name, value] = scores.find(([, each]) => each >= top * (1 - 1e-9)) ?? [null, NaN];
    return { name, efficiency: value };
  };
  const floors = RATES.map((p) => floor({ ...setting, p }));
  return {
    here: best((name) => moments(name, setting).efficiency),
    everywhere: best((name) =>
      Math.min(...RATES.map((p, i) => moments(name, { ...setting, p }, floors[i]).efficiency)),
    ),
  };
}

/** Every rule that the explorer may show. */
export const EVERY_RULE = [...Object.keys(RULES), ...Object.keys(HISTORY_RULES)];
