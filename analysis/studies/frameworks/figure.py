"""The matrix of frameworks' rules by what the audit says, from stored rows."""

from __future__ import annotations

import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...output.style import PAGE, Verdict, subplots, verdict_legend

#: An angle below this is 0: float32 leaves 1e-8.
ZERO = 1e-6


def matrix(rows: pd.DataFrame) -> list[tuple[str, str, dict[str, Verdict]]]:
    """For each row the rule, what it is measured against, and its properties."""
    return [(f"{row.framework}: {row.rule}", str(row.target), _judged(row)) for _, row in rows.iterrows()]


def _judged(row: pd.Series) -> dict[str, Verdict]:
    if row.verdict == "not judged":
        undefined = dict.fromkeys(COLUMNS, Verdict("not claimed", "-"))
        return undefined | {"objective": Verdict("fails", f"not judged: {row.misbehaves}")}
    if isinstance(row.couples, str):
        return _coupled(row)
    objective, scale = _objective(row)
    flat_is_zero = row.flat in ("all 0", "0 but for rounding")
    flat = "refused" if pd.isna(row.flat_largest) else "0" if flat_is_zero else _short(row.flat_largest)
    colour = "holds" if flat_is_zero else "not claimed" if flat == "refused" else "fails"
    rates = ("hard", "medium", "easy")
    return {
        "objective": objective,
        "scale": scale,
        "sum": Verdict("holds", "0") if row.centered == "yes" else Verdict("fails", _short(row.worst_sum)),
        **{f"efficiency_{rate}": _efficiency(row[f"efficiency_{rate}"]) for rate in rates},
        "flat": Verdict(colour, flat),
        # What a rule made after the code does with a NaN is this project's doing.
        "missing": Verdict("not claimed", "-") if row.origin == "as coded" else _missing(str(row.unscorable)),
    }


def _coupled(row: pd.Series) -> dict[str, Verdict]:
    """A rule of a batch: what moments say of it at P = 8 and at large P; the rest is of groups."""
    found = dict.fromkeys(COLUMNS, Verdict("not claimed", "-"))
    if row.verdict == "unbiased":
        found["objective"], found["scale"] = _objective(row)
    else:
        off = f"batch bias {row.through_8:.2g} at P = 8"
        found["objective"] = Verdict("policy", off)
        found["scale"] = Verdict("policy", f"to {row.at_large_p:.3g}")
    found["sum"] = Verdict("holds", "0") if row.centered == "yes" else Verdict("fails", "not 0")
    return found


def _objective(row: pd.Series) -> tuple[Verdict, Verdict]:
    """What is climbed, and at what scale."""
    if row.verdict == "unbiased":
        return Verdict("holds", f"{row.target}, unbiased"), Verdict("holds", "1")
    if row.verdict == "scaled":
        return Verdict("other scale", f"{row.target}, wrong scale"), Verdict(
            "other scale", f"{row.scale:.4g}"
        )
    if row.verdict == "nothing":
        return Verdict("fails", "nothing: E g = 0"), Verdict("fails", "0")
    varies = Verdict("policy", "varies")
    if row.lengths == "yes":
        return Verdict("fails", "off where lengths differ"), varies
    if row.rewards == "binary" or row.direction_error < ZERO:
        return Verdict("policy", "a mixture"), varies
    return Verdict("fails", f"off by {row.direction_error:.2f} rad"), varies


def _short(value: float) -> str:
    return f"{value:.0e}" if value >= 1e4 or 0 < value < 1e-2 else f"{value:.3g}"


def _efficiency(value: float) -> Verdict:
    if pd.isna(value):
        return Verdict("not claimed", "-")
    if value > 1:
        return Verdict("not claimed", "> 1")
    return Verdict(to_hex(colormaps["Greys"](0.05 + 0.3 * (1 - value))), f"{value:.2f}")


def _missing(remark: str) -> Verdict:
    if remark.startswith("gets 0; the others as without it"):
        return Verdict("holds", "left out")
    if remark == "refuses":
        return Verdict("holds", "refused")
    if remark.startswith("NaN"):
        return Verdict("fails", "NaN spreads")
    return Verdict("fails", remark.partition(";")[0] or "-")


def _shown(value: float | None) -> str:
    return "-" if value is None or pd.isna(value) else "0" if value < ZERO else f"{value:.2g}"


