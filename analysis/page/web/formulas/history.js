// Rules that use m earlier rewards of the prompt, as tables after each number of successes among them.
import { asTable, gains } from "./floor.js";
import { table } from "./rules.js";
import { solve } from "./tridiagonal.js";

/** Estimate of p by the others and by H of m earlier rewards; without history maxpo, pkpo-loo1 at K = n. */
function replay(n, k, m, successes) {
  if (!m) return table(k < n ? "maxpo" : "pkpo-loo1", n, k);
  const gain = gains(n, k);
  return asTable(
    gain,
    gain.map((g, others) => (g ? (g * (others + successes)) / (n - k + m) : 0)),
  );
}

/** n/(n-1) times what history alone gives, less its group mean; without history maxpo. */
function centeredReplay(n, k, m, successes) {
  if (!m) return table("maxpo", n, k);
  const gain = gains(n, k);
  const { won, lost, steps } = asTable(
    gain,
    gain.map((g) => (g * successes) / m),
  );
  const mean = won.map((own, c) => (c * own + (n - c) * lost[c]) / n);
  const scaled = (values) => values.map((own, c) => (n / (n - 1)) * (own - mean[c]));
  return {
    won: scaled(won),
    lost: scaled(lost),
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

/** Rules with history by name; `fair`: unbiased on average over fair histories alone, not after each. */
export const HISTORY_RULES = {
  replay: { aim: "max@k", unbiased: true, after: replay, defined: (n, k, m) => k < n || m > 0 || k > 1 },
  "plug-in-floor": { aim: "max@k", unbiased: true, after: plugInFloor, defined: () => true },
  "centered-replay": {
    aim: "max@k",
    fair: true,
    after: centeredReplay,
    defined: (n, k, m) => k < n || m > 0,
  },
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
