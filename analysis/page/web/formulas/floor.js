// The variance floor: the baseline of least variance among all unbiased rules, on two levels.
import { credit } from "./subsets.js";
import { solve } from "./tridiagonal.js";

const known = new Map();

/** What a success adds where `others` of the n-1 others succeed, others = 0..n-1: K C(n-1-o, K-1) / C(n-1, K-1). */
export function gains(n, k) {
  const key = `${n} ${k}`;
  if (!known.has(key)) {
    if (known.size > 50) known.clear();
    known.set(
      key,
      Array.from({ length: n }, (_, others) => Number(credit(n, k, others))),
    );
  }
  return known.get(key);
}

/**
 * The baselines b_o, o = 0..n-1, of `A_i = gain(o) R_i - b_o` with the least variance.
 *
 * Of the second moment, the derivative by each b, over 2 (n-o) P(o), is 0, with r = p / (1-p):
 *     b_o ((1-p) V0 + p V1) = p V1 g_o + |G|^2 p (X_(o+1) - X_o),   X_c = c (g_(c-1) - b_(c-1)) + (n-c) r b_c.
 */
export function leastBaseline({ seen, unseen, signal, spread }, gain) {
  const n = gain.length;
  const odds = seen / unseen;
  const each = gain.map((_, o) => o);
  return solve(
    each.map((o) => -signal * seen * o),
    each.map((o) => unseen * spread[0] + seen * spread[1] + signal * seen * (o + 1 + (n - o) * odds)),
    each.map((o) => -signal * seen * (n - o - 1) * odds),
    each.map(
      (o) => seen * spread[1] * gain[o] + signal * seen * ((o + 1) * gain[o] - (o ? o * gain[o - 1] : 0)),
    ),
  );
}

/** A rule `gain(others) R - baseline(others)` as a table. */
export function asTable(gain, baseline) {
  const won = [0, ...gain.map((g, o) => g - baseline[o])];
  const lost = [...baseline.map((b) => -b), 0];
  return { won, lost, squares: squared({ won, lost }), steps: gain };
}

/** The squares of a table whose levels are each paid alike. */
export function squared({ won, lost }) {
  const squares = (values) => values.map((each) => each ** 2);
  return { won: squares(won), lost: squares(lost) };
}

/** The table of the rule that reaches the floor of a policy. */
export function leastTable(policy, n, k) {
  const gain = gains(n, k);
  return asTable(gain, leastBaseline(policy, gain));
}