def _range(least: float | None, most: float | None) -> str:
    return "-" if least is None or pd.isna(least) else f"{least:.3g} to {most:.3g}"


def _lengths(used: str | None) -> str:
    """Whether lengths of responses matter; a dash where the rule is told none."""
    return {"yes": "matter", "no": "change nothing"}.get(used or "", "-")


COLUMNS = {
    "objective": "climbs",
    "scale": "scale",
    "sum": "$\\max|\\Sigma_i A_i|$",
    "efficiency_hard": "p = 0.02",
    "efficiency_medium": "p = 0.2",
    "efficiency_easy": "p = 0.7",
    "flat": "group of\neight 0.1",
    "missing": "a NaN\nreward",
}
_WIDTHS = (2.3, 0.85, 1.0, 0.75, 0.75, 0.75, 0.9, 1.15)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per rule and group size."""
    lines = []
    for (_, row), (name, target, cells) in zip(rows.iterrows(), matrix(rows), strict=True):
        package = row["version"]
        shown = f"{row.origin} {package}" if isinstance(package, str) else row.origin
        lines.append(
            {
                "framework: rule": name,
                "measured": shown,
                "n": row.n,
                "K": row.k,
                "meant for": target,
                "climbs": row.climbs,
                "scale": cells["scale"].text,
                "max |sum A|": cells["sum"].text,
                "efficiency p=0.02": cells["efficiency_hard"].text,
                "p=0.2": cells["efficiency_medium"].text,
                "p=0.7": cells["efficiency_easy"].text,
                "flat group of 0.1": cells["flat"].text,
                "NaN reward": cells["missing"].text,
                "lengths": _lengths(row.lengths),
                "couples": row.couples if isinstance(row.couples, str) else "-",
                "weights at P=8": _range(row.weight_least, row.weight_most),
                "through the batch, P=8": _shown(row.through_8),
                "P=32": _shown(row.through_32),
                "order": "-" if pd.isna(row.order) else f"1/P^{row.order:.2g}".removesuffix("^1"),
                "angle, P=8": _shown(row.angle_8),
                "nearest rule": row.nearest,
            }
        )
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """The matrix at the first group size, coloured by verdict; rules measured in their package are bold."""
    at = rows[rows.n == rows.n.iloc[0]].sort_values(
        "origin", key=lambda each: each == "as coded", kind="stable"
    )
    lines = matrix(at)
    edges = [sum(_WIDTHS[:index]) for index in range(len(_WIDTHS) + 1)]
    figure, axes = subplots(figsize=(PAGE, 0.185 * len(lines) + 1.05))
    for y, ((name, target, cells), origin) in enumerate(zip(lines, at.origin, strict=True)):
        for left, width, key in zip(edges, _WIDTHS, COLUMNS, strict=False):
            cell = cells[key]
            box = Rectangle((left, y), width, 1, facecolor=cell.colour, edgecolor="white", lw=1.2)
            axes.add_patch(box)
            axes.text(left + width / 2, y + 0.53, cell.text, ha="center", va="center", fontsize=6.2)
        weight = "normal" if origin == "as coded" else "bold"
        axes.text(-0.75, y + 0.53, name, ha="right", va="center", fontsize=6.2, weight=weight)
        axes.text(-0.1, y + 0.53, target, ha="right", va="center", fontsize=6.2, color="0.35")
    for left, width, label in zip(edges, _WIDTHS, COLUMNS.values(), strict=False):
        axes.text(left + width / 2, -0.15, label, ha="center", va="bottom", fontsize=6.5)
    axes.text(-0.1, -0.15, "meant for", ha="right", va="bottom", fontsize=6.5)
    middle = (edges[3] + edges[6]) / 2
    axes.text(middle, -1.0, "efficiency (floor / noise)", ha="center", va="bottom", fontsize=6.5)
    first = at.iloc[0]
    axes.text(-3.6, -1.0, f"n = {first.n}, K = {at.k.min()}", ha="left", va="bottom", fontsize=6.5)
    axes.set(xlim=(-3.6, edges[-1]), ylim=(len(lines) + 0.05, -1.9))
    axes.axis("off")
    verdict_legend(axes, LEGEND, fontsize=6.5)
    return {"figure": figure}


LEGEND = {
    "holds": "as it should be",
    "other scale": "scale set by n and K",
    "policy": "scale depends on the policy",
    "fails": "does not hold",
    "not claimed": "not defined",
}
