"""The way to a batch rule's sums: the first that is possible, or the one that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...rules import BatchCalls
from .coupled import Coupled
from .meeting import Meeting
from .result import Method
from .ways import shared_scale, shared_sum
from .ways.conditional import conditionally
from .ways.product import by_product, number_of_states

#: States of a batch up to which all of them are looked at unless told otherwise.
STATES = 20_000


@dataclass(frozen=True, slots=True)
class Sampling:
    """What an estimate is made of: draws of the other prompts, and the seed of their stream."""

    draws: int
    seed: int

    def __post_init__(self) -> None:
        if self.draws < 2:
            raise ValueError(f"draws={self.draws}: at least 2, which tell a standard error, e.g. draws=512")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must be at least 0")


def coupled_sums(
    calls: BatchCalls, meeting: Meeting, *, method: Method | None, max_states: int, sampling: Sampling
) -> Coupled:
    """The sums of every prompt, by the method asked for or the first that is possible.

    Raises ValueError for a method that is not possible, with the reason.
    """
    ways: dict[str, Callable[[], Coupled]] = {
        "shared sum": lambda: shared_sum.by_shared_sum(calls, meeting),
        "quadrature": lambda: shared_scale.by_quadrature(calls, meeting),
        "product": lambda: by_product(calls, meeting),
        "conditional": lambda: conditionally([calls], meeting, draws=sampling.draws, seed=sampling.seed),
    }
    few = STATES if method is None else max_states
    reasons = {
        "shared sum": _why_not_statistic(calls, "reward_sum") or shared_sum.why_not(meeting),
        "quadrature": _why_not_statistic(calls, "advantage_rms") or shared_scale.why_not(meeting),
        "product": (
            None
            if (number := number_of_states(meeting)) <= few
            else f"the batch has {number:,} states, more than {few:,}: use fewer prompts or raise max_states"
        ),
        "conditional": None,
    }
    if method is not None:
        if method not in ways:
            raise ValueError(f"method={method!r}: must be None or one of {', '.join(map(repr, ways))}")
        if reason := reasons[method]:
            raise ValueError(f"method={method!r}: {reason}")
        return ways[method]()
    return ways[next(way for way in ways if reasons[way] is None)]()


def _why_not_statistic(calls: BatchCalls, statistic: str) -> str | None:
    found = calls.rule.statistic
    if found == statistic:
        return None
    return f"{calls.name} says statistic={found!r}, and this way needs statistic={statistic!r}"
