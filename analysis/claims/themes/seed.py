"""Claims of the abstract of arXiv 2606.06080, the paper under study."""

from __future__ import annotations

import pandas as pd

from ...studies.learning.pairs import compared_table
from ..claim import Claim, Reading, Through, each
from ..tables import by_rule, paired

TITLE = "The paper under study"

_ABSTRACT = "arXiv 2606.06080, abstract"
_RESOLVED = "bias_resolution < 1e-6"
_AT_BASE = "factor == 'success' and estimator == 'maxpo'"
_MANY = "specimen == 'many-correct'"
_ONE = "specimen == 'one-correct'"
_GROWTH = "claim == 'leave-two-out-quadratic' and kind == 'shown' and n == 128 and what == 'operations at 2n over n, {}'"


def _area(rule: str) -> Through:
    """The area of a rule less that of maxpo, all sparse starts together, at the best step sizes."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        runs = rows[(rows.kind == "run") & (rows.section == "rules") & rows.rule.isin(("maxpo", rule))]
        return compared_table(runs[runs.choice == "best"]).query("specimen == 'all'")

    return through


CLAIMS = (
    Claim(
        name="seed-unbiased",
        statement="The Leave-Two-Out baseline keeps the max@K policy gradient unbiased.",
        source=_ABSTRACT,
        conditions="K <= n - 1: the rule does not exist at K = n",
        readings=(
            Reading(
                says="the largest relative bias of maxpo in any resolved cell of thirteen specimens is at most {1e-10}",
                study="unbiasedness",
                where=f"estimator == 'maxpo' and {_RESOLVED}",
                of="relative_bias",
                take="max",
                relation="<=",
            ),
            Reading(
                says="its scale is {1.000000} to {1.000000} times the gradient",
                study="unbiasedness",
                where=f"estimator == 'maxpo' and {_RESOLVED}",
                of="scale",
                take=("min", "max"),
            ),
            Reading(
                says="at K = n it has moments in {0} cells",
                study="unbiasedness",
                where="estimator == 'maxpo' and k == n and undefined.isna()",
                of="scale",
                take="rows",
                limits=True,
            ),
        ),
        figure="unbiasedness/figure.png",
    ),
    Claim(
        name="seed-centered",
        statement="Its advantages sum to exactly 0 in every realised group.",
        source=_ABSTRACT,
        readings=(
            Reading(
                says="the largest |sum A| of maxpo in any group, over K max |R|, is at most {1e-14}",
                study="unbiasedness",
                where="estimator == 'maxpo'",
                of="advantage_sum",
                take="max",
                relation="<=",
            ),
        ),
        figure="unbiasedness/figure.png",
    ),
    Claim(
        name="seed-leading-method",
        statement="The leading method, PKPO's s_loo-1, is unbiased, and its advantages do not sum to 0.",
        source=_ABSTRACT,
        readings=(
            Reading(
                says="the largest relative bias of pkpo-loo1 in any resolved cell is at most {1e-10}",
                study="unbiasedness",
                where=f"estimator == 'pkpo-loo1' and {_RESOLVED}",
                of="relative_bias",
                take="max",
                relation="<=",
            ),
            Reading(
                says="its |sum A| reaches {8.3} times K max |R|",
                study="unbiasedness",
                where="estimator == 'pkpo-loo1'",
                of="advantage_sum",
                take="max",
            ),
        ),
        figure="unbiasedness/figure.png",
    ),
    Claim(
        name="seed-quadratic-time",
        statement="The Leave-Two-Out baseline takes quadratic time.",
        source=_ABSTRACT,
        conditions="evaluated as it is defined, over all pairs of rollouts; one sort and running sums take n log n",
        readings=(
            Reading(
                says="groups of 256 rollouts take {3.96} times the operations of 128 over all pairs",
                study="field-claims",
                where=_GROWTH.format("over all pairs"),
                of="measured",
            ),
            Reading(
                says="and {2.18} times by one sort, which gives the same advantages",
                study="field-claims",
                where=_GROWTH.format("by one sort"),
                of="measured",
                limits=True,
            ),
        ),
        figure="field-claims/figure.png",
    ),
    Claim(
        name="seed-canonical",
        statement="There is a canonical finite-batch advantage, which the Leave-Two-Out baseline gives.",
        source=_ABSTRACT,
        readings=(
            Reading(
                says="the trace covariance of canonical over that of maxpo is {1.000000} to {1.000000}",
                study="variance",
                through=paired(
                    "trace_covariance", "canonical", "maxpo", keys=("factor", "specimen", "success", "n", "k")
                ),
                of="ratio",
                take=("min", "max"),
            ),
            Reading(
                says="of the rules that are unbiased for max@K, {2} are centered: maxpo and canonical",
                study="unbiasedness",
                through=by_rule(
                    "relative_bias",
                    "advantage_sum",
                    where=f"objective == 'max@k' and k <= n and undefined.isna() and {_RESOLVED}",
                ),
                where="relative_bias < 1e-7 and advantage_sum < 1e-10",
                of="relative_bias",
                take="rows",
            ),
        ),
        figure="unbiasedness/figure.png",
    ),
    Claim(
        name="seed-unifies",
        statement="The canonical advantage unifies known rules.",
        source=_ABSTRACT,
        conditions=(
            "of rules that are linear in the sorted rewards: pkpo-mean-centered is (1 - K/n)/n of it and RLOO its case K = 1; "
            "rules that divide by a statistic of the group, such as GRPO and Pass@k Training, climb another objective"
        ),
        readings=(
            Reading(
                says="pkpo-mean-centered climbs max@K at {0.062500} of the scale at n = 8, K = 4, which is (1 - K/n)/n",
                study="unbiasedness",
                where="estimator == 'pkpo-mean-centered' and n == 8 and k == 4",
                of="scale",
            ),
            Reading(
                says="and turns from it by at most {1e-7} rad",
                study="unbiasedness",
                where=f"estimator == 'pkpo-mean-centered' and n == 8 and k == 4 and {_RESOLVED}",
                of="direction_error",
                take="max",
                relation="<=",
            ),
            Reading(
                says="GRPO turns from its objective by up to {0.87} rad",
                study="unbiasedness",
                where=f"estimator == 'grpo' and {_RESOLVED}",
                of="direction_error",
                take="max",
                limits=True,
            ),
        ),
        figure="unbiasedness/figure.png",
    ),
    Claim(
        name="seed-variance",
        statement="The Leave-Two-Out baseline lowers the variance of the gradient, against PKPO's recommended rule.",
        source=f"{_ABSTRACT} (found by experiment)",
        conditions="many different answers are right, a group holds more than about one success, and K is not close to n",
        readings=(
            Reading(
                says="100 of 1,000 right, n = 16, K = 4: at p = 0.2, 0.5 and 0.9 it has {0.86}, {0.56} and {0.13} of the variance",
                study="variance",
                where=f"{_AT_BASE} and {_MANY}",
                at=each("success", 0.2, 0.5, 0.9),
                of="ratio",
            ),
            Reading(
                says="at p = 0.001 and 0.05 it has {1.07} and {1.02} times the variance",
                study="variance",
                where=f"{_AT_BASE} and {_MANY}",
                at=each("success", 0.001, 0.05),
                of="ratio",
                limits=True,
            ),
            Reading(
                says="1 of 10 right: at p = 0.2, 0.5 and 0.9 it has {2.13}, {2.86} and {5.06} times the variance",
                study="variance",
                where=f"{_AT_BASE} and {_ONE}",
                at=each("success", 0.2, 0.5, 0.9),
                of="ratio",
                limits=True,
            ),
            Reading(
                says="at K = 14 of 16 it has at least {1.000} times the variance, p = 0.2",
                study="variance",
                where=f"factor == 'k' and k == 14 and estimator == 'maxpo' and {_MANY}",
                of="ratio",
                relation=">=",
                limits=True,
            ),
            Reading(
                says="in any outcome space and at any n, K and p it has from {0.01} to {142} times the variance",
                study="phase-diagram",
                of="maxpo_over_loo1",
                take=("min", "max"),
                limits=True,
            ),
        ),
        figure="phase-diagram/figure.png",
    ),
    Claim(
        name="seed-training",
        statement="Lower variance and centered advantages make training better.",
        source=f"{_ABSTRACT} (found by experiment)",
        conditions=(
            "against the rule without a baseline; the uncentered rules that have one train as well, here, exactly "
            "evaluated, and step size matters more"
        ),
        readings=(
            Reading(
                says="at the best step sizes pkpo-s has {-0.039} of maxpo's area, over the sparse starts together",
                study="learning",
                through=_area("pkpo-s"),
                of="area_estimate",
                drawn=True,
            ),
            Reading(
                says="pkpo-loo1 has {0.003}, where {0.017} would have been seen",
                study="learning",
                through=_area("pkpo-loo1"),
                of=("area_estimate", "area_smallest"),
                limits=True,
                drawn=True,
            ),
        ),
        figure="learning/figure.png",
    ),
)
