// The binomial distribution, to rounding.

/** Chances of 0..n successes among n rollouts of success rate p. */
export function binomial(n, p) {
  const chances = new Array(n + 1).fill(0);
  if (p <= 0 || p >= 1) {
    chances[p <= 0 ? 0 : n] = 1;
    return chances;
  }
  // Ratios of neighbours from the likeliest count on: nothing overflows, and what underflows is 0.
  const likeliest = Math.min(n, Math.floor((n + 1) * p));
  const odds = p / (1 - p);
  chances[likeliest] = 1;
  for (let c = likeliest; c < n; c += 1) chances[c + 1] = (chances[c] * (n - c) * odds) / (c + 1);
  for (let c = likeliest; c > 0; c -= 1) chances[c - 1] = (chances[c] * c) / ((n - c + 1) * odds);
  let total = 0;
  for (const each of [...chances].sort((a, b) => a - b)) total += each;
  return chances.map((each) => each / total);
}
