"""What the study of a language model found of the variance of its gradient."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ...studies.llm.design import REFERENCE, REPLAY
from ..claim import Reading, each, finding
from ..tables import paired

TITLE = "The gradient of a small language model"

_at = partial(Reading, study="llm")
#: What is trained is drawn by TRL: to the bit on one machine and with one set of versions alone.
_trained = partial(_at, drawn=True)
_PLACES = {
    "one right completion": "verifier == 'chain'",
    "only the answer counts": "verifier == 'answer'",
}
_BESIDES = ("plug-in-floor", "maxpo", "predictive", REPLAY)
#: Means of 10 prompts; a run of fewer has others.
_MOMENTS = "kind in ('variance', 'history') and prompts == 10"
_WARM = "kind == 'prompt' and rule == 'maxpo' and checkpoint == 'warm start'"


def _off(rows: pd.DataFrame) -> pd.DataFrame:
    """How far what is sampled is from what is exact, in standard errors."""
    return rows.assign(
        ends=(rows.sampled_pass_at_k - rows.pass_at_k) / rows.sampled_pass_at_k_error,
        traces=(rows.sampled_trace - rows.total_trace) / rows.sampled_trace_error,
        ratios=(rows.sampled_ratio - rows.total_ratio) / rows.sampled_ratio_error,
    )


def _with_memory(rows: pd.DataFrame) -> pd.DataFrame:
    """The variance of replay over that of maxpo, by place."""
    both = paired("trace_covariance", REPLAY, "maxpo", by="rule", keys=("verifier", "checkpoint"))
    return both(rows.query(_MOMENTS))


def _place(place: str, checkpoint: str, success: str, ratios: str, efficiencies: str) -> tuple[Reading, ...]:
    """Two lines of the table of variances."""
    read = _trained if checkpoint == "trained" else _at
    where = f"{_MOMENTS} and {_PLACES[place]} and checkpoint == {checkpoint!r}"
    return (
        read(
            says=f"| {place} | {checkpoint} | {{{success}}} | ratio |",
            where=f"{where} and rule == {REFERENCE!r}",
            of="pass_at_1",
        ),
        read(says=f"| ratio | 1 | {_cells(ratios)} |", where=where, at=each("rule", *_BESIDES), of="ratio"),
        read(
            says=f"| efficiency | {_cells(efficiencies)} |",
            where=where,
            at=each("rule", REFERENCE, *_BESIDES),
            of="efficiency",
        ),
    )


def _cells(numbers: str) -> str:
    return " | ".join(f"{{{number}}}" for number in numbers.split())


CLAIMS = (
    finding(
        "llm",
        "variance",
        "MaxPO's variance is below pkpo-loo1's where many completions are right, above it where one is.",
        *_place(
            "one right completion",
            "warm start",
            "0.10",
            "0.98 1.23 1.13 1.04",
            "0.96 0.98 0.78 0.84 0.92",
        ),
        *_place("one right completion", "trained", "0.24", "0.86 1.80 1.52 1.58", "0.81 0.95 0.45 0.54 0.52"),
        *_place(
            "only the answer counts",
            "warm start",
            "0.36",
            "0.996 0.89 0.88 0.82",
            "0.77 0.77 0.87 0.88 0.94",
        ),
        *_place(
            "only the answer counts", "trained", "0.45", "0.996 1.04 0.97 0.98", "0.83 0.83 0.79 0.85 0.84"
        ),
        _at(
            says="from {0.69} to {2.0} at the warm start under `answer`, and from {1.02} to {6.7} under `chain`",
            where=_WARM,
            at=("verifier == 'answer'", "verifier == 'chain'"),
            of="ratio",
            take=("min", "max"),
        ),
        _at(
            says="{0.69} is a prompt with pass@1 {0.40}",
            where=f"{_WARM} and verifier == 'answer' and prompt == 416",
            of=("ratio", "pass_at_1"),
        ),
        _at(
            says="nearly sure ({0.58} and above)",
            where=f"{_WARM} and verifier == 'answer' and pass_at_1 > 0.5",
            of="pass_at_1",
            take="min",
        ),
        _at(
            says="the gain of {11}% at the warm start is gone",
            where=f"{_MOMENTS} and verifier == 'answer' and checkpoint == 'warm start' and rule == 'maxpo'",
            of="1 - ratio",
        ),
    ),
    finding(
        "llm",
        "memory",
        "A memory of prompts lowers the variance below that of leaving two out.",
        _trained(
            says="in all four places, by {6}% to {16}%",
            through=_with_memory,
            of="1 - ratio",
            take=("min", "max"),
        ),
    ),
    finding(
        "llm",
        "samples",
        "What TRL samples is what was evaluated, and sampled variances agree with exact ones.",
        _trained(
            says="Over {70} runs",
            where="kind == 'sample'",
            of="pass_at_k",
            take="rows",
        ),
        _trained(
            says="off by at most {2.9} standard errors",
            through=_off,
            of="abs(ends)",
            take="max",
        ),
        _trained(
            says="which are {0.014} on average",
            of="sampled_pass_at_k_error",
            take="mean",
        ),
        _trained(
            says="with a mean square of {1.4} and a mean of {0.3}",
            through=_off,
            of=("ends ** 2", "ends"),
            take="mean",
        ),
        _trained(
            says="traces that are {0.3} to {2.8} standard errors below the exact ones",
            through=_off,
            of="-traces",
            take=("min", "max"),
        ),
        _trained(
            says="ratios within {1.7}",
            through=_off,
            of="abs(ratios)",
            take="max",
        ),
        figure="variance",
    ),
)
