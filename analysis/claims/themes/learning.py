"""What the study of learning found: which rule trains max@K better, and what turns away from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from ...measure.resampling import Interval
from ...studies.learning.comparison import CENTERED, POOLED, compare, places
from ..claim import Reading, each, finding

TITLE = "Training"

_exact = partial(Reading, study="learning")
#: What is trained is sampled: a run of other seeds has other curves and areas.
_learning = partial(_exact, drawn=True)
_BY_CHOICE = each("choice", "shared", "best")
_PROBABILITY = ("p", "p_low", "p_high")
_DIFFERENCE = ("area", "area_low", "area_high")
_MANY, _MAZE, _NETWORK = "bandit, many correct", "maze, graded", "transformer"
_BASE_SHARED = "kind == 'curve' and condition == 'base' and choice == 'shared'"
_MEAN = ("mean_reward", "mean_reward_low", "mean_reward_high")
_TOP = ("max_at_k", "max_at_k_low", "max_at_k_high")


def _against(
    other: str, rows_of: str = "k > 0", *, pooled: bool = False
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """MaxPO's areas against a rule's, as in the study's table: specimens of the base design together, or each."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        runs = rows.query(f"kind == 'run' and rule in {[CENTERED, other]!r} and {rows_of}", engine="python")
        found = []
        chosen = (place for place in places(runs) if (place[0] == POOLED) == pooled)
        for specimen, condition, own in chosen:
            for choice, both in own.groupby("choice"):
                compared = compare(both[both.rule == CENTERED], both[both.rule == other])
                if compared:
                    numbers = (*_numbers(compared.probability), *_numbers(compared.difference))
                    found.append((specimen, condition, choice, *numbers))
        return pd.DataFrame(found, columns=["specimen", "condition", "choice", *_PROBABILITY, *_DIFFERENCE])

    return through


def _numbers(found: Interval) -> tuple[float, float, float]:
    return float(found.estimate), float(found.low), float(found.high)


def _pooled(other: str, says: str, at: tuple[str, ...] = _BY_CHOICE) -> Reading:
    """MaxPO against a rule, all specimens of the base design together."""
    return _learning(
        says=says,
        through=_against(other, "condition == 'base'", pooled=True),
        at=at,
        of=_PROBABILITY if at != _BY_CHOICE else (*_PROBABILITY, *_DIFFERENCE),
    )


def _line(other: str, numbers: str) -> Reading:
    """A line of the table: P and the area at the shared step size, and at the best of the grid."""
    given = numbers.split()
    cells = [
        f"{{{a}}} [{{{b}}}, {{{c}}}]" for a, b, c in zip(given[::3], given[1::3], given[2::3], strict=True)
    ]
    return _pooled(other, f"| `{other}` | {' | '.join(cells)} |")


def _area(
    says: str, other: str, *cases: tuple[str, str, str], of: str | tuple[str, ...] = _DIFFERENCE
) -> Reading:
    """The difference of the areas against a rule: specimen, condition and choice of step size."""
    specimens = sorted({specimen for specimen, _, _ in cases})
    conditions = sorted({condition for _, condition, _ in cases})
    return _learning(
        says=says,
        through=_against(other, f"specimen in {specimens!r} and condition in {conditions!r}"),
        at=tuple(f"specimen == {s!r} and condition == {c!r} and choice == {step!r}" for s, c, step in cases),
        of=of,
    )


