// Shares of subsets, as exact fractions: what the tables of the rules are made from.
import Fraction from "fraction.js";

export const ZERO = new Fraction(0);
export const ONE = new Fraction(1);

const rows = [[1n]];

/** C(n, k) as a BigInt; 0 outside 0 <= k <= n. */
export function choose(n, k) {
  if (k < 0 || n < 0 || k > n) return 0n;
  while (rows.length <= n) {
    const last = rows[rows.length - 1];
    rows.push([1n, ...last.slice(1).map((value, i) => value + last[i]), 1n]);
  }
  return rows[n][k];
}

/** a / b of whole numbers or BigInts. */
export function ratio(a, b) {
  return new Fraction(BigInt(a), BigInt(b));
}

/**
 * The chance that `drawn` of `size` rollouts, without replacement, are all failures, where `failures` of
 * them fail: C(failures, drawn) / C(size, drawn).
 */
export function allFail(size, failures, drawn) {
  return new Fraction(choose(failures, drawn), choose(size, drawn));
}

/** K times the chance that K-1 of the others fail, `others` of the n-1 being successes: what max@K asks for. */
export function credit(n, k, others) {
  return allFail(n - 1, n - 1 - others, k - 1).mul(k);
}
