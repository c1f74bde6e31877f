"""Claims of papers and repositories: those of the study field-claims, judged by its rows."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ...studies.field_claims.published import CLAIMS as PUBLISHED
from ...studies.field_claims.verdicts import CONDITION, DEFINITION, FALSE, TRUE
from ..claim import Claim, Reading, Take, each, finding

TITLE = "The field"

#: What the study says of each claim.
_SAID = {
    "group-advantage-biased": DEFINITION,
    "std-overweights-extremes": CONDITION,
    "std-suppresses-hard": DEFINITION,
    "local-normalisation-biased": CONDITION,
    "own-reward-in-baseline": DEFINITION,
    "rloo-is-scaled-group-mean": TRUE,
    "pass-at-k-signal-vanishes": DEFINITION,
    "prompt-interference": CONDITION,
    "leave-two-out-centered": CONDITION,
    "leading-method-not-centered": TRUE,
    "leave-two-out-quadratic": CONDITION,
    "maxrl-unbiased": CONDITION,
    "pass-at-k-training-peak": CONDITION,
    "larger-k-smaller-advantage": TRUE,
    "leave-two-out-lowers-variance": CONDITION,
    "ten-times-lower-variance": FALSE,
    "loo-minus-one-lowest-variance": CONDITION,
    "oracle-equivalence": CONDITION,
    "james-stein-lowers-variance": CONDITION,
    "universal-group-size": CONDITION,
    "global-normalisation-vanishes": TRUE,
    "whitening-only-rescales": CONDITION,
}


def _fails(name: str, says: str, where: str = "", *, limits: bool = False) -> Reading:
    """Whether any number that the claim is read of fails: 1, or 0 where none does."""
    judged = f"claim == {name!r} and kind != 'searched'"
    return Reading(
        says=says,
        study="field-claims",
        where=f"{judged} and {where}" if where else judged,
        of="1 - holds",
        take="max",
        limits=limits,
    )


def _kinds(name: str, says: str, take: Take, *, limits: bool = False) -> Reading:
    """Whether every number that the claim can be read of fails somewhere (1), or one of them nowhere (0)."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        own = rows[rows.claim == name]
        judged = own.assign(fails=(own.holds == 0) & (own.kind != "searched"))
        return judged.groupby("what").fails.max().astype(int).reset_index()

    return Reading(says=says, study="field-claims", through=through, of="fails", take=take, limits=limits)


def _readings(name: str, verdict: str) -> tuple[Reading, ...]:
    inside = f"a reading fails inside the condition: {{{int(verdict == FALSE)}}} (1 is yes)"
    if verdict == TRUE:
        return (_fails(name, "a reading fails at some case: {0} (1 is yes)"),)
    if verdict == FALSE:
        return (
            _fails(name, inside, "inside == 1", limits=True),
            _kinds(name, "each number it can be read of fails: {1} (1 is yes)", "min", limits=True),
        )
    if verdict == CONDITION:
        return (
            _fails(name, inside, "inside == 1"),
            _fails(name, "a reading fails outside: {1} (1 is yes)", "inside == 0", limits=True),
        )
    return (
        _kinds(name, "each number it can be read of fails: {0} (1 is yes)", "min"),
        _kinds(name, "one of them does: {1} (1 is yes)", "max", limits=True),
    )


_numbers = partial(Reading, study="field-claims", of="measured")
_STEIN = "claim == 'james-stein-lowers-variance' and kind == 'shown'"

_SUMMARY = (
    finding(
        "field-claims",
        "bias",
        "What is called biased in group-relative advantages turns on what a number is compared with.",
        _numbers(
            says="weighs a prompt of p = .001 {125} times more (n = 8)",
            where="claim == 'group-advantage-biased' and n == 8 and what == 'weight, dead groups drawn again'",
            take="max",
        ),
        _numbers(
            says="{1.4} times the weight at the extremes with n = 8, {2.8} with n = 32",
            where="claim == 'std-overweights-extremes' and kind == 'shown'",
            at=each("n", 8, 32),
            take="max",
        ),
    ),
    finding(
        "field-claims",
        "variance",
        "A claim about variance needs n, K, the success rate and the number of right answers.",
        _numbers(
            says="Leaving two out has {.01} to {97} times the variance",
            where="claim == 'leave-two-out-lowers-variance'",
            take=("min", "max"),
        ),
        _numbers(
            says="which has next to 0 to {3} times that of `pkpo-loo`",
            where="claim == 'loo-minus-one-lowest-variance'",
            take="max",
        ),
        _numbers(
            says="James-Stein's is worth {27}%, {10}%, {3}% at n = 2, 4, 8 with 64 prompts",
            where=f"{_STEIN} and arms == 1000 and copies == 64",
            at=each("n", 2, 4, 8),
            of="1 - measured",
        ),
        _numbers(
            says="{42}%, {25}%, {14}% with one of ten",
            where=f"{_STEIN} and arms == 10 and copies == 64",
            at=each("n", 2, 4, 8),
            of="1 - measured",
        ),
        _numbers(
            says="up to {53}% more noise with two prompts",
            where=f"{_STEIN} and copies == 2",
            of="measured - 1",
            take="max",
        ),
    ),
)

_PUBLISHED = tuple(
    Claim(
        name=f"field-{name}",
        statement=claim.statement,
        source=claim.source,
        conditions=claim.condition,
        readings=_readings(name, _SAID[name]),
        figure="field-claims/figure.png",
    )
    for name, claim in PUBLISHED.items()
)

CLAIMS = (*_PUBLISHED, *_SUMMARY)
