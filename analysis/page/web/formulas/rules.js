// The rules on 0/1 rewards: what a success and a failure get in a group of n with c successes.
import { ONE, ZERO, allFail, ratio } from "./subsets.js";

/** K times the chance that K-1 of the others fail, `others` of the n-1 being successes. */
function credit(n, k, others) {
  return allFail(n - 1, n - 1 - others, k - 1).mul(k);
}

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

const always = () => true;
const notAtN = (n, k) => k <= n - 1;
const notOne = (n, k) => k >= 2;

/**
 * Rules by name. `success` and `failure` give the advantage from (n, K, c), as exact fractions where `exact`;
 * `aim` is the objective whose gradient they are meant for, `unbiased` whether they have it for every policy.
 */
export const RULES = {
  reinforce: { aim: "mean", unbiased: true, exact: true, success: () => ONE, failure: () => ZERO },
  rloo: {
    aim: "mean",
    unbiased: true,
    exact: true,
    success: (n, k, c) => ratio(n - c, n - 1),
    failure: (n, k, c) => ratio(-c, n - 1),
  },
  "batch-mean": {
    aim: "mean",
    exact: true,
    success: (n, k, c) => ratio(n - c, n),
    failure: (n, k, c) => ratio(-c, n),
  },
  grpo: { aim: "mean", ...standardised((sigma) => sigma + 1e-6) },
  "rloo-standardised": {
    aim: "mean",
    ...standardised(
      (sigma) => sigma + 1e-4,
      (n) => n / (n - 1),
    ),
  },
  "torchrl-grpo": { aim: "mean", ...standardised((sigma) => Math.max(sigma, 1e-6)) },
  "nemo-grpo": {
    aim: "mean",
    defined: (n) => n >= 3,
    success: (n, k, c) => standardisedByOthers(n, 1, c - 1),
    failure: (n, k, c) => standardisedByOthers(n, 0, c),
  },
  maxrl: {
    aim: "mean",
    exact: true,
    success: (n, k, c) => ratio(n - c, c),
    failure: (n, k, c) => (c ? ONE.neg() : ZERO),
  },
  "maxrl-keep-failures": {
    aim: "mean",
    exact: true,
    success: (n, k, c) => ratio(n - c, c),
    failure: () => ONE.neg(),
  },
  "maxrl-pkpo": {
    aim: "max@k",
    exact: true,
    success: (n, k, c) => allFail(n - 1, n - c, k - 1).mul(ratio(n - c, n - 1)),
    failure: (n, k, c) => (c ? allFail(n - 1, n - c, k - 1).mul(ratio(-c, n - 1)) : ZERO),
  },
  "rloo-reweighted": {
    aim: "max@k",
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
  "pkpo-s": {
    aim: "max@k",
    unbiased: true,
    exact: true,
    success: (n, k) => ONE.mul(k),
    failure: (n, k, c) => ONE.mul(k).sub(credit(n, k, c)),
  },
  "pkpo-loo": {
    aim: "max@k",
    unbiased: true,
    exact: true,
    defined: notAtN,
    success: (n, k, c) => ONE.sub(excluded(n, k, c - 1)).mul(k),
    failure: (n, k, c) =>
      ONE.mul(k)
        .sub(credit(n, k, c))
        .sub(excluded(n, k, c).mul(k)),
  },
  "pkpo-loo1": {
    aim: "max@k",
    unbiased: true,
    exact: true,
    defined: notOne,
    ...byEstimate(() => ZERO),
  },
  maxpo: {
    aim: "max@k",
    unbiased: true,
    exact: true,
    defined: notAtN,
    ...byEstimate((n, k, others) => ratio(others, n - k)),
  },
  predictive: {
    aim: "max@k",
    unbiased: true,
    exact: true,
    ...byEstimate((n, k, others) => ratio(others, n - 1)),
  },
  "max-minus-second": {
    aim: "max@n",
    unbiased: true,
    exact: true,
    success: (n, k, c) => (c === 1 ? ratio(n, 1) : ZERO),
    failure: () => ZERO,
  },
  "verl-grpo-passk": {
    aim: "max@n",
    success: (n, k, c) => (c === 1 ? 1 / (deviation(n, c) + 1e-6) : 0),
    failure: () => 0,
  },
  "verl-grpo-passk-nostd": {
    aim: "max@n",
    exact: true,
    success: (n, k, c) => (c === 1 ? ONE : ZERO),
    failure: () => ZERO,
  },
  "ei-group-mean": {
    aim: "max@n",
    exact: true,
    success: (n, k, c) => (c === 1 ? ratio(n - 1, n) : ZERO),
    failure: (n, k, c) => (c === 1 ? ratio(-1, n) : ZERO),
  },
  leader: {
    aim: "max@n",
    exact: true,
    success: (n, k, c) => ratio(3 * (n - c), 2 * n),
    failure: (n, k, c) => ratio(-c, n),
  },
  entropic: {
    aim: "mean",
    success: (n, k, c) => entropic(n, c, 1),
    failure: (n, k, c) => entropic(n, c, 0),
  },
  "pkpo-mean-centered": {
    aim: "max@k",
    exact: true,
    success: (n, k, c) => ratio(k, n).mul(allFail(n, n - c, k)),
    failure: (n, k, c) => ratio(k, n).mul(allFail(n, n - c, k).sub(allFail(n - 1, n - 1 - c, k - 1))),
  },
  "pkpo-sum-scale": {
    aim: "max@k",
    exact: true,
    defined: notOne,
    success: (n, k, c) => credit(n, k, c - 1).div(n),
    failure: () => ZERO,
  },
  "passk-training": {
    aim: "max@k",
    success: (n, k, c) => passkTraining(n, k, c, 1),
    failure: (n, k, c) => passkTraining(n, k, c, 0),
  },
  "rs-grpo": {
    aim: "mean",
    success: (n, k, c) => riskSensitive(n, c, 1),
    failure: (n, k, c) => riskSensitive(n, c, 0),
  },
  opmd: {
    aim: "mean",
    success: (n, k, c) => 1 - Math.log1p((c * Math.expm1(1)) / n),
    failure: (n, k, c) => -Math.log1p((c * Math.expm1(1)) / n),
  },
  "w-reinforce": { aim: "mean", exact: true, success: () => ratio(1, 10), failure: () => ONE.neg() },
  asymre: {
    aim: "mean",
    exact: true,
    success: (n, k, c) => ratio(n - c, n).add(ratio(1, 10)),
    failure: (n, k, c) => ratio(-c, n).add(ratio(1, 10)),
  },
  "grpo-lead": {
    aim: "mean",
    success: (n, k, c) => difficultyWeighted(n, c, 1),
    failure: (n, k, c) => difficultyWeighted(n, c, 0),
  },
};

/** n/(n-1) v(K): the leave-one-out value of the others, `others` of the n-1 being successes. */
function excluded(n, k, others) {
  return ONE.sub(allFail(n - 1, n - 1 - others, k)).mul(ratio(n, n - 1));
}

/** Whether a rule exists at (n, K). */
export function defined(name, n, k) {
  return k >= 1 && k <= n && n >= 2 && (RULES[name].defined ?? always)(n, k);
}

const tables = new Map();

/**
 * The table of a rule without history: `won[c]` of a success, c = 1..n, `lost[c]` of a failure, c = 0..n-1, 0
 * where there is none; `steps[c] = won[c+1] - lost[c]`, c = 0..n-1, subtracted exactly where that can be;
 * `exact` holds the first two as fractions, or is null.
 */
export function table(name, n, k) {
  const key = `${name} ${n} ${k}`;
  if (!tables.has(key)) {
    const rule = RULES[name];
    const none = rule.exact ? ZERO : 0;
    const counts = Array.from({ length: n + 1 }, (_, c) => c);
    const won = counts.map((c) => (c > 0 ? rule.success(n, k, c) : none));
    const lost = counts.map((c) => (c < n ? rule.failure(n, k, c) : none));
    if (tables.size > 2000) tables.clear();
    tables.set(key, {
      won: won.map(Number),
      lost: lost.map(Number),
      steps: counts
        .slice(0, n)
        .map((c) => Number(rule.exact ? won[c + 1].sub(lost[c]) : won[c + 1] - lost[c])),
      exact: rule.exact ? { won, lost } : null,
    });
  }
  return tables.get(key);
}
