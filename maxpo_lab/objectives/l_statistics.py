"""L-statistics by name: the presets of OrderGrad, expected shortfall, and any weights of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil, comb, floor

from ..core.registry import hint
from .harrell_davis import harrell_davis

Weights = tuple[Fraction, ...]
PREFIX = "l-statistic:"
#: Before weights that are spelled out, from the least to the largest reward: ``weights=[-1,0,1]``.
LISTED = "weights="


@dataclass(frozen=True, slots=True)
class Preset:
    """Weights of an L-statistic: what stands after its name, when that fits, and ``weights(k, *arguments)``.

    ``weights`` is called with whole numbers for m and r, Fractions for q, lo and hi, and gives None where
    they do not fit K.
    """

    arguments: tuple[str, ...]
    needs: str
    weights: Callable[..., Weights | None]

    def spelled(self, name: str) -> str:
        """``TopM:m``."""
        return ":".join((name, *self.arguments))


def equal(size: int, low: int, high: int) -> Weights:
    """Equal weights on ranks low+1..high of ``size``."""
    zero, share = Fraction(0), Fraction(1, high - low)
    return (zero,) * low + (share,) * (high - low) + (zero,) * (size - high)


def _ranks(ends: Callable[..., tuple[int, int]], k: int, *arguments: Fraction) -> Weights | None:
    low, high = ends(k, *arguments)
    return equal(k, low, high) if 0 <= low < high <= k else None


def _winsorized(k: int, m: int) -> Weights | None:
    """The m at either end are given the reward next to them."""
    if 2 * m >= k:
        return None
    inner = [Fraction(int(m <= j < k - m), k) for j in range(k)]
    inner[m] += Fraction(m, k)
    inner[k - m - 1] += Fraction(m, k)
    return tuple(inner)


def _top_and_bottom(k: int, m: int) -> Weights | None:
    if not 1 <= m <= k:
        return None
    return tuple(Fraction((j < m) + (j >= k - m), 2 * m) for j in range(k))


def _quantile(plotting: Fraction, top: bool, k: int, q: Fraction) -> Weights | None:
    """Between the two order statistics whose plotting positions ``(j-a) / (K+1-2a)`` are on either side."""
    if not 0 <= q <= 1:
        return None
    place = (1 - q if top else q) * (k + 1 - 2 * plotting) + plotting
    place = min(max(place, Fraction(1)), Fraction(k))
    left = min(floor(place), max(k - 1, 1))
    part = place - left
    return tuple((1 - part) * (j == left) + part * (j == left + 1) for j in range(1, k + 1))


def _between(of_top: bool, k: int, lo: Fraction, hi: Fraction) -> Weights | None:
    if not 0 <= lo < hi <= 1:
        return None
    start, end = floor(lo * k), ceil(hi * k)
    return equal(k, k - end, k - start) if of_top else equal(k, start, end)


def _shortfall(of_top: bool, k: int, q: Fraction) -> Weights | None:
    """The q K outermost, the last of them by the share of it that is still inside."""
    if not 0 < q <= 1:
        return None
    inside = [min(max(q * k - j, Fraction(0)), Fraction(1)) / (q * k) for j in range(k)]
    return tuple(inside[::-1] if of_top else inside)


def _gini(k: int) -> Weights | None:
    if k < 2:
        return None
    return tuple(Fraction(2 * (2 * j - k - 1), k * (k - 1)) for j in range(1, k + 1))


def _l_moment(k: int, r: int) -> Weights | None:
    """``1/r sum over s < r of (-1)^s C(r-1, s)`` times the expected rank r-s of r drawn of the K."""
    if not 1 <= r <= k:
        return None
    return tuple(
        Fraction(
            sum((-1) ** s * comb(r - 1, s) * comb(j, r - 1 - s) * comb(k - 1 - j, s) for s in range(r)),
            r * comb(k, r),
        )
        for j in range(k)
    )


def _harrell_davis(k: int, q: Fraction) -> Weights | None:
    return harrell_davis(k, q) if 0 < q < 1 else None


def _quantiles() -> dict[str, Preset]:
    """Quantile and TopQuantile, by where each puts its plotting positions."""
    kinds = {"": Fraction(1, 2), "Weibull": Fraction(0), "Hazen": Fraction(1, 2), "Blom": Fraction(3, 8)}
    return {
        f"{side}{kind}": Preset(("q",), "0 <= q <= 1", partial(_quantile, plotting, side != "Quantile"))
        for side in ("Quantile", "TopQuantile")
        for kind, plotting in kinds.items()
    }


_SHARE, _RANGE = "0 < q <= 1", "0 <= lo < hi <= 1"
#: All presets; those of OrderGrad (arXiv 2606.06096) by the names of its implementation. Top ranks count from
#: the largest reward, and so do the shares of TrimmedMeanFrac, as there.
PRESETS: Mapping[str, Preset] = {
    "TopM": Preset(("m",), "1 <= m <= k", partial(_ranks, lambda k, m: (k - m, k))),
    "BotM": Preset(("m",), "1 <= m <= k", partial(_ranks, lambda _, m: (0, m))),
    "LowerTailMean": Preset(
        ("q",), _SHARE, partial(_ranks, lambda k, q: (0, max(1, ceil(q * k)) if 0 < q <= 1 else 0))
    ),
    "Median": Preset((), "", partial(_ranks, lambda k: ((k - 1) // 2, k // 2 + 1))),
    "TrimM": Preset(("m",), "2 m < k", partial(_ranks, lambda k, m: (m, k - m))),
    "ReMin": Preset((), "", partial(_ranks, lambda _: (0, 1))),
    "ReMax": Preset((), "", partial(_ranks, lambda k: (k - 1, k))),
    "Rank": Preset(("r",), "1 <= r <= k", partial(_ranks, lambda k, r: (k - r, k - r + 1))),
    "UpperTailMean": Preset(
        ("q",), _SHARE, partial(_ranks, lambda k, q: (k - max(1, ceil(q * k)), k) if 0 < q <= 1 else (0, 0))
    ),
    "RangeUpperTailMean": Preset(("lo", "hi"), _RANGE, partial(_between, True)),
    "RangeLowerTailMean": Preset(("lo", "hi"), _RANGE, partial(_between, False)),
    "TrimmedMeanFrac": Preset(("lo", "hi"), _RANGE, partial(_between, True)),
    "WinsorizedM": Preset(("m",), "2 m < k", _winsorized),
    "MidrangeM": Preset(("m",), "1 <= m <= k", _top_and_bottom),
    "TopBot": Preset(("m",), "1 <= m <= k", _top_and_bottom),
    **_quantiles(),
    "HarrellDavis": Preset(("q",), "0 < q < 1", _harrell_davis),
    "GiniMeanDifference": Preset((), "k >= 2", _gini),
    "GMD": Preset((), "k >= 2", _gini),
    "LMoment": Preset(("r",), "1 <= r <= k", _l_moment),
    "CVaR": Preset(("q",), _SHARE, partial(_shortfall, False)),
    "UpperCVaR": Preset(("q",), _SHARE, partial(_shortfall, True)),
}
_EXAMPLES = {"m": "2", "r": "2", "q": "0.25", "lo": "0.1", "hi": "0.9"}


def own_weights(text: str) -> Weights | None:
    """The weights that ``weights=[...]`` spells out; None for the name of a preset.

    ValueError where they are not numbers in brackets.
    """
    if not text.startswith(LISTED):
        return None
    inside = text.removeprefix(LISTED)
    bare = inside[1:-1] if inside.startswith("[") and inside.endswith("]") else ""
    try:
        return tuple(Fraction(each.strip()) for each in bare.split(","))
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"{PREFIX}{text}: weights are numbers in brackets, of the least to the largest reward, e.g. "
            f"{PREFIX}weights=[-1,0,1]"
        ) from None


def weights_of(text: str, k: int) -> Weights:
    """The weights of a preset at K, or those that are spelled out, whatever K is.

    ValueError: unknown, or its arguments do not fit.
    """
    if (given := own_weights(text)) is not None:
        return given
    name, *arguments = text.split(":")
    preset = PRESETS.get(name)
    if preset is None or len(arguments) != len(preset.arguments):
        known = f"known: {', '.join(each.spelled(other) for other, each in PRESETS.items())}, weights=[...]"
        near = f"it reads {preset.spelled(name)}" if preset else hint(name, PRESETS)
        raise ValueError(f"{PREFIX}{text} is not a preset; {known if near.startswith('known') else near}")
    read = [_argument(of, told) for of, told in zip(preset.arguments, arguments, strict=True)]
    found = None if None in read else preset.weights(k, *read)
    if found is None:
        at = f" at k={k}" if "k" in preset.needs else ""
        example = ":".join((name, *(_EXAMPLES[of] for of in preset.arguments)))
        raise ValueError(
            f"{PREFIX}{text}{at}: {preset.spelled(name)} needs {preset.needs}, e.g. {PREFIX}{example}"
        )
    return found


def _argument(name: str, text: str) -> int | Fraction | None:
    if name in ("m", "r"):
        return int(text) if text.isdecimal() else None
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None
