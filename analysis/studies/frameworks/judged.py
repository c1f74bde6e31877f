"""What stored rows say of a rule, as cells of a matrix."""

from __future__ import annotations

import json
from math import isnan

import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex

from ...output.style import Verdict

#: An angle below this is 0: float32 leaves 1e-8.
ZERO = 1e-6
#: Advantages up to this on a flat group are rounding.
_ROUNDING = 1e-6
#: How prompts meet where no number of the batch is known that they meet in.
DRAWN = "more than a sum"
#: Rewards times 100 whose advantages grow less than this are clipped.
_CLIPPED = 50.0
_DASH = Verdict("not claimed", "-")
_RATES = {"hard": "p = 0.02", "medium": "p = 0.2", "easy": "p = 0.7"}

#: Title and width of the columns, by key.
CLIMBS: dict[str, tuple[str, float]] = {
    "target": ("meant\nfor", 0.75),
    "objective": ("climbs", 2.1),
    "scale": ("scale", 0.8),
    "sum": ("$\\max|\\Sigma_i A_i|$", 0.95),
    **{f"efficiency_{rate}": (f"floor/noise\n{label}", 0.9) for rate, label in _RATES.items()},
}
EDGES: dict[str, tuple[str, float]] = {
    "eight 0.7": ("eight\n0.7", 0.85),
    "eight 0.1": ("eight\n0.1", 0.85),
    "alone": ("a group\nof one, 1", 1.0),
    "missing": ("NaN, 1, 0, 0", 1.55),
    "100,0,0,0": ("100, 0, 0, 0", 1.2),
    "ids": ("which rows are\na group", 1.35),
}
BATCH: dict[str, tuple[str, float]] = {
    "meets": ("prompts\nmeet in", 1.5),
    "limit": ("scale at\nlarge P", 0.9),
    "through_8": ("batch bias,\nP = 8", 0.9),
    "through_32": ("P = 32", 0.8),
    "order": ("falls as", 0.8),
    "angle_8": ("angle,\nP = 8", 0.8),
    "weights": ("weights of prompts,\nP = 8", 1.4),
}


def climbed(row: pd.Series) -> dict[str, Verdict]:
    """What a rule of one group climbs, at what scale and with what variance."""
    target = Verdict("#ffffff", str(row.target))
    if row.verdict == "not judged":
        found = dict.fromkeys(CLIMBS, _DASH)
        return found | {"target": target, "objective": Verdict("fails", f"not judged: {row.misbehaves}")}
    objective, scale = _objective(row)
    return {
        "target": target,
        "objective": objective,
        "scale": scale,
        "sum": Verdict("holds", "0") if row.centered == "yes" else Verdict("fails", short(row.worst_sum)),
        **{f"efficiency_{rate}": _efficiency(row[f"efficiency_{rate}"]) for rate in _RATES},
    }


def edge(row: pd.Series) -> dict[str, Verdict]:
    """What a package's own code gives groups at the edges."""
    numbers: dict[str, str] = json.loads(row.numbers)
    return {
        "eight 0.7": _flat(numbers, "eight 0.7"),
        "eight 0.1": _flat(numbers, "eight 0.1"),
        "alone": _alone(numbers["alone"]),
        "missing": _missing(numbers["missing"]),
        "100,0,0,0": _large(numbers),
        "ids": _ids(numbers),
    }


def coupled(row: pd.Series) -> dict[str, Verdict]:
    """What moments of batches say of a rule that couples prompts.

    Of rules that meet in more than a sum the others are drawn, and the limit may be taken from P = 32.
    """
    unbiased, drawn = row.verdict == "unbiased", row.couples == DRAWN
    small = "holds" if unbiased else "policy"
    turns = "holds" if row.angle_8 < ZERO else "policy"
    last = drawn and not unbiased and row.through_32 < ZERO
    order = "-" if pd.isna(row.order) or last else f"1/P^{row.order:.2g}".removesuffix("^1")
    weights = f"{row.weight_least:.3g} to {row.weight_most:.3g}" if row.weight_most > 0 else "-"
    about = "~" if drawn and row.through_8 >= ZERO else ""
    return {
        "meets": Verdict("#ffffff", str(row.couples)),
        "limit": Verdict("holds" if unbiased else "policy", _number(row.at_large_p)),
        "through_8": Verdict(small, about + shown(row.through_8)),
        "through_32": Verdict(small, "-" if last else shown(row.through_32)),
        "order": Verdict(small, order),
        "angle_8": Verdict(turns, shown(row.angle_8)),
        "weights": Verdict(small, weights),
    }


