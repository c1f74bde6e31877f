// The Chebyshev rule's increments: (1-p)^(K-1) cut after n terms of its series in shifted Chebyshev polynomials.
import Fraction from "fraction.js";
import { choose } from "./subsets.js";

const known = new Map();

/**
 * `D_m = K sum_s b_s C(m, s) / C(n-1, s)`, m = 0..n-1 others failing: a success less a failure, in fractions;
 * b the coefficients of the cut series.
 */
export function increments(n, k) {
  const key = `${n} ${k}`;
  if (!known.has(key)) {
    if (known.size > 50) known.clear();
    const series = scaledSeries(n, k - 1);
    // Newton's forward differences at m = 0: b_s / C(n-1, s), over a denominator in common.
    const ways = series.map((_, s) => choose(n - 1, s));
    const common = ways.reduce((all, each) => (all * each) / divisor(all, each));
    let row = series.map((each, s) => each * (common / ways[s]));
    const denominator = common * 4n ** BigInt(k - 1);
    known.set(
      key,
      series.map(() => {
        const value = new Fraction(BigInt(k) * row[0], denominator);
        row = row.slice(1).map((ahead, s) => row[s] + ahead);
        return value;
      }),
    );
  }
  return known.get(key);
}

/** The largest |f(p) - K (1-p)^(K-1)| over K: reached as p goes to 0, where all others fail. */
export function largestBias(n, k) {
  return Math.abs(Number(new Fraction(1).sub(increments(n, k)[n - 1].div(k))));
}

/** `4^N b_s`, s = 0..n-1, whole numbers: x^N = 2^(1-2N) sum_j' C(2N, N-j) T*_j(x), the first term halved. */
function scaledSeries(n, degree) {
  if (degree < n) return Array.from({ length: n }, (_, s) => (s === degree ? 4n ** BigInt(degree) : 0n));
  let before = Array.from({ length: n }, (_, s) => (s ? 0n : 1n));
  let here = before.map((_, s) => [-1n, 2n][s] ?? 0n);
  const total = before.map((each) => each * choose(2 * degree, degree));
  for (let j = 1; j < n; j += 1) {
    const twice = 2n * choose(2 * degree, degree - j);
    here.forEach((each, s) => (total[s] += twice * each));
    // T*_(j+1) = 2 (2x - 1) T*_j - T*_(j-1)
    const last = here;
    here = last.map((own, s) => 4n * (last[s - 1] ?? 0n) - 2n * own - before[s]);
    before = last;
  }
  return total;
}

function divisor(a, b) {
  return b ? divisor(b, a % b) : a;
}
