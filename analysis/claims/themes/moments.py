"""What the studies of the mean found: unbiasedness, spectrum, specimens, and monte-carlo, which checks them."""

from __future__ import annotations

from functools import partial

import pandas as pd

import maxpo_lab as ml

from ...studies.monte_carlo import bounds
from ..claim import Reading, each, finding

TITLE = "Bias, and what is climbed"

_biases = partial(Reading, study="unbiasedness")
_RESOLVED = "bias_resolution < 1e-6"
_UNBIASED = tuple(name for name in ml.list_estimators() if ml.get_estimator(name).claims.unbiased)
_CENTERED = tuple(name for name in ml.list_estimators() if ml.get_estimator(name).claims.centered)
_OFF = ("tailrl", "entropic", "verl-grpo-passk", "pods", "grpo-lead", "ei-group-mean", "rs-grpo", "opmd")

_UNBIASEDNESS = (
    finding(
        "unbiasedness",
        "maxpo-alone",
        "Only maxpo and canonical, the same numbers, are unbiased for max@K and centered.",
        _biases(
            says="|sum A| is at most {8.0e-15} of K max |R| for every rule claimed centered",
            where=f"estimator in {_CENTERED}",
            of="advantage_sum",
            take="max",
            relation="<=",
        ),
        _biases(
            says="in the worst group sum A reaches {32}, {1.3} and {8.3} times K max |R| for `pkpo-s`, `pkpo-loo` and `pkpo-loo1`, and {1.0} for `predictive`",
            at=each("estimator", "pkpo-s", "pkpo-loo", "pkpo-loo1", "predictive"),
            of="advantage_sum",
            take="max",
        ),
    ),
    finding(
        "unbiasedness",
        "claims-of-unbiasedness",
        "No rule claimed unbiased is biased on any specimen.",
        _biases(
            says="No rule claimed unbiased shows a relative bias above 1e-10, or {3}% of its cell's resolution where that is larger",
            where=f"estimator in {_UNBIASED} and relative_bias > 1e-10",
            of="relative_bias / bias_resolution",
            take="max",
        ),
        _biases(
            says="{1,430} of their {22,740} cells are unresolved, {66} of them of the six max@K rules",
            where=f"estimator in {_UNBIASED} and undefined.isna()",
            at=(
                f"not {_RESOLVED}",
                "",
                f"not {_RESOLVED} and objective == 'max@k'",
            ),
            of="n",
            take="rows",
        ),
    ),
    finding(
        "unbiasedness",
        "other-scales",
        "Some rules have the exact direction at a scale that depends on the policy, or on n and K alone.",
        _biases(
            says="at a scale between {1.0} and {23} where",
            where=f"estimator == 'nemo-grpo' and specimen != 'cliff' and {_RESOLVED}",
            of="scale",
            take=("min", "max"),
        ),
        _biases(
            says="and down to {0.01} on the cliff's returns",
            where=f"estimator == 'nemo-grpo' and specimen == 'cliff' and {_RESOLVED}",
            of="scale",
            take="min",
        ),
        _biases(
            says="`w-reinforce` is {1.1} times the gradient of pass@1",
            where=f"estimator == 'w-reinforce' and {_RESOLVED}",
            of="scale",
        ),
        _biases(
            says="`krpo` is {8.4} to {23} times the gradient, set by n",
            where=f"estimator == 'krpo' and {_RESOLVED}",
            of="scale",
            take=("min", "max"),
        ),
        _biases(
            says="which is up to {116} times the gradient where",
            where=f"estimator == 'chebyshev' and k > n and {_RESOLVED}",
            of="relative_bias",
            take="max",
        ),
    ),
    finding(
        "unbiasedness",
        "other-directions",
        "Rules that divide by a statistic of their own group turn the gradient where there are more than two rewards.",
        _biases(
            says="`grpo` ({0.87} rad off the gradient of the mean reward), `tailrl` ({0.84}), `entropic` ({0.53}), `verl-grpo-passk` ({0.92}), `pods` ({0.93}), `grpo-lead` ({0.87}), `ei-group-mean` ({0.82}), `rs-grpo` ({0.36}), `opmd` ({0.24})",
            where=_RESOLVED,
            at=each("estimator", "grpo", *_OFF),
            of="direction_error",
            take="max",
        ),
        _biases(
            says="`rloo-reweighted` and `leader` ({2.1} and {2.0} rad); `riskpo` {1.3}",
            where=_RESOLVED,
            at=each("estimator", "rloo-reweighted", "leader", "riskpo"),
            of="direction_error",
            take="max",
        ),
    ),
)


