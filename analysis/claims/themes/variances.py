"""What the studies of variance found: variance, phase-diagram, efficiency, decomposition."""

from __future__ import annotations

from functools import partial

from ..claim import Reading, each, finding, near
from ..tables import numbers_of, paired

TITLE = "Variance"

_variance = partial(Reading, study="variance", of="ratio")
_SHOWN = (0.001, 0.05, 0.2, 0.5, 0.9)


def _line(name: str, *numbers: str, factor: str = "training") -> Reading:
    """A line of the study's tables: the ratio of maxpo at the rates that are shown."""
    cells = " | ".join(f"{{{each_}}}" for each_ in numbers)
    return _variance(
        says=f"| {name} | {cells} |",
        where=f"factor == {factor!r} and specimen == {name!r} and estimator == 'maxpo'",
        at=each("success", *_SHOWN[: len(numbers)]),
    )


_MANY = "estimator == 'maxpo' and specimen == 'many-correct'"
_ONE = "estimator == 'maxpo' and specimen == 'one-correct'"
_TRAINED = "factor == 'training' and estimator == 'maxpo'"

_VARIANCE = (
    finding(
        "variance",
        "many-right",
        "Where many different answers are right, leaving two out costs a little while success is rare and wins where it is not.",
        _line("many-correct", "1.07", "1.02", "0.86", "0.56", "0.13", factor="success"),
        _variance(
            says="wins by {8} times at p = 0.9",
            where="factor == 'success' and estimator == 'pkpo-loo1' and specimen == 'many-correct' and success == 0.9",
            over="factor == 'success' and estimator == 'maxpo' and specimen == 'many-correct' and success == 0.9",
        ),
        _variance(
            says="Larger groups help it ({0.80} at n = 1024, p = 0.2)",
            where=f"factor == 'n' and n == 1024 and {_MANY}",
        ),
        _variance(
            says="larger K takes the gain away (above {1} from K = 14 of 16)",
            where=f"factor == 'k' and k >= 14 and {_MANY}",
            take="min",
            relation=">=",
        ),
    ),
    finding(
        "variance",
        "one-right",
        "Where one answer is right it has more variance, at every success rate.",
        _line("one-correct", "1.05", "1.06", "2.13", "2.86", "5.06", factor="success"),
        _variance(
            says="At p = 0.2 the ratio grows with the group from {2.1} at n = 16 to {3.9} at n = 1024.",
            where=f"factor == 'n' and {_ONE}",
            at=each("n", 16, 1024),
        ),
    ),
    finding(
        "variance",
        "training",
        "Training takes the gain away where it concentrates on few answers; episodes fall on either side, by how many succeed.",
        _line("maze", "1.08", "1.04", "0.92", "0.66", "0.20"),
        _line("prompt of a batch", "1.06", "1.02", "0.94", "1.11", "1.81"),
        _line("lake", "1.03", "0.98", "0.86", "0.64"),
        _line("lock", "1.04", "1.16", "4.44", "4.59", "8.03"),
        _line("chain", "1.06", "1.21", "5.53", "5.70", "10.5"),
        _line("transformer", "1.03", "1.12", "3.98", "4.25", "7.43"),
        _variance(
            says="from p = 0.4 on, where few of the ten are left, the ratio is above {1} again",
            where=f"{_TRAINED} and specimen == 'prompt of a batch' and success > 0.4",
            take="min",
            relation=">=",
        ),
        _variance(
            says="({1.8} at p = 0.9)",
            where=f"{_TRAINED} and specimen == 'prompt of a batch' and success == 0.9",
        ),
        _variance(
            says="Held even by hand (*many-correct*, above) it would fall to {0.13}",
            where=f"factor == 'success' and success == 0.9 and {_MANY}",
        ),
        _variance(
            says="{0.66} and {0.64} at p = 0.5",
            where=f"{_TRAINED} and success == 0.5",
            at=("specimen == 'maze'", "specimen == 'lake'"),
        ),
        _variance(
            says="{0.03} at p = 0.99 in the maze",
            where=f"{_TRAINED} and specimen == 'maze' and success == 0.99",
        ),
        _variance(
            says="it loses at every p, by {4} to {6} times at p = 0.2",
            where=f"{_TRAINED} and specimen in ('lock', 'chain', 'transformer') and success == 0.2",
            take=("min", "max"),
        ),
        _variance(
            says="and {70} to {97} at p = 0.99",
            where=f"{_TRAINED} and specimen in ('lock', 'chain', 'transformer') and success == 0.99",
            take=("min", "max"),
        ),
        figure="training",
    ),
)