def _objective(row: pd.Series) -> tuple[Verdict, Verdict]:
    """What is climbed, and at what scale."""
    if row.verdict == "unbiased":
        return Verdict("holds", f"{row.target}, unbiased"), Verdict("holds", "1")
    if row.verdict == "scaled":
        return Verdict("other scale", f"{row.target}, scaled"), Verdict("other scale", f"{row.scale:.4g}")
    if row.verdict == "nothing":
        return Verdict("fails", "nothing: E g = 0"), Verdict("fails", "0")
    varies = Verdict("policy", "varies")
    if row.lengths == "yes":
        return Verdict("fails", "off where lengths differ"), varies
    if row.rewards == "binary" or row.direction_error < ZERO:
        return Verdict("policy", "a mixture"), varies
    return Verdict("fails", f"off by {row.direction_error:.2f} rad"), varies


def short(value: float) -> str:
    """A size in few digits."""
    return f"{value:.0e}" if value >= 1e4 or 0 < value < 1e-2 else f"{value:.3g}"


def shown(value: float | None) -> str:
    """A relative size: a dash where there is none, 0 for rounding."""
    return "-" if value is None or pd.isna(value) else "0" if value < ZERO else f"{value:.2g}"


def _number(value: float | None) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:.3g}"


def _efficiency(value: float) -> Verdict:
    if pd.isna(value):
        return _DASH
    if value > 1:
        return Verdict("not claimed", "> 1")
    return Verdict(to_hex(colormaps["Greys"](0.05 + 0.3 * (1 - value))), f"{value:.2f}")


def values(text: str) -> list[float] | None:
    """The numbers of a stored text such as ``"1.5, -0.5 (x3)"``; None where it is the name of an error."""
    found: list[float] = []
    for part in text.split(", "):
        value, _, times = part.partition(" (x")
        try:
            found += [float(value)] * int(times.removesuffix(")") or 1)
        except ValueError:
            return None
    return found


def _flat(numbers: dict[str, str], group: str) -> Verdict:
    """Of equal rewards: what is 0 but for rounding; a rule without a baseline pays them by design."""
    found, failed, succeeded = (values(numbers[each]) for each in (group, "all fail", "all right"))
    if found is None or failed is None or succeeded is None:
        return Verdict("not claimed", "refused")
    largest = max(found, key=abs)
    if abs(largest) <= _ROUNDING:
        return Verdict("holds", "0" if not largest else "rounding")
    if any(map(abs, (failed[0], succeeded[0]))):
        return Verdict("not claimed", short(largest))
    return Verdict("fails", short(abs(largest)) if largest > 0 else f"-{short(abs(largest))}")


def _alone(text: str) -> Verdict:
    numbers = values(text)
    if numbers is None:
        return Verdict("not claimed", "refused") if text == "ValueError" else Verdict("fails", "raises")
    (only,) = numbers
    if isnan(only):
        return Verdict("fails", "NaN")
    return Verdict("holds", "0") if abs(only) < _ROUNDING else Verdict("policy", f"{only:.3g}")


def _missing(text: str) -> Verdict:
    numbers = values(text)
    if numbers is None:
        return Verdict("not claimed", text)
    own, *others = numbers
    if any(map(isnan, others)):
        return Verdict("fails", "NaN spreads")
    if isnan(own):
        return Verdict("policy", "NaN, others kept")
    if abs(own) > _ROUNDING:
        return Verdict("fails", f"counts as 0: {own:.2g}")
    return Verdict("fails", "all 0") if not any(others) else Verdict("holds", "left out")


def _large(numbers: dict[str, str]) -> Verdict:
    """Against 1, 0, 0, 0: a hundred times that, the same, or something else."""
    one, hundred = values(numbers["1000"]), values(numbers["100,0,0,0"])
    if one is None or hundred is None:
        return _DASH
    largest = max(map(abs, one))
    if max(abs(b - 100 * a) for a, b in zip(one, hundred, strict=True)) < 1e-2 * largest:
        return Verdict("holds", "x 100")
    if max(abs(b - a) for a, b in zip(one, hundred, strict=True)) < 1e-2 * largest:
        return Verdict("holds", "the same")
    clipped = max(map(abs, hundred)) < _CLIPPED * largest
    return Verdict("fails" if clipped else "policy", f"{max(hundred):.3g}, {min(hundred):.3g}")


def _ids(numbers: dict[str, str]) -> Verdict:
    if numbers["interleaved"] == "by position":
        return Verdict("policy", "n that follow")
    if numbers["interleaved"] != "the same":
        return Verdict("not claimed", "none")
    unequal = values(numbers["unequal"])
    if unequal is None or numbers["unequal"] == "incomplete":
        return Verdict("policy", "by id, n each")
    return Verdict("holds", "by id, any size")
