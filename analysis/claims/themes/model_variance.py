"""What the study of a language model found of the variance of its gradient, and what it predicted from it."""

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
    "many right derivations": "order",
    "one right completion": "chain",
    "only the answer counts": "answer",
}
_BESIDES = ("plug-in-floor", "maxpo", "predictive", REPLAY)
#: Means of as many prompts; a run of fewer has others.
_MOMENTS = "kind in ('variance', 'history') and prompts in (6, 24)"
_PROMPTS = "kind == 'prompt' and rule == 'maxpo'"


def _off(rows: pd.DataFrame) -> pd.DataFrame:
    """How far what is sampled is from what is exact, in standard errors."""
    return rows.assign(
        ends=(rows.sampled_pass_at_k - rows.held_out_pass_at_k) / rows.sampled_pass_at_k_error,
        traces=(rows.sampled_trace - rows.total_trace) / rows.sampled_trace_error,
        ratios=(rows.sampled_ratio - rows.total_ratio) / rows.sampled_ratio_error,
    )


def _with_memory(rows: pd.DataFrame) -> pd.DataFrame:
    """The variance of replay over that of maxpo, by place."""
    both = paired("trace_covariance", REPLAY, "maxpo", by="rule", keys=("verifier", "checkpoint"))
    return both(rows.query(_MOMENTS))


def _where(place: str, checkpoint: str) -> str:
    return f"verifier == {_PLACES[place]!r} and checkpoint == {checkpoint!r}"


def _place(place: str, checkpoint: str, success: str, ratios: str, efficiencies: str) -> tuple[Reading, ...]:
    """Two lines of the table of variances."""
    read = _at if checkpoint == "warm start" else _trained
    where = f"{_MOMENTS} and {_where(place, checkpoint)}"
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


def _prediction(place: str, checkpoint: str, numbers: str) -> Reading:
    """A line of the table of predicted rollouts: each rule's ratio, and in brackets its root."""
    read = _at if checkpoint == "warm start" else _trained
    said = numbers.split()
    cells = " | ".join(f"{{{a}}} ({{{b}}})" for a, b in zip(said[::2], said[1::2], strict=True))
    return read(
        says=f"| {place} | {checkpoint} | {cells} |",
        where=f"kind == 'prediction' and prompts in (6, 24) and {_where(place, checkpoint)}",
        at=each("rule", "predictive", "maxpo", REPLAY),
        of=("predicted", "predicted_adam"),
    )


def _cells(numbers: str) -> str:
    return " | ".join(f"{{{number}}}" for number in numbers.split())


def _scores(checkpoint: str) -> str:
    return f"kind == 'scores' and verifier == 'order' and checkpoint == {checkpoint!r}"