_phase = partial(Reading, study="phase-diagram")
_BANDITS = ("10 of 100", "100 of 1,000", "100 of 1,000, Zipf", "2,000 of 20,000", "2,000 of 20,000, Zipf")
_TEN = f"space in {_BANDITS}"
_ONE_OF_TEN = "space == '1 of 10'"
_crossing = partial(
    Reading, study="phase-diagram", through=numbers_of("phase-diagram", "outcomes", "n", "K"), of="number"
)
_SIZES = tuple(
    f"n == {n} and K == {k}" for n, k in ((8, 2), (8, 4), (16, 2), (16, 6), (16, 15), (64, 2), (64, 22))
)
_WINS = "column == 'maxpo below pkpo-loo1'"

_PHASE = (
    finding(
        "phase-diagram",
        "break-even",
        "Leaving two out wins above a break-even success rate that falls with n and rises with K / n.",
        _crossing(
            says="| MaxPO below `pkpo-loo1` | p > {0.13} | p > {0.16} | p > {0.062} | p > {0.071} | p > {0.53} | p > {0.015} | p > {0.018} |",
            where=f"outcomes == '100 of 1,000' and {_WINS}",
            at=_SIZES,
        ),
        _crossing(
            says="| `predictive` below MaxPO | p < {0.47} | p < {0.30} | p < {0.44} | p < {0.17} | p < {0.56} | p < {0.50} | p < {0.044} |",
            where="outcomes == '100 of 1,000' and column == 'predictive below maxpo'",
            at=_SIZES,
        ),
        _crossing(
            says="MaxPO wins in a window (p from {0.065} to {0.65} at K = 2, {0.12} to {0.24} at K = 6)",
            where=f"outcomes == 'prompt of a batch' and {_WINS}",
            at=tuple(f"K == {k} and place == {place}" for k in (2, 6) for place in (0, 1)),
        ),
        _crossing(
            says="(break-even at p = {0.10} and {0.03} for K = 2, rising with K / n)",
            where=f"K == 2 and {_WINS}",
            at=each("outcomes", "maze", "lake"),
        ),
        _crossing(
            says="(n = 64, p from {0.012} to {0.22})",
            where=f"outcomes == '1 of 10' and n == 64 and K == 2 and {_WINS}",
            at=each("place", 0, 1),
        ),
    ),
    finding(
        "phase-diagram",
        "many-right",
        "With ten or more right answers the gain is large and the loss small.",
        _phase(
            says="up to a factor of {97} at p = 0.99",
            where=f"{_TEN} and success == 0.99",
            of="1 / maxpo_over_loo1",
            take="max",
        ),
        _phase(
            says="1/(n-1) where success is rare ({14}%, {7}% and {2}% for n = 8, 16 and 64)",
            where=f"{_TEN} and success == 0.0001",
            of="maxpo_over_loo1 - 1",
            at=each("n", 8, 16, 64),
            take="max",
        ),
        _phase(
            says="at worst {15}%, {10}% and {7}%, at K = n - 1",
            where=f"{_TEN} and k == n - 1",
            of="maxpo_over_loo1 - 1",
            at=each("n", 8, 16, 64),
            take="max",
        ),
    ),
    finding(
        "phase-diagram",
        "one-right",
        "With one right answer leaving two out raises the variance, but for a narrow window at small K.",
        _phase(says="by a factor of {142} at worst", where=_ONE_OF_TEN, of="maxpo_over_loo1", take="max"),
        _phase(
            says="K = 2, by {10}% at most (n = 64",
            where=f"{_ONE_OF_TEN} and n == 64 and k == 2",
            of="1 - maxpo_over_loo1",
            take="max",
        ),
        _phase(
            says="and by {0.2}% at n = 16",
            where=f"{_ONE_OF_TEN} and n == 16",
            of="1 - maxpo_over_loo1",
            take="max",
        ),
        _phase(
            says="K = 6 at n = 64, by {2}% (p about",
            where=f"{_ONE_OF_TEN} and n == 64 and k == 6",
            of="1 - maxpo_over_loo1",
            take="max",
        ),
        _phase(
            says="(p about {0.017} to {0.07})",
            where=f"{_ONE_OF_TEN} and n == 64 and k == 6 and maxpo_over_loo1 < 1",
            of="success",
            take=("min", "max"),
        ),
    ),
    finding(
        "phase-diagram",
        "predictive",
        "The predictive baseline is never far from the better of the other two below p = 1/2.",
        _phase(
            says="by up to {30} times there", where=_ONE_OF_TEN, of="1 / predictive_over_maxpo", take="max"
        ),
        _phase(says="it loses by up to {14} times", of="predictive_over_maxpo", take="max"),
        _phase(
            says="has at least {0.82} of the efficiency of the better of the two at every p < 1/2",
            where=f"{_TEN} and success < 0.5",
            of="efficiency_predictive / (efficiency_loo1 * (efficiency_loo1 > efficiency_maxpo) + efficiency_maxpo * (efficiency_loo1 <= efficiency_maxpo))",
            take="min",
        ),
        figure="predictive",
    ),
    finding(
        "phase-diagram",
        "unresolved",
        "Most points of the diagram are resolved.",
        _phase(says="{2,259} of 12,572", where="maxpo_over_loo1.isna()", of="n", take="rows"),
    ),
)

