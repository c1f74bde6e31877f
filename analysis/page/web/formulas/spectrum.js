// What a rule climbs: the unique weights of pass@1..pass@n, in exact fractions.
import Fraction from "fraction.js";
import { ZERO, choose } from "./subsets.js";

/** Largest group whose spectrum is given. */
export const LARGEST = 32;

/**
 * lambda_1..lambda_n with sum_k lambda_k k (1-p)^(k-1) the weight of grad p, of a rule with exact tables.
 *
 * With D_m the advantage of a success less that of a failure where m of the others fail, lambda_k is
 * C(n-1, k-1) / k times the (k-1)th forward difference of D at 0. Under a verifier that fails a share fn of
 * right and passes fp of wrong answers, 1 - p becomes fn + s (1-p), s = 1 - fn - fp, and
 *     lambda'_j = sum_k lambda_k (k/j) C(k-1, j-1) s^j fn^(k-j).
 * The shares are taken as what they read as, to nine decimals.
 */
export function spectrum({ won, lost }, falsePositives = 0, falseNegatives = 0) {
  const n = won.length - 1;
  let differences = Array.from({ length: n }, (_, m) => won[n - m].sub(lost[n - m - 1]));
  const weights = [];
  for (let k = 1; k <= n; k += 1) {
    weights.push(differences[0].mul(new Fraction(choose(n - 1, k - 1), BigInt(k))));
    differences = differences.slice(1).map((each, i) => each.sub(differences[i]));
  }
  if (!falsePositives && !falseNegatives) return weights;
  const [missed, passed] = [falseNegatives, falsePositives].map((share) => new Fraction(share.toFixed(9)));
  const kept = new Fraction(1).sub(missed).sub(passed);
  return weights.map((_, i) => {
    const j = i + 1;
    let total = ZERO;
    for (let k = j; k <= n; k += 1) {
      if (weights[k - 1].equals(0) || (missed.equals(0) && k > j)) continue;
      const share = new Fraction(BigInt(k) * choose(k - 1, j - 1), BigInt(j));
      total = total.add(
        weights[k - 1]
          .mul(share)
          .mul(kept.pow(j))
          .mul(missed.pow(k - j)),
      );
    }
    return total;
  });
}
