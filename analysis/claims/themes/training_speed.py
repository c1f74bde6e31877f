"""What the study of training speed found: when variance becomes rollouts, and where it does not."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ...studies.training_speed.figure import pairs_of
from ..claim import Reading, each, finding

TITLE = "Training speed"

_exact = partial(Reading, study="training-speed")
#: Times are of sampled runs; forecasts and variances are exact.
_sampled = partial(_exact, drawn=True)
_MAIN, _LARGE, _AT_N = "many correct, P = 16", "many correct, P = 64", "K = n, P = 16"
_GRADED, _NETWORK, _BEYOND, _SPARSE = "graded, P = 16", "network, P = 8", "K = 12 of n = 8", "sparse start"
_MEASURED = ("realised", "low", "high")
#: Pairs where noise is at least ten times the signal's part, and those at own best step sizes of SGD.
_NOISY = "note != note and noise_share >= 10"
_LIMITED = f"{_NOISY} and policy in ('constant', 'decaying')"


def _pair(
    says: str,
    regime: str,
    rule: str,
    *policies: str,
    of: str | tuple[str, ...] = _MEASURED,
    limits: bool = False,
) -> Reading:
    """A rule against the reference under policies of the step size."""
    return _sampled(
        says=says,
        through=pairs_of,
        where=f"regime == {regime!r} and rule == {rule!r}",
        at=each("policy", *(policies or ("constant",))),
        of=of,
        limits=limits,
    )


def _line(rule: str, numbers: str) -> Reading:
    """A line of the table: the variance at the target, then predicted and realised, constant and decaying."""
    a, b, c, d, e, f, g, h, i = numbers.split()
    return _sampled(
        says=f"| `{rule}` | {{{a}}} | {{{b}}} | {{{c}}} [{{{d}}}, {{{e}}}] | {{{f}}} | {{{g}}} [{{{h}}}, {{{i}}}] |",
        through=_in_a_line,
        where=f"rule == {rule!r}",
        of=("at_target", *(f"{name}_{policy}" for policy in ("constant", "decaying") for name in _SHOWN)),
    )


def _held(says: str, *policies: str, limits: bool = False) -> Reading:
    """In how many pairs where noise rules the interval holds the forecast, and of how many."""
    return _sampled(
        says=says,
        through=pairs_of,
        where=f"note != note and noise_share >= 10 and policy in {policies} and rule != 'again' and predicted == predicted and not rule.str.contains('PPO')",
        of="low <= predicted and predicted <= high",
        take=("sum", "rows"),
        limits=limits,
    )


_SHOWN = ("predicted", *_MEASURED)


def _in_a_line(rows: pd.DataFrame) -> pd.DataFrame:
    """Both policies of the main regime side by side, one line a rule."""
    pairs = pairs_of(rows)
    pairs = pairs[pairs.regime == _MAIN]
    one, other = (
        pairs[pairs.policy == policy].set_index("rule")[["at_target", *_SHOWN]]
        for policy in ("constant", "decaying")
    )
    joined = one.merge(
        other.drop(columns="at_target"),
        left_index=True,
        right_index=True,
        suffixes=("_constant", "_decaying"),
    )
    return joined.reset_index()


def _end(says: str, of: str, *rules: str) -> Reading:
    """Where rules stand at the end of their runs at the shared step size."""
    return _sampled(
        says=says,
        where=f"kind == 'rule' and regime == {_MAIN!r} and policy == 'constant'",
        at=each("rule", *rules),
        of=of,
    )


CLAIMS = (
    finding(
        "training-speed",
        "variance-is-speed",
        "Where noise rules, the ratio of rollouts is that of tr(H Sigma), each rule at its own best step size.",
        _line("planted", "1.16 1.16 1.18 1.14 1.21 1.16 1.14 1.09 1.21"),
        _line("again", "1.00 1.00 1.02 0.99 1.04 1.00 1.01 0.96 1.08"),
        _line("pkpo-loo1", "1.10 1.11 1.12 1.08 1.17 1.10 1.08 1.03 1.12"),
        _line("predictive", "0.93 0.94 0.98 0.93 1.04 0.94 0.94 0.89 0.97"),
        _line("replay", "0.91 0.91 0.91 0.89 0.95 0.91 0.90 0.85 0.94"),
        _line("centered-replay", "0.83 0.84 0.85 0.81 0.88 0.84 0.82 0.78 0.85"),
        _line("plug-in-floor", "1.28 1.27 1.26 1.22 1.29 1.26 1.22 1.16 1.28"),
        _sampled(
            says="the exact ratio in {6} of {6} places",
            through=pairs_of,
            where=f"{_LIMITED} and rule == 'planted'",
            of="low <= at_target and at_target <= high",
            take=("sum", "rows"),
        ),
        _sampled(
            says="and 1 in {6} of {6} for the reference against itself",
            through=pairs_of,
            where=f"{_LIMITED} and rule == 'again'",
            of="low <= 1 and 1 <= high",
            take=("sum", "rows"),
        ),
        _sampled(
            says="the interval holds the forecast in {6} of {6}",
            through=pairs_of,
            where=f"{_LIMITED} and rule == 'planted'",
            of="low <= predicted and predicted <= high",
            take=("sum", "rows"),
        ),
        _held("in {27} of {27} under SGD at own best step sizes", "constant", "decaying"),
        _held("{22} of {25} at one step size", "constant, shared", "decaying, shared"),
        _sampled(
            says="a ratio of {1.04} to {1.13} would have been seen",
            through=pairs_of,
            where=f"{_LIMITED} and realised < 3",
            of="resolvable",
            take=("min", "max"),
        ),
        _pair(
            "it is {1.20} [{1.11}, {1.28}] and, decaying, {1.21} [{1.12}, {1.29}]",
            _AT_N,
            "planted",
            "constant",
            "decaying",
        ),
        _pair("{1.09} [{1.06}, {1.14}] with graded rewards", _GRADED, "planted"),
        _pair("{1.18} [{1.14}, {1.22}] for pass@12", _BEYOND, "planted"),
    ),
    finding(
        "training-speed",
        "history",
        "The variance that a history saves is saved rollouts, most at K = n.",
        _pair("`replay` needs {0.80} [{0.76}, {0.87}] of the rollouts of `pkpo-loo1`", _AT_N, "replay"),
        _pair("{0.84} [{0.78}, {0.91}] with decaying ones", _AT_N, "replay", "decaying"),
        _pair("where {0.85} was predicted", _AT_N, "replay", of="predicted"),
        _pair("{0.91} [{0.88}, {0.95}] of MaxPO's with graded rewards", _GRADED, "replay"),
        _pair("`predictive` {0.92} [{0.88}, {0.97}]", _GRADED, "predictive"),
    ),
    finding(
        "training-speed",
        "much-variance",
        "Rules with many times the variance need many times the rollouts.",
        _pair("`pkpo-s` needs {29} [{28}, {43}] times", _MAIN, "pkpo-s"),
        _pair("times MaxPO's rollouts, {35} were predicted", _MAIN, "pkpo-s", of="predicted"),
        _pair("`chebyshev` {30} [{22}, {38}] times those of `pkpo-loo1` at K = 8", _BEYOND, "chebyshev"),
        _pair("{23} were predicted; `replay`", _BEYOND, "chebyshev", of="predicted"),
        _pair("at K = 8 needs {0.88} [{0.85}, {0.91}]", _BEYOND, "replay"),
    ),
    finding(
        "training-speed",
        "curvature",
        "With large batches the signal's curvature takes its share, and less of the variance is speed.",
        _exact(
            says="noise over signal is {3.2} instead of {14.1}",
            where="kind == 'pair' and rule == 'planted' and policy == 'constant'",
            at=each("regime", _LARGE, _MAIN),
            of="noise_share",
        ),
        _pair(
            "{1.16} times the variance are {1.10} [{1.05}, {1.15}] times the rollouts",
            _LARGE,
            "planted",
            of=("at_target", *_MEASURED),
        ),
        _pair("{1.10} predicted", _LARGE, "planted", of="predicted"),
        _pair(
            "`plug-in-floor` {1.09} [{1.04}, {1.15}] where {1.12} was predicted",
            _LARGE,
            "plug-in-floor",
            of=(*_MEASURED, "predicted"),
        ),
    ),
    finding(
        "training-speed",
        "one-step-size",
        "At one step size that all share, variance is next to no speed before the target is near.",
        _pair(
            "{1.03} [{1.02}, {1.05}] times the rollouts, {1.04} predicted",
            _MAIN,
            "planted",
            "constant, shared",
            of=(*_MEASURED, "predicted"),
        ),
        _pair(
            "`replay` {0.99} [{0.97}, {1.00}], {0.98} predicted",
            _MAIN,
            "replay",
            "constant, shared",
            of=(*_MEASURED, "predicted"),
        ),
        _pair("where {1.02} would have been seen", _MAIN, "planted", "constant, shared", of="resolvable"),
        _pair(
            "`centered-replay` takes {0.97} [{0.95}, {0.98}] where {0.97} was predicted",
            _MAIN,
            "centered-replay",
            "constant, shared",
            of=(*_MEASURED, "predicted"),
        ),
        _pair(
            "at K = n {1.11} [{1.07}, {1.14}], {1.06} predicted",
            _AT_N,
            "planted",
            "constant, shared",
            of=(*_MEASURED, "predicted"),
            limits=True,
        ),
        _pair(
            "with 64 prompts a step `centered-replay` takes {0.95} [{0.94}, {0.97}] where {0.98} was",
            _LARGE,
            "centered-replay",
            "constant, shared",
            of=(*_MEASURED, "predicted"),
            limits=True,
        ),
        conditions="a forecast that misses here does so by three to five hundredths",
    ),
    finding(
        "training-speed",
        "adam",
        "Under Adam variance is hardly speed at one step size, and about its root to all of it at the rule's own best.",
        _held("{14} of {14} under Adam at own best", "Adam"),
        _held("{14} of {14} under Adam at one step size", "Adam, shared"),
        _pair(
            "`replay` at K = n takes {0.95} [{0.92}, {0.97}] there, {0.95} predicted",
            _AT_N,
            "replay",
            "Adam, shared",
            of=(*_MEASURED, "predicted"),
        ),
        _pair("at one step size {1.03} [{1.01}, {1.04}]", _MAIN, "planted", "Adam, shared"),
        _pair("at the own best {1.17} [{1.06}, {1.35}]", _MAIN, "planted", "Adam"),
        _pair(
            "`plug-in-floor` {1.25} [{1.17}, {1.37}], {1.27} predicted",
            _MAIN,
            "plug-in-floor",
            "Adam",
            of=(*_MEASURED, "predicted"),
        ),
        _pair(
            "`replay` {0.87} [{0.82}, {0.93}], {0.89} predicted",
            _AT_N,
            "replay",
            "Adam",
            of=(*_MEASURED, "predicted"),
        ),
        _pair(
            "planted {1.12} [{1.05}, {1.21}], {1.13} predicted",
            _AT_N,
            "planted",
            "Adam",
            of=(*_MEASURED, "predicted"),
        ),
        _pair("{1.03} predicted at one step size", _MAIN, "planted", "Adam, shared", of="predicted"),
    ),
    finding(
        "training-speed",
        "sparse-start",
        "At a sparse start noise costs nothing: unbiased rules with a baseline take the same steps.",
        _pair("`pkpo-loo1` {1.000} [{0.990}, {1.001}]", _SPARSE, "pkpo-loo1"),
        _pair("`predictive` {1.000} [{1.000}, {1.000}] times MaxPO's", _SPARSE, "predictive"),
        _pair("a ratio of {1.05} would have been seen", _SPARSE, "pkpo-loo1", of="resolvable"),
        _pair("against itself under other random numbers is {0.75} [{0.51}, {1.13}]", _SPARSE, "again"),
    ),
    finding(
        "training-speed",
        "network",
        "Of the network nothing can be said below a ratio of 1.2.",
        _pair(
            "the planted rule {1.03} [{0.90}, {1.21}] at one step size, and {1.25} is what could have been seen",
            _NETWORK,
            "planted",
            "constant, shared",
            of=(*_MEASURED, "resolvable"),
        ),
    ),
    finding(
        "training-speed",
        "loops",
        "Four clipped epochs on the same rollouts need fewer of these; a lag of eight steps does not arrive.",
        _pair(
            "{0.86} [{0.81}, {0.90}] of the rollouts at the own best step size",
            _MAIN,
            "maxpo, PPO clip, 4 epochs",
        ),
        _pair(
            "{1.05} [{1.03}, {1.07}] at a quarter of the shared one for each epoch",
            _MAIN,
            "maxpo, PPO clip, 4 epochs",
            "constant, shared",
        ),
        _end("ends at a max@4 of {0.876}", "max_at_k", "maxpo, PPO clip, lag 8"),
    ),
    finding(
        "training-speed",
        "elsewhere",
        "Rules that climb something else end near the same max@K here, with fewer ways to be right.",
        _end(
            "`grpo`, `rloo` and `maxrl` end at a max@4 of {0.894}, {0.891} and {0.901}",
            "max_at_k",
            "grpo",
            "rloo",
            "maxrl",
        ),
        _end("MaxPO at {0.899}", "max_at_k", "maxpo"),
        _end(
            "pass@1 of {0.441}, {0.437} and {0.446} against {0.441}",
            "mean_reward",
            "grpo",
            "rloo",
            "maxrl",
            "maxpo",
        ),
        _end(
            "{75}, {72} and {83} effective correct outcomes against {98}",
            "diversity",
            "grpo",
            "rloo",
            "maxrl",
            "maxpo",
        ),
    ),
    finding(
        "training-speed",
        "stationary",
        "The loss that a constant step size leaves is tr(H S)/2, to first order in the step size.",
        _exact(
            says="{1.005} for MaxPO, {1.006} for `pkpo-loo1` and {1.016} for `pkpo-s`",
            where="kind == 'stationary' and policy == 'one parameter' and x == 0.02",
            at=each("rule", "maxpo", "pkpo-loo1", "pkpo-s"),
            of="exact / predicted",
        ),
        _exact(
            says="{1.011}, {1.013} and {1.042} at 0.05",
            where="kind == 'stationary' and policy == 'one parameter' and x == 0.05",
            at=each("rule", "maxpo", "pkpo-loo1", "pkpo-s"),
            of="exact / predicted",
        ),
        _sampled(
            says="at most {1.9} standard errors from the exact chain, `pkpo-s` at the largest size apart",
            where="kind == 'stationary' and policy == 'one parameter' and not (rule == 'pkpo-s' and x == 0.4)",
            of="abs(realised - exact) / error",
            take="max",
        ),
        _sampled(
            says="{1.03}, {1.02} and {1.07} times the closed form with three parameters",
            where="kind == 'stationary' and policy == 'three parameters' and x == 0.02",
            at=each("rule", "maxpo", "pkpo-loo1", "pkpo-s"),
            of="realised / predicted",
        ),
        figure="stationary",
    ),
)