_efficiency = partial(Reading, study="efficiency", of="efficiency")
_MANY_P = "curve == 'p' and space == '100 of 1,000'"
_ONE_P = "curve == 'p' and space == '1 of 10'"
_THREE = (*near("success", 0.001, within=0.01), *near("success", 0.2, 0.91, within=0.004))

_EFFICIENCY = (
    finding(
        "efficiency",
        "no-rule-is-best",
        "No unbiased rule has the least variance at every success rate.",
        _efficiency(
            says="`pkpo-loo1` falls from {1.00} (p = 0.001) to {0.80} (0.2) and {0.10} (0.91); MaxPO goes {0.94}, {0.93}, {0.84}; `predictive` {0.96}, {0.93}, {0.57}.",
            where=f"{_MANY_P} and k == 4",
            at=tuple(
                f"estimator == {rule!r} and {p}"
                for rule in ("pkpo-loo1", "maxpo", "predictive")
                for p in _THREE
            ),
        ),
    ),
    finding(
        "efficiency",
        "price-of-centering",
        "Where success is rare MaxPO has 1 - 1/n of the floor, the price of being centered.",
        _efficiency(
            says="`n (1 - efficiency)` is {0.998} for every n from 4 to 1024",
            where="curve == 'n' and estimator == 'maxpo'",
            of="n * (1 - efficiency)",
            take="mean",
        ),
        figure="rare",
    ),
    finding(
        "efficiency",
        "large-k",
        "At K near n MaxPO loses its advantage.",
        _efficiency(
            says="({0.76} at p = 0.2 with 100 of 1,000) and `pkpo-loo1` and `predictive` are alike ({0.80})",
            where=f"{_MANY_P} and k == 15 and abs(success - 0.2) < 0.001",
            at=each("estimator", "maxpo", "pkpo-loo1"),
        ),
        _efficiency(
            says="One correct answer**: `pkpo-loo1` is the best of the rules at every p for K >= 4 (at K = 2 another is ahead by up to {0.015} near p = 0.14)",
            through=paired(
                "efficiency", "predictive", "pkpo-loo1", keys=("curve", "space", "n", "k", "success")
            ),
            where=f"{_ONE_P} and k == 2",
            of="difference",
            take="max",
        ),
        _efficiency(
            says="({0.61} at p = 0.5, K = 4, MaxPO {0.21})",
            where=f"{_ONE_P} and k == 4 and abs(success - 0.5) < 0.003",
            at=each("estimator", "pkpo-loo1", "maxpo"),
        ),
    ),
)

