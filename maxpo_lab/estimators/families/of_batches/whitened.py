"""A group rule, divided by what its advantages amount to over the whole batch."""

from __future__ import annotations

from functools import cache
from math import isfinite
from typing import Any

from ....core.arrays import Array, Namespace
from ....core.numerals import numeral
from ....core.registry import keywords
from ...base import Estimator
from ...batch import Couple, Pooled, Statistic
from ...claims import Claims, Laws
from ...vector import VectorBatchEstimator, VectorEstimator
from ..maxpo import MAXPO
from ..mean_reward import RLOO

#: Degrees of freedom that a scale subtracts; None: nothing, and no mean either.
_SCALES = {"rms": None, "std0": 0, "std1": 1}
#: The options, by name.
DEFAULTS: dict[str, Any] = {"scale": "rms", "mean": 0, "eps": 1e-8, "add": 0.0, "floor": 0.0, "tokens": 1}
#: Options of which one takes the place of the default eps.
_AGAINST_0 = ("add", "floor")


def read(text: str) -> tuple[str, dict[str, Any]]:
    """The rule and the options that ``maxpo`` or ``scale=std1,mean=1:grpo:eps=1e-4`` names.

    Options stand before the rule, which may have some of its own; eps is 0 unless given where ``add`` or
    ``floor`` is.
    ValueError: unknown, or out of range.
    """
    first, colon, rest = text.partition(":")
    if not (colon and "=" in first):
        return text, dict(DEFAULTS)
    name = f"whitened:{text}"
    told = keywords(f"estimator {name!r}", DEFAULTS, first)
    given = DEFAULTS | ({"eps": 0.0} if any(each in told for each in _AGAINST_0) else {}) | told
    if given["scale"] not in _SCALES:
        raise ValueError(f"{name}: scale={given['scale']}, must be {', '.join(_SCALES)}")
    if given["mean"] not in (0, 1):
        raise ValueError(f"{name}: mean={given['mean']}, must be 0, or 1 to remove the batch's mean")
    for key in ("eps", *_AGAINST_0):
        if not (isfinite(given[key]) and given[key] >= 0):
            raise ValueError(f"{name}: {key}={given[key]}, must be finite and at least 0, e.g. {key}=1e-8")
    if given["tokens"] < 1:
        raise ValueError(f"{name}: tokens={given['tokens']}, must be at least 1, the tokens of a rollout")
    return rest, given


@cache
def whitened(
    rule: Estimator, *, scale: str, mean: int, eps: float, add: float, floor: float, tokens: int
) -> Pooled:
    r"""A rule, less the batch's mean (``mean=1``), over its scale.

    .. math:: A_i = \frac{a_i - [\bar a]}{\sqrt{\max(\sigma^2, \text{floor}) + \text{eps}} + \text{add}}

    sigma^2 is the mean square of a over the batch (``rms``), or its variance with ddof 0 or 1. Over tokens,
    of which each rollout has ``tokens``, only ddof 1 is another: N tokens - 1 in the place of N - 1.
    """
    options: dict[str, Any] = dict(zip(DEFAULTS, (scale, mean, eps, add, floor, tokens), strict=True))
    # Where the advantages of every group sum to 0, the batch has no mean to remove.
    one = (rule.claims.centered or (not mean and scale == "rms")) and not (eps and add) and not floor
    statistic: Statistic | None = "advantage_rms" if one else None
    return Pooled(**_entry(rule, options), statistic=statistic, own=rule, couple=_couple(**options))


@cache
def of_vectors(
    rule: VectorEstimator, *, scale: str, mean: int, eps: float, add: float, floor: float, tokens: int
) -> VectorBatchEstimator:
    """A rule of several rewards, whitened in the same way; GDPO as verl has it by that name."""
    options: dict[str, Any] = dict(zip(DEFAULTS, (scale, mean, eps, add, floor, tokens), strict=True))
    entry = _entry(rule, options)
    if rule.name == "per-reward:grpo" and options == DEFAULTS | {"scale": "std1", "mean": 1}:
        entry |= {"name": "gdpo", "title": "GDPO", "citation": _GDPO}
    return VectorBatchEstimator(
        **entry, own=rule, takes_lengths=rule.takes_lengths, couple=_couple(**options)
    )


_GDPO = (
    "arXiv 2601.05242 (GDPO); verl 0.9.1, gdpo; TRL 1.16: multi_objective_aggregation='normalize_then_sum', "
    "eps=1e-4 and add=1e-4; ms-swift 4.6: both 1e-8; NeMo-RL: per-reward:nemo-grpo, eps=0"
)


def _entry(rule: Estimator | VectorEstimator, options: dict[str, Any]) -> dict[str, Any]:
    """What the catalogue says of a rule that is whitened."""
    scale, eps, add, floor, tokens = (options[key] for key in ("scale", "eps", "add", "floor", "tokens"))
    told = ",".join(
        f"{key}={value if isinstance(value, str) else numeral(value)}"
        for key, value in options.items()
        if value != DEFAULTS[key]
    )
    square = f"max({scale}^2, {numeral(floor)})" if floor else f"{scale}^2"
    inside = f"sqrt({square}{f' + {numeral(eps)}' if eps else ''})" if eps or floor else scale
    numerator = "(a_i - mean of a)" if options["mean"] else "a_i"
    return {
        "name": f"whitened:{told}:{rule.name}" if told else f"whitened:{rule.name}",
        "title": f"{rule.title}, whitened",
        "equation": (
            f"A_i = {numerator} / {f'({inside} + {numeral(add)})' if add else inside} over the batch"
            f"{f' of {tokens} tokens a rollout' if tokens > 1 else ''}, a_i of {rule.name}"
        ),
        "citation": (
            "verl 0.9.1, reinforce_plus_plus_baseline; OpenRLHF 0.11.2, reinforce_baseline; rllm; "
            f"ms-swift 4.6; a_i: {rule.citation}"
        ),
        "objective": rule.objective,
        "uses_k": rule.uses_k,
        "claims": Claims(unbiased=False, centered=rule.claims.centered, equivariant=rule.claims.equivariant),
        "laws": Laws(
            shift_invariant=rule.laws.shift_invariant,
            scale="none" if rule.laws.scale == "none" else "invariant",
            equal_ties=rule.laws.equal_ties,
        ),
        "domain": rule.domain,
        "degenerate": "a batch of dead groups gives 0",
        "dead_groups": rule.dead_groups,
        "smallest_group": rule.smallest_group,
    }


def _couple(*, scale: str, mean: int, eps: float, add: float, floor: float, tokens: int) -> Couple:
    ddof = _SCALES[scale]

    def couple(xp: Namespace, own: Array, rewards: Array) -> Array:
        center = xp.mean(own, axis=-1, keepdims=True) if mean or ddof is not None else 0.0
        about = own if ddof is None else own - center
        total = tokens * xp.sum(about * about, axis=-1, keepdims=True)
        square = total / max(1, tokens * own.shape[-1] - (ddof or 0))
        size = xp.sqrt(xp.clip(square, floor, None) + eps) + add
        size = xp.where(size == 0, xp.ones_like(size), size)  # all are 0 then
        return (own - center if mean else own) / size

    return couple


RULES = (whitened(MAXPO, **DEFAULTS), whitened(RLOO, **DEFAULTS))
