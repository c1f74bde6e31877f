"""What the study of prompts found: prompts of different difficulty, and such as share parameters."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ...studies.prompts.interference import cosines_of, critical
from ..claim import Reading, each, finding, near

TITLE = "Easy and hard prompts"

_prompts = partial(Reading, study="prompts")
_OWN = "arrangement == 'own parameters' and prompts == 16 and n == 16 and k == 4"


def _easy_over_hard(rows: pd.DataFrame) -> pd.DataFrame:
    """What each rule makes the easiest prompt weigh over the hardest, relative to its pass@4 gradient."""
    own = rows.query(_OWN).sort_values("success").groupby("estimator").scale
    return (own.last() / own.first()).rename("ratio").reset_index()


_PROMPTS = (
    finding(
        "prompts",
        "own-parameters",
        "A rule whose scale depends on the policy turns the gradient of a batch.",
        _prompts(
            says="({14.2} for MaxPO, {14.0} for `predictive`, {15.1} for `pkpo-loo1`, within prompts)",
            where=_OWN,
            at=each("estimator", "maxpo", "predictive", "pkpo-loo1"),
            of="within",
        ),
        _prompts(
            says="RLOO and GRPO weigh the easiest prompt {1,000} and {740} times more",
            through=_easy_over_hard,
            at=each("estimator", "rloo", "grpo"),
            of="ratio",
        ),
        _prompts(
            says="is {0.66} and {0.56} rad off that of pass@4",
            where=_OWN,
            at=each("estimator", "rloo", "grpo"),
            of="direction_error",
        ),
        _prompts(
            says="over-weighs the easiest prompt tenfold and is {0.18} rad off",
            where=f"{_OWN} and estimator == 'passk-training'",
            of="direction_error",
        ),
        _prompts(
            says="MaxRL likewise, by a factor of {74}",
            through=_easy_over_hard,
            where="estimator == 'maxrl'",
            of="ratio",
        ),
        _prompts(
            says="({2.8} times, 0.04 rad)",
            through=_easy_over_hard,
            where="estimator == 'maxrl-pkpo'",
            of="ratio",
        ),
        _prompts(
            says="times, {0.04} rad)", where=f"{_OWN} and estimator == 'maxrl-pkpo'", of="direction_error"
        ),
        _prompts(
            says="less than {0.005} of the weight left for prompts above p = 0.35",
            where=f"{_OWN} and estimator == 'verl-grpo-passk' and success > 0.35",
            of="scale",
            take="max",
            relation="<",
        ),
        _prompts(
            says="is {0.81} rad off pass@4",
            where=f"{_OWN} and estimator == 'verl-grpo-passk'",
            of="direction_error",
        ),
    ),
)

_SHARED = ("pair", "hard against easy", "sides at random")


def _batches_that_share(rows: pd.DataFrame) -> pd.DataFrame:
    return cosines_of(rows[rows.arrangement.isin(_SHARED)])


def _critical(rows: pd.DataFrame) -> pd.DataFrame:
    """The similarity of a pair below which pass@1 falls."""
    return critical(cosines_of(rows[rows.arrangement == "pair"])).dropna()


def _of_networks(rows: pd.DataFrame) -> pd.DataFrame:
    """The cosine of each policy that a network has on its way."""
    own = rows[(rows.arrangement == "transformer") & (rows.estimator == "maxpo")]
    found = own.groupby(["k", "path", "step"]).change.sum().rename("cosine").reset_index()
    return found.assign(falls=(found.cosine < 0).astype(float))


_pair = partial(Reading, study="prompts", through=_critical, of="similarity")
_cosine = partial(Reading, study="prompts", through=_batches_that_share, of="cosine")
_networks = partial(Reading, study="prompts", through=_of_networks, of="cosine")
_MAXPO_4 = "estimator == 'maxpo' and k == 4"
_AGAINST = "arrangement == 'hard against easy' and estimator == 'maxpo'"

_INTERFERENCE = (
    finding(
        "prompts",
        "interference-of-two",
        "A step for pass@K lowers pass@1 where a harder prompt opposes an easier one, and is neither too hard nor near it.",
        _pair(
            says="pass@1 falls for a harder one between {0.0017} and {0.15}",
            where=_MAXPO_4,
            of="hardest",
            take=("min", "max"),
        ),
        _pair(
            says="if their similarity is below {-0.18} (at 0.016), {-0.32} (0.05), {-0.80} (0.15)",
            where=_MAXPO_4,
            at=near("hardest", 0.0162, 0.05, 0.15),
        ),
        _pair(says="K = 2 needs {-0.77}", where="estimator == 'maxpo' and k == 2", take="max"),
        _pair(
            says="K = 8 only {-0.06} at 0.009 and {-0.01} at 0.001",
            where="estimator == 'maxpo' and k == 8",
            at=near("hardest", 0.0093, 0.001),
        ),
        _pair(
            says="Pass@k Training needs {-0.45}, MaxRL {-0.61}",
            at=each("estimator", "passk-training", "maxrl"),
            take="max",
        ),
        _cosine(
            says="its cosine is at least {0.96} on pairs and {0.37} on batches",
            where="estimator == 'grpo'",
            at=("arrangement == 'pair'", "arrangement == 'hard against easy'"),
            take="min",
        ),
        figure="interference",
    ),
    finding(
        "prompts",
        "interference-of-a-batch",
        "In a batch it takes a split at the right place.",
        _cosine(
            says="the opposed ones must be those below {0.23} or {0.36}",
            where=f"{_AGAINST} and k == 4 and cosine < 0",
            of="border",
            take=("min", "max"),
        ),
        _cosine(
            says="with similarities of -{0.57} and beyond at K = 4, -{0.29} at K = 8",
            where=f"{_AGAINST} and cosine < 0",
            at=each("k", 4, 8),
            of="similarity",
            take="min",
        ),
        _cosine(
            says="K = 8 (below {0.15} too)",
            where=f"{_AGAINST} and k == 8 and cosine < 0",
            of="border",
            take="min",
        ),
        _cosine(
            says="Split elsewhere the cosine stays above {0.6} at K = 4",
            where=f"{_AGAINST} and k == 4 and (border < 0.2 or border > 0.4)",
            take="min",
        ),
        _cosine(
            says="above {0.18} with sides that have nothing to do with difficulty",
            where=f"arrangement == 'sides at random' and {_MAXPO_4}",
            take="min",
        ),
        figure="interference",
    ),
    finding(
        "prompts",
        "interference-in-networks",
        "It happens in small transformers, the more often the larger K.",
        _networks(
            says="would lower it at {10}% of the policies, of three networks; K = 2: {1}%, K = 8: {19}%, K = 16: {31}%",
            at=each("k", 4, 2, 8, 16),
            of="falls",
            take="mean",
        ),
        _networks(
            says="The lowest cosines are {-0.28}, {-0.39} and {-0.43} for K = 4, 8, 16",
            at=each("k", 4, 8, 16),
            take="min",
        ),
        _networks(says="the median ones {0.71}, {0.45} and {0.18}", at=each("k", 4, 8, 16), take="median"),
        figure="interference",
    ),
)

CLAIMS = (*_PROMPTS, *_INTERFERENCE)