def _range_of_grpo(rows: pd.DataFrame) -> pd.DataFrame:
    """The largest over the least weight that GRPO gives a prompt, at n = 8."""
    curve = rows.query("n == 8 and k == 4 and quantity == 'f' and estimator == 'grpo'").value
    return pd.DataFrame({"ratio": [curve.max() / curve.min()]})


_spectrum = partial(Reading, study="spectrum", of="value")
_AT_8_4 = "n == 8 and k == 4"

_SPECTRUM = (
    finding(
        "spectrum",
        "mixtures",
        "Several rules that are called by pass@K climb a mixture of others.",
        _spectrum(
            says="(n = 8, K = 4: {2/49}, {24/49} and {30/49} at 2, 3 and 4)",
            where=f"{_AT_8_4} and quantity == 'weight' and estimator == 'rloo-reweighted'",
            at=each("at", 2, 3, 4),
        ),
        _spectrum(
            says="({1.05}, {-1.36}, {0.77}, {-0.15} at 4 to 7)",
            where=f"{_AT_8_4} and quantity == 'weight' and estimator == 'passk-training'",
            at=each("at", 4, 5, 6, 7),
        ),
    ),
    finding(
        "spectrum",
        "grpo",
        "GRPO weighs prompts by a curve that is highest at either end.",
        _spectrum(
            says="{2.5} at either end, {1.74} at p = 0.5",
            where=f"{_AT_8_4} and quantity == 'f' and estimator == 'grpo'",
            take=("max", "min"),
        ),
        _spectrum(
            says="varies by a factor of {1.4}",
            through=_range_of_grpo,
            of="ratio",
        ),
    ),
    finding(
        "spectrum",
        "l-statistics",
        "The L-statistics climb exactly what they are called after.",
        _spectrum(
            says="`TopM:2` of 4 is `{2} pass@3 - pass@4`",
            where=f"{_AT_8_4} and quantity == 'weight' and estimator == 'l-statistic:TopM:2' and at == 3",
        ),
    ),
)

_specimens = partial(Reading, study="specimens")
_TABLE = {
    "bandit, 10 of 100 arms": ("bandit, many correct", "100", 2, 64, "5e-13"),
    "bandit, 1 of 10": ("bandit, one correct", "10", 2, 64, "1e-13"),
    "prompt of a batch of 32": ("prompt of a batch", "3,200", 2, 64, "1e-13"),
    "lock, 4 wheels": ("lock", "16", 2, 64, "1e-13"),
    "maze, one goal": ("maze", "124", 2, 64, "2e-13"),
    "chain, base 5": ("chain", "300", 2, 64, "9e-14"),
    "FrozenLake": ("lake", "64", 2, 64, "4e-13"),
    "transformer on a chain": ("transformer", "17,572", 2, 64, "1e-13"),
    "bandit, graded": ("bandit, graded", "100", 5, 64, "8e-15"),
    "maze, four goals": ("maze, graded", "64", 5, 64, "7e-15"),
    "GRU on a lock, partial credit": ("gru, credit", "10,204", 5, 64, "1e-14"),
    "chain, credit for steps": ("chain, credit", "300", 8, 16, "1e-15"),
    "CliffWalking, 20 steps": ("cliff", "192", 49, 4, "1e-14"),
}


def _line(line: str, facts: tuple[str, str, int, int, str]) -> tuple[Reading, ...]:
    """A line of the table of the specimens."""
    name, parameters, levels, largest, bias = facts
    own = f"specimen == {name!r}"
    return (
        _specimens(
            says=f"| {line} | {{{parameters}}} | {{{levels}}} | {largest} |",
            where=own,
            of=("parameters", "levels"),
        ),
        _specimens(
            says=f"| {levels} | {{{largest}}} | 64 | {bias} |",
            where=f"{own} and black_box == 'exact'",
            of="n",
            take="max",
        ),
        _specimens(
            says=f"| {largest} | {{64}} | {{{bias}}} |", where=own, of=("n", "relative_bias"), take="max"
        ),
    )


