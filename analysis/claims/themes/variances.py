"""What the studies of variance found: variance, phase-diagram, efficiency, decomposition."""

from __future__ import annotations

from functools import partial

from ..claim import Reading, each, finding

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

CLAIMS = (*_VARIANCE,)
