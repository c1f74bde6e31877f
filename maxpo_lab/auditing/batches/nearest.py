"""The rule of a batch of the catalogue that is nearest, whitened ones with their options fitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...core.precision import finest
from ...estimators import BatchEstimator, get_estimator, list_estimators
from ...estimators.registry import parameters
from ...integrations.conventions import Adapted
from ..decide.nearest import Nearest
from .companies import drawn

#: Prompts of the batches that rules are compared on, and how many of each size.
_SIZES, _BATCHES = (2, 3, 8), 8
#: Units of the rewards, the smaller for an epsilon to show.
_UNITS = (1.0, 1e-3)
#: Options of a whitened rule: how it scales and centers, and epsilons that frameworks ship.
_SCALES, _MEANS, _EPSILONS = ("rms", "std0", "std1"), (0, 1), (0.0, 1e-4, 1e-5, 1e-6, 1e-8, 1e-9)
#: Options of AReaL's normalisation, and of the rules that the catalogue lists with theirs alone.
_LEVELS = ("batch", "group", "none")
_OTHERS = (
    "art:scale=0",
    *(f"areal-norm:mean={mean},std={std}" for mean, std in product(_LEVELS, _LEVELS)),
    *(f"areal-norm:mean={mean},leave1out=1,std={std}" for mean, std in product(_LEVELS[:2], _LEVELS)),
    *(f"areal-norm:mean={mean},std={std},ddof=0" for mean, std in product(_LEVELS, _LEVELS[:2])),
)
#: Rules of a group, whitened, whose epsilons are tried.
_KEPT = 3


def nearest_batch_rule(
    rule: rules.Rule, levels: Float, *, n: int, k: int, prefer: tuple[str, ...] = ()
) -> Nearest | None:
    """The nearest of the catalogue, up to a factor; None where a rule gives 0 everywhere.

    Of equals one of scale 1, then a preferred one, then the first.
    """
    batches = [unit * drawn(levels, n, size, _BATCHES) for unit in _UNITS for size in _SIZES]
    compare = _Comparison(rule, batches, [rules.of_batches(rule, each, k) for each in batches], k)
    if not any(each.any() for each in compare.ours):
        return None
    found = list(compare.with_names([*prefer, *list_estimators("batch")]))
    if not any(each.exact for each in found):
        found += compare.with_names(get_estimator(name).name for name in _OTHERS)
    if not any(each.exact for each in found):
        seen = rule.rule if hasattr(rule, "rule") else rule  # behind a guard
        tokens = (1, seen.tokens) if isinstance(seen, Adapted) and seen.sees_lengths else (1,)
        first = [
            _whitened(own, scale=scale, mean=mean, tokens=each)
            for own, scale, mean, each in product(list_estimators(), _SCALES, _MEANS, tokens)
        ]
        rough = sorted(compare.with_names(first), key=_by_nearness)[:_KEPT]
        found += rough
        found += compare.with_names(_with_epsilons(each.name for each in rough))
    if not found:
        return None
    best = min(found, key=_by_nearness)
    alike = [each.name for each in found if best.exact and (each.exact, each.scale) == (True, best.scale)]
    return replace(best, alike=tuple(dict.fromkeys(name for name in alike if name != best.name)))


def _with_epsilons(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        rest, options = _options(name)
        for eps, add in product(_EPSILONS, _EPSILONS):
            if not (eps and add):
                yield _whitened(rest, **{**options, "eps": eps, "add": add})


def _options(name: str) -> tuple[str, dict[str, str | float]]:
    """The rule that is whitened, and the options of the whitening."""
    options = parameters(name)
    return name.removeprefix("whitened:").rpartition(":")[2], options


def _whitened(own: str, **options: str | float) -> str:
    told = ",".join(f"{key}={value}" for key, value in options.items())
    return get_estimator(f"whitened:{told}:{own}").name


def _by_nearness(each: Nearest) -> tuple[bool, float, bool, float]:
    return not each.exact, float(f"{each.distance:.1e}"), each.scale != 1, abs(np.log(abs(each.scale)))


class _Comparison:
    """What a rule gives batches of several sizes, next to what others do."""

    def __init__(self, rule: rules.Rule, batches: list[Float], ours: list[Float], k: int) -> None:
        self.batches, self.ours, self.k = batches, ours, k
        self.made, self.n = rules.precision_of(rule), batches[0].shape[-1]
        # What a batch divides by rounds all of its groups alike: the scale is that of the whole batch.
        self.size = [
            np.maximum(np.repeat(np.abs(each).max(axis=(1, 2)), each.shape[1]), np.finfo(np.float64).tiny)
            for each in ours
        ]

    def with_names(self, names: Iterable[str]) -> Iterator[Nearest]:
        """How near each comes, of those that are defined and not 0 on these batches."""
        for name in dict.fromkeys(names):
            found = self._with(name)
            if found is not None:
                yield found

    def _with(self, name: str) -> Nearest | None:
        other = get_estimator(name)
        if not isinstance(other, BatchEstimator) or other.why_not(self.n, self.k):
            return None
        if any(other.why_not_rewards(each) for each in self.batches):
            return None
        theirs = [np.asarray(other(each, self.k)) for each in self.batches]
        square = sum(float(np.sum(each**2)) for each in theirs)
        if not square:
            return None
        met = sum(float(np.sum(a * b)) for a, b in zip(self.ours, theirs, strict=True))
        exact = self._exact(theirs, 1.0)
        scale = 1.0 if exact or not met else met / square
        exact = exact or self._exact(theirs, scale)
        length = np.sqrt(sum(float(np.sum(each**2)) for each in self.ours))
        off = np.sqrt(
            sum(float(np.sum((a - scale * b) ** 2)) for a, b in zip(self.ours, theirs, strict=True))
        )
        distance = 0.0 if exact else float(off / length)
        return Nearest(name, self.k, scale, distance, exact is not None, exact)

    def _exact(self, theirs: list[Float], scale: float) -> str | None:
        """The type whose rounding explains all differences; None where none does."""
        worst = []
        for batches, ours, other, size in zip(self.batches, self.ours, theirs, self.size, strict=True):
            off = (ours - scale * other).reshape(-1, self.n)
            unit = self.k * float(np.abs(batches).max())
            found = finest(off, self.made, size, unit, self.n)
            if found is None:
                return None
            worst.append(found)
        return min(worst).name
