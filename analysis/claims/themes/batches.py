"""What the study of batches found: what prompts that meet in a batch change."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ..claim import Reading, each, finding
from ..tables import paired

TITLE = "Prompts that meet in a batch"

_batches = partial(Reading, study="batches")
_WHITENED = "rule == 'whitened:maxpo' and k == 4"
_MIXED = f"{_WHITENED} and difficulty == 'mixed'"
_BY_SIZE = each("prompts", 2, 3, 4, 8, 16, 32, 128)
_LAW = "difficulty == 'beta(.5, 2)'"
_PAIRED = ("difficulty", "space", "prompts", "n", "k", "success")


def _easiest_over_hardest(rows: pd.DataFrame) -> pd.DataFrame:
    """What the easiest prompt of a batch weighs over the hardest, under whitened maxpo."""
    own = rows.query(_MIXED).sort_values("success")
    batch = own.groupby(["space", "n", "prompts"]).weight
    return (batch.last() / batch.first()).rename("ratio").reset_index()


def _spread(rows: pd.DataFrame) -> pd.DataFrame:
    """How far the weight of a prompt is from the least of its batch, under whitened maxpo."""
    batch = rows.query(_WHITENED).groupby(["difficulty", "space", "n", "prompts"]).weight
    return (batch.max() / batch.min() - 1).rename("off").reset_index()


def _line(name: str, rule: str, space: str, *numbers: str) -> Reading:
    cells = " | ".join(f"{{{number}}}" for number in numbers)
    said = (
        cells.replace("{.732}", "{.732} (.001)")
        .replace("{.582}", "{.582} (.001)")
        .replace("{.383}", "{.383} (.001)")
    )
    return _batches(
        says=f"| {name} | {said} |",
        where=f"{_LAW} and rule == {rule!r} and space == {space!r}",
        at=each("n", 2, 4, 8, 16),
        of="ratio",
        error="ratio_error",
        draws="draws",
    )


def _empirical(says: str, space: str) -> Reading:
    """Empirical Bayes over maxpo at K = 4, P = 32, on hard, mixed and easy prompts, n = 8 and 16."""
    return _batches(
        says=says,
        where=f"rule == 'empirical-bayes' and k == 4 and prompts == 32 and space == {space!r}",
        at=tuple(f"difficulty == {d!r} and n == {n}" for d in ("hard", "mixed", "easy") for n in (8, 16)),
        of="ratio",
        error="ratio_error",
        draws="draws",
    )


_MANY, _ONE = "100 of 1,000", "1 of 10"

_BATCHES = (
    finding(
        "batches",
        "whitening",
        "Whitened max@K advantages point elsewhere with few prompts; from 8 prompts on it matters little.",
        _batches(
            says="| angle to maxpo, mixed, n = 8 | {.271} | {.016} | {.069} | {.096} | {.032} | {.014} | {.003} |",
            where=f"{_MIXED} and n == 8",
            at=_BY_SIZE,
            of="angle_to_plain",
        ),
        _batches(
            says="| the same, n = 16 | {1.162} | {.077} | {.053} | {.040} | {.016} | {.008} | {.002} |",
            where=f"{_MIXED} and n == 16",
            at=_BY_SIZE,
            of="angle_to_plain",
        ),
        _batches(
            says="easiest prompt's weight over the hardest's, n = 8 | {10} | {7.8} | {4.6} | {1.8} | {1.20} | {1.08} | {1.02} |",
            through=_easiest_over_hardest,
            where="n == 8",
            at=_BY_SIZE,
            of="ratio",
        ),
        _batches(
            says="| the same, n = 16 | {83} | {43} | {9.7} | {1.24} | {1.09} | {1.04} | {1.01} |",
            through=_easiest_over_hardest,
            where="n == 16",
            at=_BY_SIZE,
            of="ratio",
        ),
        _batches(
            says="the expected gradient is at most {0.1} rad off",
            where=f"{_WHITENED} and prompts >= 8",
            of="angle_to_plain",
            take="max",
        ),
        _batches(
            says="{0.5}% of a step's first-order gain",
            where=f"{_WHITENED} and prompts >= 8",
            of="angle_to_plain ** 2 / 2",
            take="max",
        ),
        _batches(
            says="({0.87} to {1.03} of maxpo's)",
            where=f"{_WHITENED} and prompts >= 8",
            of="ratio",
            take=("min", "max"),
        ),
        _batches(
            says="from 32 on the angle is at most {0.014} rad",
            where=f"{_WHITENED} and prompts >= 32",
            of="angle_to_plain",
            take="max",
        ),
        _batches(
            says="no prompt's weight is off by more than {8}%",
            through=_spread,
            where="prompts >= 32",
            of="off",
            take="max",
        ),
        _batches(
            says="with {43} times the weight on the easy one at P = 3",
            through=_easiest_over_hardest,
            where="prompts == 3",
            of="ratio",
            take="max",
        ),
    ),
    finding(
        "batches",
        "other-couplings",
        "The other couplings turn the expected gradient little.",
        _batches(
            says="`trl-batch` by at most {0.030} rad, whitened rloo by {0.031}, `verl-gpg` by {0.095}, at any P",
            at=each("rule", "trl-batch", "whitened:rloo", "verl-gpg"),
            of="angle_to_plain",
            take="max",
        ),
        _batches(
            says="`verl-gpg` pays in noise on hard prompts, up to {1.32} times",
            where="rule == 'verl-gpg' and difficulty == 'hard'",
            of="ratio",
            take="max",
        ),
        _batches(
            says="up to {5} times the noise of rloo where two prompts differ and many answers are right",
            through=paired("noise", "flash-reinforce", "rloo", by="rule", keys=_PAIRED),
            where=f"space == {_MANY!r} and prompts == 2",
            of="ratio",
            take="max",
        ),
        _batches(
            says="{1.4} to {1.5} times at P = 128 there",
            through=paired("noise", "flash-reinforce", "rloo", by="rule", keys=_PAIRED),
            where=f"space == {_MANY!r} and prompts == 128 and difficulty == 'mixed'",
            of="ratio",
            take=("min", "max"),
        ),
    ),
    finding(
        "batches",
        "rules-for-the-mean",
        "Rules for the mean are far from pass@4 on prompts that are not all hard, coupled or not.",
        _batches(
            says="All rules for the mean are {0.6} to {0.7} rad off pass@4 on mixed and on easy prompts from 8 on",
            where=(
                "rule in ('rloo', 'trl-batch', 'whitened:rloo') and k == 4 and prompts >= 8 "
                "and difficulty in ('mixed', 'easy')"
            ),
            of="angle_to_gradient",
            take=("min", "max"),
        ),
    ),
    finding(
        "batches",
        "jspo",
        "JSPO is unbiased, JSPO++ is not; James-Stein lowers the variance where groups are small.",
        _batches(
            says="the relative bias is at most {1.4e-15}",
            where="rule == 'jspo' and method == 'product'",
            of="relative_bias",
            take="max",
        ),
        _batches(
            says="{0.6}% to {4.5}% at P = 2, falling as 1/P",
            where="rule == 'jspo-plus-plus' and prompts == 2",
            of="relative_bias",
            take=("min", "max"),
        ),
        _batches(
            says="to {0.03}% to {0.17}% at P = 128",
            where="rule == 'jspo-plus-plus' and prompts == 128",
            of="relative_bias",
            take=("min", "max"),
        ),
        _line("`jspo`, 100 of 1,000", "jspo", _MANY, ".732", ".903", ".969", ".991"),
        _line("`empirical-bayes`", "empirical-bayes", _MANY, ".658", ".893", ".969", ".991"),
        _line("`reinforce`, no baseline", "reinforce", _MANY, ".870", "1.31", "1.53", "1.63"),
        _line("`jspo`, 1 of 10", "jspo", _ONE, ".582", ".752", ".860", ".923"),
        _line("`empirical-bayes`", "empirical-bayes", _ONE, ".383", ".652", ".820", ".910"),
        _line("`reinforce`, no baseline", "reinforce", _ONE, ".338", ".577", ".725", ".810"),
        _batches(
            says="with 2 to 4 mixed ones its noise is up to {7.6} times RLOO's",
            where="rule == 'jspo' and difficulty == 'mixed' and prompts <= 4",
            of="ratio",
            take="max",
        ),
        _batches(
            says="with 8 it is {4}% to {9}% more",
            where=f"rule == 'jspo' and difficulty == 'mixed' and prompts == 8 and space == {_MANY!r}",
            of="ratio - 1",
            take=("min", "max"),
        ),
        _batches(
            says="JSPO++, biased, never loses more than {4}%",
            where="rule == 'jspo-plus-plus'",
            of="ratio - 1",
            take="max",
        ),
    ),
    finding(
        "batches",
        "empirical-bayes",
        "Empirical Bayes over the batch is worth more for max@K than for the mean.",
        _empirical(
            "it has {.89} ({.96}) of maxpo's noise on hard prompts, {.93} ({.98}) on mixed, {.83} ({.95}) on easy ones",
            _MANY,
        ),
        _empirical("{.83} ({.92}), {.77} ({.90}), {.87} ({.98}) with one", _ONE),
        _batches(
            says="three easy ones can cost {25}%",
            where="rule == 'empirical-bayes' and k == 4 and prompts == 3 and difficulty == 'easy'",
            of="ratio - 1",
            take="max",
        ),
        _batches(
            says="That is {2}% to {23}%",
            where="rule == 'empirical-bayes' and k == 4 and prompts == 32",
            of="1 - ratio",
            take=("min", "max"),
            error="ratio_error",
            draws="draws",
        ),
        _batches(
            says="and better than all with one ({.60})",
            where=f"rule == 'predictive' and k == 4 and n == 8 and prompts == 32 and difficulty == 'easy' and space == {_ONE!r}",
            of="ratio",
        ),
    ),
)

CLAIMS = _BATCHES
