// All that is said of one setting: every rule's exact moments, what it climbs, and which rule to take.
import { binomial } from "./binomial.js";
import { leastTable } from "./floor.js";
import { HISTORY_RULES, historyTables } from "./history.js";
import { traceCovariance, weight } from "./moments.js";
import { PLACE_RULES, traceOfPlaces, weightOfPlaces } from "./places.js";
import { levels } from "./policy.js";
import { RULES, table, whyNot } from "./rules.js";
import { LARGEST, spectrum } from "./spectrum.js";

export { largestBias } from "./chebyshev.js";

/** Every rule that the explorer may show. */
export const EVERY_RULE = [...Object.keys(RULES), ...Object.keys(PLACE_RULES), ...Object.keys(HISTORY_RULES)];

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

/** Why there is no such rule at a setting, in words; empty where there is. */
export function absent(name, { n, k, history }) {
  if (name in PLACE_RULES) return "";
  if (name in RULES) return whyNot(name, n, k);
  if (!history) return "needs a history";
  const most = HISTORY_RULES[name].most(n, history);
  return k > most ? `takes K up to ${most}` : "";
}

/** Names of the rules that there are at a setting. */
export function names(setting) {
  return EVERY_RULE.filter((name) => !absent(name, setting));
}

/** Whether a rule's expected update is the gradient of pass@K, for every policy (and fair history). */
export function unbiased(name, { n, k, staleness = 1 }) {
  if (name in HISTORY_RULES) return !onlyFair(name) || staleness === 1;
  return name in RULES && table(name, n, k).unbiased;
}

/** Whether a rule is unbiased over fair histories alone. */
export function onlyFair(name) {
  return Boolean(HISTORY_RULES[name]?.fair);
}

/** Whether a rule looks at K. */
function looksAtK(name) {
  return name in HISTORY_RULES || Boolean(RULES[name]?.orders);
}

/** Rules made for pass@K: at a K above n, where no rule of a group is unbiased, what there is. */
export function madeForK(setting) {
  return names(setting).filter(looksAtK);
}

/** f and the trace covariance of a rule, over groups and over histories at the policy's rate. */
function summed(name, { n, k, history, staleness = 1 }, policy) {
  if (name in PLACE_RULES) {
    const places = PLACE_RULES[name](n);
    return [weightOfPlaces(places), traceOfPlaces(places, policy)];
  }
  const rate = Math.min(1, policy.seen * staleness);
  const [tables, chances] =
    name in RULES
      ? [[table(name, n, k)], [1]]
      : [historyTables(name, n, k, history), binomial(history, rate)];
  return [weight(tables, chances, policy.seen), traceCovariance(tables, chances, policy)];
}

/** The weight of grad p in the gradient of pass@K. */
export function wanted(k, p) {
  return k * (1 - p) ** (k - 1);
}

/**
 * Exact moments of one rule at a setting {n, k, p, correct, outcomes, history, staleness, falsePositives,
 * falseNegatives}: `climbed`, the weight of grad p; `scale`, that over pass@K's, NaN where that underflows;
 * `trace`, the trace covariance; `efficiency`, the reference over trace / c^2, c the scale on rewards as they
 * are judged: above n, where the reference is no bound, of rules that look at K alone.
 */
export function moments(name, setting, least = reference(setting)) {
  const policy = levels(setting);
  const [f, trace] = summed(name, setting, policy);
  const over = (size, whole) => (whole > 0 ? size / whole : NaN);
  const c = over(f, wanted(setting.k, policy.seen));
  const compared = trace > 0 && least > 0 && (setting.k <= setting.n || looksAtK(name));
  return {
    name,
    climbed: f * policy.share,
    scale: over(f * policy.share, wanted(setting.k, setting.p)),
    trace,
    efficiency: compared ? (least * c ** 2) / trace : NaN,
    unbiased: unbiased(name, setting),
  };
}

/** What an efficiency is of: the floor, or above it, where no rule has one, groups of K rollouts. */
export function reference(setting) {
  return setting.k > setting.n ? larger(setting) : floor(setting);
}

/** Least trace covariance of a rule that is unbiased for max@K of the rewards as they are judged; 0 where degenerate. */
export function floor(setting) {
  const policy = levels(setting);
  const least = traceCovariance([leastTable(policy, setting.n, setting.k)], [1], policy);
  const loo1 = traceCovariance([leastWithout(setting)], [1], policy);
  return least <= 1e-12 * loo1 ? 0 : least;
}

/** Trace covariance of pkpo-loo1 in groups of K, as many rollouts in all: K/n times fewer groups. */
function larger(setting) {
  const { n, k } = setting;
  return (k / n) * traceCovariance([table("pkpo-loo1", k, k)], [1], levels(setting));
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
  const known = name in HISTORY_RULES && history > 0 && k <= n && unbiased(name, { n, k, staleness });
  if (!known) return null;
  return spectrum(leastWithout({ n, k }).exact, falsePositives, falseNegatives);
}

/**
 * The unbiased rule of least variance at this success rate, and the one whose least efficiency over success
 * rates from 0.001 to 0.9 is greatest, K being at most n; null where no efficiency is defined. Ties go to the
 * rule listed first.
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
