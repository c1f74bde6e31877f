// The rules on 0/1 rewards: what a success and a failure get in a group of n with c successes.
import { increments } from "./chebyshev.js";
import { ONE, ZERO, allFail, credit, ratio } from "./subsets.js";

/** An unbiased rule: credit times (R - estimate of p by the others). */
function byEstimate(estimate) {
  return {
    success: (n, k, c) => credit(n, k, c - 1).mul(ONE.sub(estimate(n, k, c - 1))),
    failure: (n, k, c) =>
      credit(n, k, c)
        .mul(estimate(n, k, c))
        .neg(),
  };
}

const deviation = (n, c) => Math.sqrt((c * (n - c)) / (n * (n - 1)));
const standardised = (divisor, factor = () => 1) => ({
  success: (n, k, c) => (factor(n) * (1 - c / n)) / divisor(deviation(n, c)),
  failure: (n, k, c) => (factor(n) * -(c / n)) / divisor(deviation(n, c)),
});

function standardisedByOthers(n, own, others) {
  const spread = Math.sqrt((others * (n - 1 - others)) / ((n - 1) * (n - 2)));
  return (own - others / (n - 1)) / (spread ? spread + 1e-6 : 1);
}

function passkTraining(n, k, c, own) {
  const none = Number(allFail(n, n - c, k));
  const scale = Math.sqrt((1 - none) * none) + 1e-6;
  return (none - (own ? 0 : Number(allFail(n - 1, n - c - 1, k - 1)))) / scale;
}

function entropic(n, c, own) {
  const worth = (reward) => (c ? Math.exp(2 * (reward - 1)) : 1);
  const total = c * worth(1) + (n - c) * worth(0);
  return worth(own) / ((total - worth(own)) / (n - 1) + 1e-12) - 1;
}

function riskSensitive(n, c, own) {
  const worth = Math.exp(2);
  return ((own ? worth : 1) / ((c * worth + n - c) / n) - 1) / 2;
}

function difficultyWeighted(n, c, own) {
  const plain = (own - c / n) / (deviation(n, c) + 1e-6);
  const weight = (x) => 0.4 + 1.1 / (1 + Math.exp(10 * (x - 0.75)));
  return plain * weight(plain > 0 ? c / n : 1 - c / n);
}

/** RiskPO: what lies between the quantiles 0.1 and 0.9 of the group, over their distance and the deviation. */
function betweenQuantiles(n, c, own) {
  const quantile = (share) => Math.min(1, Math.max(0, share * (n - 1) - (n - c - 1)));
  const [low, high] = [quantile(0.1), quantile(0.9)];
  return (Math.min(Math.max(own, low), high) - high) / (high - low + 1e-6) / (deviation(n, c) + 1e-6);
}

const KEPT = 4;
/** PODS keeps two successes and two failures, or as many as there are. */
const successesKept = (n, c) => Math.min(c, Math.max(KEPT / 2, KEPT - (n - c)));

function amongKept(n, c, own) {
  const share = successesKept(n, c) / KEPT;
  return (own - share) / (Math.sqrt((KEPT / (KEPT - 1)) * share * (1 - share)) + 1e-4);
}

/** Chebyshev's increments between a success and a failure; of what every rollout gets rloo's share. */
function byIncrements(n, k, c, own) {
  const steps = increments(n, k);
  const mean = steps[0].mul(ratio(own ? c - 1 : c, n - 1));
  return own ? steps[n - c].sub(mean) : mean.neg();
}

const toN = (n) => [1, n];
const belowN = (n) => [1, n - 1];
const fromTwo = (n) => [2, n];
const shareAbove = {
  exact: true,
  success: (n, k, c) => ratio(n - c, c),
  failure: (n, k, c) => (c ? ONE.neg() : ZERO),
};

/**
 * Rules by name. `success` and `failure` give the advantage from (n, K, c), as exact fractions where `exact`;
 * `orders` the least and the greatest K in groups of n, of a rule that looks at K; `smallest` the least group
 * where that is not 2; `paid` which shares of the successes and of the failures get that, the others 0.
 */
