// How numbers read.

/** Four significant digits, small and large ones as powers of ten. */
export function short(value, digits = 4) {
  if (typeof value !== "number") return String(value ?? "");
  if (!Number.isFinite(value)) return "–";
  if (value === 0 || Number.isInteger(value)) {
    return Math.abs(value) < 1e6 ? String(value) : value.toExponential(digits - 1);
  }
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(digits - 1).replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}