_SPECIMENS = (
    finding(
        "specimens",
        "exact-everywhere",
        "Thirteen specimens have exact moments, and no rule claimed unbiased is biased on one.",
        *(reading for line, facts in _TABLE.items() for reading in _line(line, facts)),
        _specimens(says="the worst of {1,405} relative biases is 5e-13", of="relative_bias", take="rows"),
        _specimens(says="relative biases is {5e-13}", of="relative_bias", take="max"),
        _specimens(
            says="a factor of {200} below what rounding",
            where="specimen == 'bandit, many correct' and estimator == 'pkpo-s' and n == 64",
            of="bias_resolution / relative_bias",
        ),
        _specimens(
            says="5 levels and n = 64 are {814,385} count states",
            where="levels == 5 and n == 64",
            of="count_states",
        ),
        _specimens(
            says="8 levels and n = 32 already {15} million",
            where="levels == 8 and n == 32",
            of="count_states",
        ),
    ),
)

_sampled = partial(Reading, study="monte-carlo")
_MANY = "part == 'detection' and specimen == 'bandit, many correct'"

_MONTE_CARLO = (
    finding(
        "monte-carlo",
        "agreement",
        "No sample contradicts an exact moment.",
        _sampled(says="The largest of {4,257} z-scores", where="part == 'agreement'", of="z", take="rows"),
        _sampled(
            says="z-scores of the agreement is {3.4}", where="part == 'agreement'", of="abs(z)", take="max"
        ),
    ),
    finding(
        "monte-carlo",
        "rate",
        "The error falls as one over the root of the groups, and the intervals are honest.",
        _sampled(
            says="{16} slopes between {-0.54} and {-0.47}",
            through=bounds.slopes,
            of="slope",
            take=("rows", "min", "max"),
        ),
        _sampled(
            says="each with a standard error of {0.024}",
            through=bounds.slopes,
            of="standard_error",
        ),
        _sampled(says="their mean is {-0.505}", through=bounds.slopes, of="slope", take="mean"),
        _sampled(
            says="The errors are on average {0.98} of what was foretold",
            where="part == 'error'",
            of="error / error_expected",
            take="mean",
        ),
        _sampled(
            says="The intervals hold {94.7}% of the exact values**, {91.2}% to {96.8}% by cell",
            through=bounds.coverage,
            of="coverage",
            take=("mean", "min", "max"),
        ),
        _sampled(says="({838} and {780})", where="part == 'coverage'", of=("above", "below"), take="sum"),
    ),
    finding(
        "monte-carlo",
        "detection",
        "A rule that is slightly off needs a study that few would run.",
        _sampled(
            says="needs {540} groups of 16 at p = 0.2, {75,000} at p = 0.0017",
            where=f"{_MANY} and n == 16 and estimator == 'batch-mean'",
            of="needed",
            at=("success == 0.2", "abs(success - 0.0017) < 0.0001"),
        ),
        _sampled(
            says="and {38,000} at n = 1024",
            where=f"{_MANY} and n == 1024 and success == 0.2 and estimator == 'batch-mean'",
            of="needed",
        ),
        _sampled(
            says="`rloo-reweighted` needs {870} at p = 0.2 and {3} billion at p = 0.0017",
            where=f"{_MANY} and n == 16 and estimator == 'rloo-reweighted'",
            of="needed",
            at=("success == 0.2", "abs(success - 0.0017) < 0.0001"),
        ),
        _sampled(
            says="its bias is {3} in 10,000",
            where=f"{_MANY} and n == 16 and estimator == 'rloo-reweighted' and abs(success - 0.0017) < 0.0001",
            of="10000 * abs(exact - 1)",
        ),
        _sampled(
            says="saw the bias in {409} of {832} cases",
            where="part == 'detection'",
            of=("seen", "repetitions"),
            take="sum",
        ),
        _sampled(
            says="takes {19,000} groups of 16 at p = 0.2 and {3} million at p = 0.0017",
            where=f"{_MANY} and n == 16 and estimator == 'maxpo'",
            of="needed",
            at=("success == 0.2", "abs(success - 0.0017) < 0.0001"),
        ),
        _sampled(
            says="on its way from {0.1} to far above 1",
            where=f"{_MANY} and n == 16 and estimator == 'leader'",
            of="exact",
            take="min",
        ),
        figure="bias",
    ),
)

CLAIMS = (*_UNBIASEDNESS, *_SPECTRUM, *_SPECIMENS, *_MONTE_CARLO)