export const RULES = {
  reinforce: { exact: true, success: () => ONE, failure: () => ZERO },
  rloo: {
    exact: true,
    success: (n, k, c) => ratio(n - c, n - 1),
    failure: (n, k, c) => ratio(-c, n - 1),
  },
  "batch-mean": {
    exact: true,
    success: (n, k, c) => ratio(n - c, n),
    failure: (n, k, c) => ratio(-c, n),
  },
  grpo: standardised((sigma) => sigma + 1e-6),
  "rloo-standardised": standardised(
    (sigma) => sigma + 1e-4,
    (n) => n / (n - 1),
  ),
  "torchrl-grpo": standardised((sigma) => Math.max(sigma, 1e-6)),
  "nemo-grpo": {
    smallest: 3,
    success: (n, k, c) => standardisedByOthers(n, 1, c - 1),
    failure: (n, k, c) => standardisedByOthers(n, 0, c),
  },
  maxrl: shareAbove,
  "maxrl-keep-failures": {
    exact: true,
    success: (n, k, c) => ratio(n - c, c),
    failure: () => ONE.neg(),
  },
  tailrl: shareAbove,
  "pkpo-s": {
    orders: toN,
    exact: true,
    success: (n, k) => ONE.mul(k),
    failure: (n, k, c) => ONE.mul(k).sub(credit(n, k, c)),
  },
  "pkpo-loo": {
    orders: belowN,
    exact: true,
    success: (n, k, c) => ONE.sub(excluded(n, k, c - 1)).mul(k),
    failure: (n, k, c) =>
      ONE.mul(k)
        .sub(credit(n, k, c))
        .sub(excluded(n, k, c).mul(k)),
  },
  "pkpo-loo1": {
    orders: fromTwo,
    exact: true,
    ...byEstimate(() => ZERO),
  },
  maxpo: {
    orders: belowN,
    exact: true,
    ...byEstimate((n, k, others) => ratio(others, n - k)),
  },
  canonical: {
    orders: belowN,
    exact: true,
    success: (n, k, c) => allFail(n - 1, n - c, k).mul(k),
    failure: (n, k, c) =>
      allFail(n - 1, n - 1 - c, k)
        .sub(allFail(n - 1, n - 1 - c, k - 1))
        .mul(k),
  },
  predictive: {
    orders: toN,
    exact: true,
    ...byEstimate((n, k, others) => ratio(others, n - 1)),
  },
  "maxrl-pkpo": {
    orders: toN,
    exact: true,
    success: (n, k, c) => allFail(n - 1, n - c, k - 1).mul(ratio(n - c, n - 1)),
    failure: (n, k, c) => (c ? allFail(n - 1, n - c, k - 1).mul(ratio(-c, n - 1)) : ZERO),
  },
  "rloo-reweighted": {
    orders: toN,
    exact: true,
    success: (n, k, c) =>
      ratio(n - c, n - 1)
        .pow(k)
        .mul(k),
    failure: (n, k, c) =>
      ratio(n - 1 - c, n - 1)
        .pow(k - 1)
        .mul(ratio(-c, n - 1))
        .mul(k),
  },
  chebyshev: {
    orders: (n) => [1, 2 * n],
    exact: true,
    success: (n, k, c) => (k > 1 && k <= n ? credit(n, k, c - 1) : byIncrements(n, k, c, 1)),
    failure: (n, k, c) => (k > 1 && k <= n ? ZERO : byIncrements(n, k, c, 0)),
  },
  "max-minus-second": {
    exact: true,
    success: (n, k, c) => (c === 1 ? ratio(n, 1) : ZERO),
    failure: () => ZERO,
  },
  "verl-grpo-passk": {
    success: (n, k, c) => (c === 1 ? 1 / (deviation(n, c) + 1e-6) : 0),
    failure: () => 0,
  },
  "verl-grpo-passk-nostd": {
    exact: true,
    success: (n, k, c) => (c === 1 ? ONE : ZERO),
    failure: () => ZERO,
  },
  "ei-group-mean": {
    exact: true,
    success: (n, k, c) => (c === 1 ? ratio(n - 1, n) : ZERO),
    failure: (n, k, c) => (c === 1 ? ratio(-1, n) : ZERO),
  },
  leader: {
    exact: true,
    success: (n, k, c) => ratio(3 * (n - c), 2 * n),
    failure: (n, k, c) => ratio(-c, n),
  },
  entropic: {
    success: (n, k, c) => entropic(n, c, 1),
    failure: (n, k, c) => entropic(n, c, 0),
  },
  "pkpo-mean-centered": {
    orders: toN,
    exact: true,
    success: (n, k, c) => ratio(k, n).mul(allFail(n, n - c, k)),
    failure: (n, k, c) => ratio(k, n).mul(allFail(n, n - c, k).sub(allFail(n - 1, n - 1 - c, k - 1))),
  },
  "pkpo-sum-scale": {
    orders: fromTwo,
    exact: true,
    success: (n, k, c) => credit(n, k, c - 1).div(n),
    failure: () => ZERO,
  },
  "passk-training": {
    orders: toN,
    success: (n, k, c) => passkTraining(n, k, c, 1),
    failure: (n, k, c) => passkTraining(n, k, c, 0),
  },
  "rs-grpo": {
    success: (n, k, c) => riskSensitive(n, c, 1),
    failure: (n, k, c) => riskSensitive(n, c, 0),
  },
  opmd: {
    success: (n, k, c) => 1 - Math.log1p((c * Math.expm1(1)) / n),
    failure: (n, k, c) => -Math.log1p((c * Math.expm1(1)) / n),
  },
  riskpo: {
    success: (n, k, c) => betweenQuantiles(n, c, 1),
    failure: (n, k, c) => betweenQuantiles(n, c, 0),
  },
  "w-reinforce": { exact: true, success: () => ratio(1, 10), failure: () => ONE.neg() },
  asymre: {
    exact: true,
    success: (n, k, c) => ratio(n - c, n).add(ratio(1, 10)),
    failure: (n, k, c) => ratio(-c, n).add(ratio(1, 10)),
  },
  "grpo-lead": {
    success: (n, k, c) => difficultyWeighted(n, c, 1),
    failure: (n, k, c) => difficultyWeighted(n, c, 0),
  },
  pods: {
    smallest: KEPT,
    paid: (n, c) => [successesKept(n, c) / c, (KEPT - successesKept(n, c)) / (n - c)],
    success: (n, k, c) => amongKept(n, c, 1),
    failure: (n, k, c) => amongKept(n, c, 0),
  },
};

