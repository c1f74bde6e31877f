"""Two calls side by side: CPU time of one thread, or time of a card; in turn, the ratio of each pair."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

Call = Callable[[], Any]

#: Pairs that count, after one that does not.
_ROUNDS = 9
#: Seconds that a sample of a call takes at least: a call that is shorter is made several times.
_SAMPLE = 0.01


@dataclass(frozen=True)
class Row:
    """What was measured, compared with what; seconds of one call of each; quartiles of the paired ratios."""

    measured: str
    compared: str
    seconds: float
    other_seconds: float
    ratio: float
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def side_by_side(measured: str, call: Call, compared: str, other: Call, *, card: bool = False) -> Row:
    """Time two calls in turn and compare them pair by pair, so that a busy machine slows both."""
    timed = _on_card if card else _on_cpu
    repeats = [_repeats(each, timed) for each in (call, other)]
    pairs = [(timed(call, repeats[0]), timed(other, repeats[1])) for _ in range(_ROUNDS + 1)][1:]
    low, ratio, high = statistics.quantiles([mine / theirs for mine, theirs in pairs], n=4)
    seconds, other_seconds = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(measured, compared, seconds, other_seconds, ratio, low, high)


def _repeats(call: Call, timed: Callable[[Call, int], float]) -> int:
    call()  # tables, imports, compilation
    repeats = 1
    while (taken := timed(call, repeats) * repeats) < _SAMPLE:
        repeats = max(2 * repeats, int(repeats * _SAMPLE / max(taken, 1e-6)))
    return repeats


def _on_cpu(call: Call, repeats: int) -> float:
    """CPU seconds of one call, mean of several."""
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def _on_card(call: Call, repeats: int) -> float:
    """Seconds from the first launch to the end of the last, by the card's own clock."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in "be")
    start.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3 / repeats