_decomposition = partial(Reading, study="decomposition")
_ZIPF = "space == '100 of 1,000, Zipf'"
_ONE_ZIPF = "space == '1 of 10, Zipf'"

_DECOMPOSITION = (
    finding(
        "decomposition",
        "within-counts",
        "Where many answers are right most of the variance is which of them came up.",
        _decomposition(
            says="the counts make up {5}% to {8}% of it",
            where=f"{_ZIPF} and abs(success - 0.01) < 0.001",
            of="between / trace_covariance",
            take=("min", "max"),
        ),
        _decomposition(
            says="{0.13} of `pkpo-loo1`'s variance at p = 0.92",
            through=paired("trace_covariance", "maxpo", "pkpo-loo1", keys=("space", "success")),
            where=f"{_ZIPF} and abs(success - 0.92) < 0.005",
            of="ratio",
        ),
    ),
    finding(
        "decomposition",
        "across",
        "Where many answers are right most of the variance is across the gradient.",
        _decomposition(
            says="at p = 0.2 about {1}%.",
            where=f"{_ZIPF} and abs(success - 0.2) < 0.01 and estimator in ('pkpo-s', 'pkpo-loo', 'pkpo-loo1', 'maxpo', 'predictive')",
            of="between / trace_covariance",
            take="mean",
        ),
        _decomposition(
            says="it is across the gradient ({87}% to {95}%)",
            where=f"{_ZIPF} and success > 0.009 and success < 0.21 and estimator in ('pkpo-s', 'pkpo-loo', 'pkpo-loo1', 'maxpo', 'predictive')",
            of="1 - along",
            take=("min", "max"),
        ),
    ),
    finding(
        "decomposition",
        "one-right",
        "Where one answer is right all of pkpo-loo1's variance is between counts, and a baseline over the failures adds some within.",
        _decomposition(
            says="MaxPO's share between them is {95}% at p = 0.01, {52}% at 0.2, {85}% at 0.5",
            where=f"{_ONE_ZIPF} and estimator == 'maxpo'",
            of="between / trace_covariance",
            at=near("success", 0.01, 0.2, 0.5, within=0.04),
        ),
    ),
    finding(
        "decomposition",
        "centering",
        "Most of what centering is credited with is had without it.",
        _decomposition(
            says="{38}% (p = 0.01), {88}% (0.2), {99}% (0.5)",
            where=f"{_ZIPF} and estimator == 'maxpo'",
            of="removed",
            at=near("success", 0.01, 0.2, 0.5, within=0.04),
        ),
        _decomposition(
            says="more than {99.99}% (0.9)",
            where=f"{_ZIPF} and estimator == 'maxpo' and abs(success - 0.9084) < 0.001",
            of="removed",
            relation=">=",
        ),
        _decomposition(
            says="which is not centered, removes {41}%, {87}%, {98}% and {99.999}%",
            where=f"{_ZIPF} and estimator == 'pkpo-loo1'",
            of="removed",
            at=(*near("success", 0.01, 0.2, 0.5, within=0.04), *near("success", 0.9084, within=0.001)),
        ),
    ),
    finding(
        "decomposition",
        "dead-groups",
        "At frequent success a max@K rule has more dead groups than a rule for the mean, as its objective asks.",
        _decomposition(
            says="({85}% at p = 0.01)",
            where=f"{_ZIPF} and abs(success - 0.01) < 0.001",
            of="dead_group_probability",
            take="max",
        ),
        _decomposition(
            says="{95}% and {82}% at p = 0.9, where GRPO has {22}%",
            where=f"{_ZIPF} and abs(success - 0.9084) < 0.001",
            of="dead_group_probability",
            at=each("estimator", "maxpo", "pkpo-loo1", "grpo"),
        ),
    ),
)

CLAIMS = (*_VARIANCE, *_PHASE, *_EFFICIENCY, *_DECOMPOSITION)
