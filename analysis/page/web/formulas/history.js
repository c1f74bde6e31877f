// Rules that use m earlier rewards of the prompt, as tables after each number of successes among them.
import { asTable, gains, squared } from "./floor.js";
import { solve } from "./tridiagonal.js";

/** Estimate of p by the others and by H of m earlier rewards. */
function replay(n, k, m, successes) {
  const gain = gains(n, k);
  return asTable(
    gain,
    gain.map((g, others) => (g ? (g * (others + successes)) / (n - k + m) : 0)),
  );
}

/** n/(n-1) times what history alone gives, less its group mean. */
function centeredReplay(n, k, m, successes) {
  const gain = gains(n, k);
  const { won, lost, steps } = asTable(
    gain,
    gain.map((g) => (g * successes) / m),
  );
  const mean = won.map((own, c) => (c * own + (n - c) * lost[c]) / n);
  const scaled = (values) => values.map((own, c) => (n / (n - 1)) * (own - mean[c]));
  const centered = { won: scaled(won), lost: scaled(lost) };
  return {
    ...centered,
    squares: squared(centered),
    steps: steps.map((step, c) => (n / (n - 1)) * (step - mean[c + 1] + mean[c])),
  };
}

/** The floor's own baseline where one answer is correct, at the rate H / (m + 1/2). */
function plugInFloor(n, k, m, successes) {
  const gain = gains(n, k);
  const p = successes / (m + 0.5);
  const each = gain.map((_, o) => o);
  const baseline = solve(
    each.map((o) => -p * (1 - p) * o),
    each.map((o) => 1 + p * ((n - o) * p + (o + 1) * (1 - p))),
    each.map((o) => -p * p * (n - o - 1)),
    each.map((o) => p * (1 - p) * ((o + 1) * gain[o] - (o ? o * gain[o - 1] : 0))),
  );
  return asTable(gain, baseline);
}

/** maxpo of the group and the history together, of which the rollouts of the group get their advantages. */
function pooled(n, k, m, successes) {
  const gain = gains(n + m, k).slice(successes, successes + n);
  return asTable(
    gain,
    gain.map((g, others) => (g * (others + successes)) / (n + m - k)),
  );
}

/**
 * Rules with history by name: the table `after` so many successes among m, and the greatest K; `fair`: unbiased
 * on average over fair histories alone, not after each.
 */
export const HISTORY_RULES = {
  replay: { after: replay, most: (n) => n },
  "plug-in-floor": { after: plugInFloor, most: (n) => n },
  "centered-replay": { fair: true, after: centeredReplay, most: (n) => n },
  pooled: { fair: true, after: pooled, most: (n, m) => n + m - 1 },
};

const tables = new Map();

/** The tables of a rule after 0..m successes among m earlier rewards. */
export function historyTables(name, n, k, m) {
  const key = `${name} ${n} ${k} ${m}`;
  if (!tables.has(key)) {
    if (tables.size > 200) tables.clear();
    const counts = Array.from({ length: m + 1 }, (_, successes) => successes);
    tables.set(
      key,
      counts.map((successes) => HISTORY_RULES[name].after(n, k, m, successes)),
    );
  }
  return tables.get(key);
}