/** n/(n-1) v(K): the leave-one-out value of the others, `others` of the n-1 being successes. */
function excluded(n, k, others) {
  return ONE.sub(allFail(n - 1, n - 1 - others, k)).mul(ratio(n, n - 1));
}

/** Why a rule does not exist at (n, K), in words; empty where it does. */
export function whyNot(name, n, k) {
  const { smallest = 2, orders } = RULES[name];
  if (n < smallest) return `needs n of at least ${smallest}`;
  const [least, most] = orders?.(n) ?? [1, Infinity];
  if (k < least) return `needs K of at least ${least}`;
  return k > most ? `takes K up to ${most}` : "";
}

const tables = new Map();

/**
 * The table of a rule without history: `won[c]` of a success, c = 1..n, `lost[c]` of a failure, c = 0..n-1, 0
 * where there is none, each the mean of a level; `squares` of both, the means of the squares;
 * `steps[c] = won[c+1] - lost[c]`, c = 0..n-1, subtracted exactly where that can be; `exact` holds the first
 * two as fractions, or is null; `unbiased`, whether each step is what max@K asks for: decided by fractions.
 */
export function table(name, n, k) {
  const key = `${name} ${n} ${k}`;
  if (!tables.has(key)) {
    if (tables.size > 2000) tables.clear();
    tables.set(key, made(RULES[name], n, k));
  }
  return tables.get(key);
}

function made({ success, failure, exact, paid }, n, k) {
  const none = exact ? ZERO : 0;
  const counts = Array.from({ length: n + 1 }, (_, c) => c);
  const own = [
    counts.map((c) => (c > 0 ? success(n, k, c) : none)),
    counts.map((c) => (c < n ? failure(n, k, c) : none)),
  ];
  const numbers = own.map((values) => values.map(Number));
  const shared = (values, level, power) =>
    values.map((each, c) => (each ? each ** power * (paid?.(n, c)[level] ?? 1) : 0));
  const [won, lost] = numbers.map((values, level) => shared(values, level, 1));
  const steps = counts.slice(0, n).map((c) => (exact ? own[0][c + 1].sub(own[1][c]) : won[c + 1] - lost[c]));
  return {
    won,
    lost,
    squares: { won: shared(numbers[0], 0, 2), lost: shared(numbers[1], 1, 2) },
    steps: steps.map(Number),
    exact: exact ? { won: own[0], lost: own[1] } : null,
    unbiased: Boolean(exact) && k <= n && steps.every((step, others) => step.equals(credit(n, k, others))),
  };
}
