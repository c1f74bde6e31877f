// How numbers read.

/** Four significant digits, small and large ones as powers of ten. */
export function short(value, digits = 4) {
  if (typeof value !== "number") return String(value ?? "");
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size < 1e6 && Number.isInteger(value)) return String(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(digits - 1).replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}