CLAIMS = (
    finding(
        "llm",
        "variance",
        "MaxPO's variance is below pkpo-loo1's where many completions are right, above it where one is.",
        *_place(
            "many right derivations", "warm start", "0.12", "0.91 0.97 0.95 0.89", "0.88 0.97 0.91 0.93 0.99"
        ),
        *_place(
            "many right derivations", "half way", "0.22", "0.92 0.97 0.94 0.89", "0.85 0.92 0.87 0.90 0.95"
        ),
        *_place(
            "many right derivations", "trained", "0.32", "0.90 1.08 1.01 0.91", "0.82 0.91 0.76 0.81 0.90"
        ),
        *_place(
            "one right completion", "warm start", "0.14", "1.00 1.25 1.16 1.12", "0.98 0.99 0.78 0.85 0.88"
        ),
        *_place("one right completion", "trained", "0.18", "0.95 1.25 1.14 1.08", "0.95 0.99 0.76 0.83 0.88"),
        *_place(
            "only the answer counts", "warm start", "0.31", "0.93 0.92 0.91 0.86", "0.82 0.89 0.90 0.90 0.96"
        ),
        *_place(
            "only the answer counts", "trained", "0.41", "0.93 1.05 1.00 0.97", "0.86 0.93 0.82 0.86 0.89"
        ),
        _at(
            says="from {0.94} to {1.01} at the start",
            where=f"{_PROMPTS} and verifier == 'order' and checkpoint == 'warm start'",
            of="ratio",
            take=("min", "max"),
        ),
        _trained(
            says="and from {0.66} to {1.87} once trained under `order`",
            where=f"{_PROMPTS} and verifier == 'order' and checkpoint == 'trained'",
            of="ratio",
            take=("min", "max"),
        ),
        _at(
            says="from {1.02} to {6.66} at the start under `chain`",
            where=f"{_PROMPTS} and verifier == 'chain' and checkpoint == 'warm start'",
            of="ratio",
            take=("min", "max"),
        ),
        figure="variance",
    ),
    finding(
        "llm",
        "little-to-gain",
        "Thirty right completions leave an unbiased rule little to gain: the floor is near, and scores are shared.",
        _at(
            says="at most {12}% below `pkpo-loo1` at the start",
            where=f"{_MOMENTS} and {_where('many right derivations', 'warm start')} and rule == {REFERENCE!r}",
            of="1 - efficiency",
        ),
        _trained(
            says="{15}% half way and {18}% once trained",
            where=f"{_MOMENTS} and verifier == 'order' and rule == {REFERENCE!r}",
            at=each("checkpoint", "half way", "trained"),
            of="1 - efficiency",
        ),
        _at(
            says="a share of {0.21} of a success's squared score is the mean of all",
            where=_scores("warm start"),
            of="shared",
            take="median",
        ),
        _at(
            says="failures have {1.11} times the squared score of successes at the start",
            where=_scores("warm start"),
            of="failure_share",
            take="median",
        ),
        _trained(
            says="{1.72} times half way (medians over the prompts)",
            where=_scores("half way"),
            of="failure_share",
            take="median",
        ),
        figure="variance",
    ),
    finding(
        "llm",
        "predicted",
        "By exact second moments no rule without bias needs a tenth fewer rollouts than pkpo-loo1 but replay at the "
        "start of learning from the answer alone.",
        _prediction("many right derivations", "warm start", "0.968 0.984 0.981 0.991 0.927 0.963"),
        _prediction("many right derivations", "half way", "0.962 0.981 0.981 0.990 0.934 0.966"),
        _prediction("many right derivations", "trained", "1.002 1.001 1.016 1.008 0.982 0.991"),
        _prediction("one right completion", "warm start", "1.069 1.034 1.111 1.054 1.051 1.025"),
        _prediction("one right completion", "trained", "1.036 1.018 1.063 1.031 1.021 1.010"),
        _prediction("only the answer counts", "warm start", "0.936 0.968 0.940 0.970 0.897 0.947"),
        _prediction("only the answer counts", "trained", "0.998 0.999 1.023 1.011 0.985 0.992"),
    ),
    finding(
        "llm",
        "memory",
        "A memory of prompts lowers the variance below that of leaving two out.",
        _trained(
            says="in all seven places, by {7}% to {15}%",
            through=_with_memory,
            of="1 - ratio",
            take=("min", "max"),
        ),
        figure="variance",
    ),
    finding(
        "llm",
        "samples",
        "What TRL samples is what was evaluated, and sampled variances agree with exact ones.",
        _trained(
            says="Over {170} runs",
            where="kind == 'run' and size == 1",
            of="pass_at_k",
            take="rows",
        ),
        _trained(
            says="off by at most {2.7} standard errors",
            through=_off,
            of="abs(ends)",
            take="max",
        ),
        _trained(
            says="which are {0.021} on average",
            of="sampled_pass_at_k_error",
            take="mean",
        ),
        _trained(
            says="with a mean square of {0.9} and a mean of {0.2}",
            through=_off,
            of=("ends ** 2", "ends"),
            take="mean",
        ),
        _trained(
            says="traces from {-2.4} to {0.5} standard errors off the exact ones",
            through=_off,
            of="traces",
            take=("min", "max"),
        ),
        _trained(
            says="ratios within {2.3}",
            through=_off,
            of="abs(ratios)",
            take="max",
        ),
        figure="variance",
    ),
)
