// Rules in which the place of a rollout in its group counts: linear in its reward and in those before it.

/** KRPO, a Kalman filter along the group: per place `own`, the weight of its reward, and of those before it the sum and the sum of squares. */
function kalman(n) {
  const [process, measurement] = [1e-5, 1e-2];
  let variance = 1;
  let [before, squares] = [0, 0];
  return Array.from({ length: n }, () => {
    const predicted = variance + process;
    const left = measurement / (predicted + measurement);
    variance = left * predicted;
    const own = left / (Math.sqrt(variance) + 1e-8);
    const place = { own, before: -own * before, squares: own ** 2 * squares };
    [before, squares] = [left * before + 1 - left, left ** 2 * squares + (1 - left) ** 2];
    return place;
  });
}

/** Rules by name, as the weights of each place. */
export const PLACE_RULES = { krpo: kalman };

/** f: E[g] = f grad(seen): of the others' scores, which are 0 on average, nothing is left. */
export function weightOfPlaces(places) {
  return places.reduce((total, { own }) => total + own, 0) / places.length;
}

/**
 * The trace covariance of g: the terms A_i s_i of two places are uncorrelated, as the later score meets no
 * reward but its own, and within one the rewards before it are apart from its score.
 */
export function traceOfPlaces(places, { seen, unseen, signal, spread }) {
  const passed = spread[1] + signal;
  const failed = spread[0] + signal * (seen / unseen) ** 2;
  let total = 0;
  for (const { own, before, squares } of places) {
    const mean = seen * before;
    const noise = seen * unseen * squares;
    total += seen * passed * ((own + mean) ** 2 + noise) + unseen * failed * (mean ** 2 + noise);
    total -= signal * (own * seen) ** 2;
  }
  return total / places.length ** 2;
}
