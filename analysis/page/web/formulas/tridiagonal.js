// Tridiagonal systems, diagonally dominant ones.

/** x of `below[i] x[i-1] + on[i] x[i] + above[i] x[i+1] = right[i]`, by elimination. */
export function solve(below, on, above, right) {
  const size = on.length;
  const kept = new Array(size);
  const x = new Array(size);
  for (let i = 0; i < size; i += 1) {
    const pivot = on[i] - (i ? below[i] * kept[i - 1] : 0);
    kept[i] = above[i] / pivot;
    x[i] = (right[i] - (i ? below[i] * x[i - 1] : 0)) / pivot;
  }
  for (let i = size - 2; i >= 0; i -= 1) x[i] -= kept[i] * x[i + 1];
  return x;
}
