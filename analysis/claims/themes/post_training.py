"""What the study of a language model found of where TRL's training ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from ...measure.statistics import difference_interval, interquartile_mean_interval
from ...studies.llm.design import GRPO, OTHERS, REFERENCE, REPLAY, SEED, SHARED
from ..claim import Reading, each, finding

TITLE = "Training of a small language model"

_at = partial(Reading, study="llm")
#: What is trained is drawn by TRL: to the bit on one machine and with one set of versions alone.
_trained = partial(_at, drawn=True)
_PLACES = {
    "one right completion": "verifier == 'chain'",
    "only the answer counts": "verifier == 'answer'",
}
_BY_VERIFIER = each("verifier", "chain", "answer")
_INTERVAL = ("estimate", "low", "high")
_UNBIASED = ("predictive", REFERENCE, "maxpo", REPLAY)


def _ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The ends of the runs at the shared step size, in the order of their seeds."""
    return rows[(rows.kind == "sample") & (rows.learning_rate == SHARED)].sort_values("seed")


def _end_of(quantity: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The interquartile mean over the seeds, with its interval, by verifier and rule."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        found = []
        for (verifier, rule), own in _ends(rows).groupby(["verifier", "rule"]):
            ends = interquartile_mean_interval(own[[quantity]].to_numpy().T, seed=SEED)
            found.append((verifier, rule, float(ends.estimate), float(ends.low), float(ends.high)))
        return pd.DataFrame(found, columns=["verifier", "rule", *_INTERVAL])

    return through


def _lead(*pairs: tuple[str, str], of: tuple[str, ...]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The mean difference of the ends of two rules, seed by seed, with its interval."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        found = []
        for verifier, own in _ends(rows).groupby("verifier"):
            by_rule = dict(list(own.groupby("rule")))
            for one, other in pairs:
                for quantity in of if {one, other} <= set(by_rule) else ():
                    scores = [by_rule[rule][[quantity]].to_numpy().T for rule in (one, other)]
                    if scores[0].shape != scores[1].shape:
                        continue
                    lead = difference_interval(*scores, seed=SEED)
                    ends = (float(lead.estimate), float(lead.low), float(lead.high))
                    found.append((verifier, one, other, quantity, *ends))
        return pd.DataFrame(found, columns=["verifier", "rule", "over", "quantity", *_INTERVAL])

    return through


def _gain_by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """pass@4 at the end at the largest step size less that at the shared one, of the first seed."""
    ends = rows[(rows.kind == "sample") & (rows.seed == 0)].set_index(["verifier", "rule"])
    one, other = (ends[ends.learning_rate == size].pass_at_k for size in (max(OTHERS), SHARED))
    return (one - other).dropna().rename("gain").reset_index()


def _line(place: str, quantity: str, start: str, ends: str) -> tuple[Reading, Reading]:
    """A line of the table of ends."""
    name = {"pass@1": "pass_at_1", "pass@4": "pass_at_k"}[quantity]
    numbers = ends.split()
    said = " | ".join(
        f"{{{a}}} [{{{b}}}, {{{c}}}]"
        for a, b, c in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    )
    return (
        _at(
            says=f"| {place} | {quantity} ({{{start}}}) |",
            where=f"kind == 'curve' and step == 0 and {_PLACES[place]}",
            of=name,
            take="mean",
        ),
        _trained(
            says=f"| {said} |",
            through=_end_of(name),
            where=_PLACES[place],
            at=each("rule", GRPO, REFERENCE, "predictive", "maxpo", REPLAY),
            of=_INTERVAL,
        ),
    )


def _leads(says: str, one: str, other: str, *quantities: str, verifiers: tuple[str, ...]) -> Reading:
    return _trained(
        says=says,
        through=_lead((one, other), of=quantities),
        at=tuple(f"verifier == {v!r} and quantity == {q!r}" for v in verifiers for q in quantities),
        of=_INTERVAL,
    )


_PAIRS = tuple((one, other) for i, one in enumerate(_UNBIASED) for other in _UNBIASED[i + 1 :])

CLAIMS = (
    finding(
        "llm",
        "ends",
        "That one unbiased rule for max@K trains better than another is not shown.",
        *_line(
            "one right completion",
            "pass@1",
            "0.064",
            "0.203 0.195 0.220 0.176 0.162 0.193 0.188 0.174 0.198 0.180 0.163 0.182 0.195 0.185 0.197",
        ),
        *_line(
            "one right completion",
            "pass@4",
            "0.205",
            "0.380 0.371 0.409 0.383 0.355 0.413 0.401 0.381 0.422 0.389 0.361 0.405 0.408 0.389 0.420",
        ),
        *_line(
            "only the answer counts",
            "pass@1",
            "0.356",
            "0.449 0.422 0.477 0.383 0.360 0.396 0.390 0.360 0.407 0.367 0.338 0.410 0.376 0.351 0.405",
        ),
        *_line(
            "only the answer counts",
            "pass@4",
            "0.733",
            "0.720 0.690 0.773 0.767 0.738 0.781 0.773 0.735 0.794 0.750 0.716 0.785 0.760 0.727 0.795",
        ),
        _leads(
            "{0.002} [{-0.018}, {0.028}] in pass@4 under `chain` and {-0.012} [{-0.028}, {0.005}] under `answer`",
            "maxpo",
            REFERENCE,
            "pass_at_k",
            verifiers=("chain", "answer"),
        ),
        _leads(
            "in pass@1 ({-0.011} [{-0.018}, {-0.003}]) and in pass@4 ({-0.017} [{-0.029}, {-0.003}])",
            "maxpo",
            "predictive",
            "pass_at_1",
            "pass_at_k",
            verifiers=("chain",),
        ),
        _leads(
            "in pass@1 ({-0.017} [{-0.030}, {-0.005}]), in pass@4 by {-0.021} [{-0.046}, {0.001}]",
            "maxpo",
            REPLAY,
            "pass_at_1",
            "pass_at_k",
            verifiers=("chain",),
        ),
        _leads(
            "as well, by {0.015} [{0.005}, {0.023}] and {0.023} [{0.009}, {0.036}]",
            REPLAY,
            REFERENCE,
            "pass_at_1",
            "pass_at_k",
            verifiers=("chain",),
        ),
        _trained(
            says="Of the {24} intervals between them",
            through=_lead(*_PAIRS, of=("pass_at_1", "pass_at_k")),
            of="low",
            take="rows",
        ),
        _trained(
            says="{6} exclude 0, all under `chain`",
            through=_lead(*_PAIRS, of=("pass_at_1", "pass_at_k")),
            where="low * high > 0 and verifier == 'chain'",
            of="low",
            take="rows",
        ),
        _trained(
            says="ratios for MaxPO are {1.10}, {1.11}, {0.93} and {1.02}",
            where="kind == 'variance' and prompts == 10 and rule == 'maxpo'",
            at=tuple(
                f"{verifier} and checkpoint == {checkpoint!r}"
                for verifier in _BY_VERIFIER
                for checkpoint in ("warm start", "trained")
            ),
            of="total_ratio",
        ),
    ),
    finding(
        "llm",
        "mean-reward",
        "GRPO, a rule for the mean reward, gains pass@1 and no pass@4.",
        _leads(
            "({0.030} [{0.018}, {0.043}] above MaxPO under `chain`, {0.077} [{0.045}, {0.101}] under `answer`)",
            GRPO,
            "maxpo",
            "pass_at_1",
            verifiers=("chain", "answer"),
        ),
        _leads(
            "({0.001} [{-0.013}, {0.014}] and {-0.025} [{-0.075}, {0.013}])",
            GRPO,
            "maxpo",
            "pass_at_k",
            verifiers=("chain", "answer"),
        ),
        _leads(
            "below that of `pkpo-loo1` by {0.037} [{0.009}, {0.071}]",
            REFERENCE,
            GRPO,
            "pass_at_k",
            verifiers=("answer",),
        ),
    ),
    finding(
        "llm",
        "step-size",
        "Learning from the answer alone does not bear a step size that learning from all steps does.",
        _trained(
            says="averaged over the rules and both verifiers: {0.545}, {0.594} and {0.486}",
            where="kind == 'sample' and seed == 0",
            at=each("learning_rate", 1e-4, 3e-4, 1e-3),
            of="pass_at_k",
            take="mean",
        ),
        _trained(
            says="(pass@4 {0.46} to {0.65})",
            where="kind == 'sample' and learning_rate == 0.001 and verifier == 'answer'",
            of="pass_at_k",
            take=("min", "max"),
        ),
        _trained(
            says="end higher than at 3e-4, by {0.051}, {0.024} and {0.013}",
            through=_gain_by_size,
            where="verifier == 'chain'",
            at=each("rule", GRPO, REFERENCE, REPLAY),
            of="gain",
        ),
        figure="learning_rate",
    ),
)
