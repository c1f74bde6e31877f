// Exact moments of a gradient estimate g = (1/n) sum A_i s_i on a policy of two levels.
import { binomial } from "./binomial.js";

/**
 * f: E[g] = f grad(seen), the mean of (advantage of a success - that of a failure in its place) over the
 * others. `tables` are a rule's after each history, `chances` those of the histories.
 */
export function weight(tables, chances, seen) {
  const others = binomial(tables[0].steps.length - 1, seen);
  let total = 0;
  tables.forEach(({ steps }, h) => {
    let own = 0;
    steps.forEach((step, c) => (own += others[c] * step));
    total += chances[h] * own;
  });
  return total;
}

/**
 * The trace covariance of g, over groups and histories.
 *
 * With T and Q the sums of A and A^2 over the members of a level, E[g | c] = X G / n with
 * X = T1 - T0 seen / (1 - seen), and the spread inside the levels adds (Q1 V1 + Q0 V0) / n^2.
 */
export function traceCovariance(tables, chances, { seen, unseen, signal, spread }) {
  const n = tables[0].won.length - 1;
  const groups = binomial(n, seen);
  const odds = seen / unseen;
  const sums = tables.map(({ won, lost }) => groups.map((_, c) => c * won[c] - (n - c) * lost[c] * odds));
  let mean = 0;
  sums.forEach((own, h) => own.forEach((x, c) => (mean += chances[h] * groups[c] * x)));
  let total = 0;
  tables.forEach(({ squares }, h) => {
    for (let c = 0; c <= n; c += 1) {
      const within = c * squares.won[c] * spread[1] + (n - c) * squares.lost[c] * spread[0];
      total += chances[h] * groups[c] * (within + signal * (sums[h][c] - mean) ** 2);
    }
  });
  return total / n ** 2;
}