def _ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The last points of the curves."""
    curves = rows[rows.kind == "curve"]
    return curves[curves.step == curves.groupby("specimen").step.transform("max")]


def _annealed(says: str, specimen: str, *schedules: str, of: tuple[str, ...] = _MEAN) -> Reading:
    """Ends of MaxPO under schedules of K, at the shared step size."""
    return _learning(
        says=says,
        through=_ends,
        where=f"condition == 'annealing' and choice == 'shared' and rule == 'maxpo' and specimen == {specimen!r}",
        at=each("schedule", *schedules),
        of=of,
    )


def _signal(says: str, specimen: str, step: int, of: str, *rules: str) -> Reading:
    return _learning(
        says=says,
        where=f"{_BASE_SHARED} and specimen == {specimen!r} and step == {step}",
        at=each("rule", *rules),
        of=of,
    )


CLAIMS = (
    finding(
        "learning",
        "without-baseline",
        "MaxPO trains better than the uncentered rule without a baseline.",
        _line("pkpo-s", "0.62 0.59 0.66 0.039 0.023 0.055 0.60 0.57 0.63 0.066 0.040 0.094"),
        _learning(
            says="in {16} of its {38} places",
            through=_against("pkpo-s"),
            of="area_low > 0",
            take=("sum", "rows"),
        ),
        _area(
            "most on the chain ({0.16} [{0.12}, {0.20}]), the lock ({0.18} [{0.06}, {0.32}]) and the maze at K = 8 "
            "({0.20} [{0.12}, {0.28}])",
            "pkpo-s",
            ("chain", "base", "best"),
            ("lock", "base", "best"),
            (_MAZE, "K = 8", "best"),
        ),
        _learning(
            says="the interval of the difference below 0 by more than {0.001}",
            through=_against("pkpo-s"),
            of="-area_high",
            take="max",
            relation="<=",
        ),
        figure="improvement",
    ),
    finding(
        "learning",
        "with-baseline",
        "Leaving two out trains no better than uncentered rules that have a baseline.",
        _line("pkpo-loo", "0.50 0.48 0.52 -0.001 -0.010 0.009 0.50 0.48 0.53 -0.003 -0.014 0.007"),
        _line("pkpo-loo1", "0.48 0.46 0.50 -0.007 -0.018 0.002 0.48 0.46 0.51 -0.013 -0.025 -0.003"),
        _line("predictive", "0.49 0.48 0.50 -0.005 -0.013 0.002 0.49 0.48 0.51 -0.004 -0.012 0.002"),
        _area(
            "on the maze under Adam ({0.083} [{0.015}, {0.150}]) and at K = 2 ({0.090} [{0.020}, {0.155}], shared)",
            "pkpo-loo1",
            (_MAZE, "Adam", "shared"),
            (_MAZE, "K = 2", "shared"),
        ),
        _area(
            "on the many-correct bandit under Adam ({-0.066} [{-0.072}, {-0.061}], shared) and on the transformer "
            "({-0.057} [{-0.096}, {-0.020}], best",
            "pkpo-loo1",
            (_MANY, "Adam", "shared"),
            (_NETWORK, "base", "best"),
        ),
        _area(
            "on the bandit under Adam by {0.218} at the best step sizes",
            "pkpo-loo",
            (_MANY, "Adam", "best"),
            of="area",
        ),
        _area("behind by {0.012} at the shared one", "pkpo-loo", (_MANY, "Adam", "shared"), of="-area"),
        figure="improvement",
    ),
    finding(
        "learning",
        "signal",
        "What the phase diagram says of variance is there along training, and too small to show in curves.",
        _exact(
            says="{0.0132} for MaxPO and {0.0140} for `pkpo-loo1` on the bandit",
            where=f"{_BASE_SHARED} and specimen == {_MANY!r} and step == 0",
            at=each("rule", "maxpo", "pkpo-loo1"),
            of="snr",
        ),
        _exact(
            says="on the bandit, {1.06} times as much",
            where=f"{_BASE_SHARED} and specimen == {_MANY!r} and step == 0 and rule == 'pkpo-loo1'",
            over=f"{_BASE_SHARED} and specimen == {_MANY!r} and step == 0 and rule == 'maxpo'",
            of="snr",
        ),
        _signal(
            "by step 100 the ten correct arms have become an effective {2.4}",
            _MANY,
            100,
            "diversity",
            "maxpo",
        ),
        _signal("and {1.0} at step 225", _MANY, 225, "diversity", "maxpo"),
        _signal("is {0.06} for MaxPO and {0.29} for `pkpo-loo1`", _MANY, 225, "snr", "maxpo", "pkpo-loo1"),
        _signal("at step 50 ({0.79} against {0.40}", _MAZE, 50, "snr", "maxpo", "pkpo-loo1"),
        _area("their areas {0.0001} apart", "pkpo-loo1", (_MANY, "moderate start", "shared"), of="-area"),
        figure="snr",
    ),
    finding(
        "learning",
        "step-size",
        "The step size is the larger effect: rules that differ in length alone are level at their best ones.",
        Reading(
            says="is MaxPO divided by {21.3} (n = 16, K = 4)",
            study="unbiasedness",
            where="estimator == 'pkpo-mean-centered' and n == 16 and k == 4",
            of="1 / scale",
        ),
        _pooled("maxrl", "P for MaxPO {0.20} [{0.17}, {0.25}]", at=("choice == 'shared'",)),
        _pooled("maxrl", "at the best ones ({0.53} [{0.51}, {0.55}])", at=("choice == 'best'",)),
        figure="step_size",
    ),
    finding(
        "learning",
        "mean-reward",
        "Rules for the mean reward turn away from max@K where rewards are graded or parameters shared.",
        _line("grpo", "0.62 0.60 0.65 0.065 0.051 0.079 0.59 0.57 0.62 0.056 0.041 0.071"),
        _signal("to a cosine of {0.08} with the gradient of max@4 by step 12", _MAZE, 12, "cosine", "grpo"),
        _learning(
            says="its max@4 ends at {0.31} [{0.30}, {0.37}]; MaxPO's at {0.81} [{0.66}, {0.97}], "
            "`predictive`'s at {0.88} [{0.72}, {1.00}]",
            through=_ends,
            where=f"condition == 'base' and choice == 'shared' and specimen == {_MAZE!r}",
            at=each("rule", "grpo", "maxpo", "predictive"),
            of=_TOP,
        ),
        _learning(
            says="cosines of GRPO, MaxRL and RLOO fall to {-0.23}, {-0.15} and {-0.15}",
            where=f"{_BASE_SHARED} and specimen == {_NETWORK!r}",
            at=each("rule", "grpo", "maxrl", "rloo"),
            of="cosine",
            take="min",
        ),
        figure="cosine",
    ),
    finding(
        "learning",
        "exact-gradient",
        "Sampled training stays below the exact gradient where there is something to be explored.",
        _exact(
            says="{1.00} against",
            through=_ends,
            where=f"condition == 'base' and specimen in {[_MAZE, _NETWORK]!r} and rule == 'exact'",
            of="max_at_k",
            take="min",
        ),
        _learning(
            says="against at most {0.88} on the maze and {0.50} on the transformer",
            through=_ends,
            where="condition == 'base' and rule != 'exact'",
            at=each("specimen", _MAZE, _NETWORK),
            of="max_at_k",
            take="max",
        ),
    ),
    finding(
        "learning",
        "annealing",
        "Annealing K raises the mean reward of a policy that was trained at a large K.",
        _annealed("from {0.85} [{0.81}, {0.89}] to", _MANY, "K = 8"),
        _annealed("to {1.00} on the bandit", _MANY, "K = 8, then 1", of=("mean_reward",)),
        _annealed("its max@8 kept at {1.00}", _MANY, "K = 8, then 1", of=("max_at_k",)),
        _annealed(
            "from {0.65} [{0.53}, {0.75}] to {0.78} [{0.62}, {0.94}] for MaxPO",
            _MAZE,
            "K = 8",
            "K = 8, then 1",
        ),
        _annealed("max@8 stops at {0.78}", _MAZE, "K = 8, then 1", of=("max_at_k",)),
        _annealed("where K = 8 goes on to {0.88} [{0.72}, {1.00}]", _MAZE, "K = 8", of=_TOP),
        _annealed("is still at {0.07} [{0.00}, {0.38}] on the bandit", _MANY, "K = 1"),
        _annealed("near the annealed one on the maze ({0.71} [{0.51}, {0.87}])", _MAZE, "K = 1"),
        figure="annealing",
    ),
)
