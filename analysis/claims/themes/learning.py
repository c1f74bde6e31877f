"""What the study of learning found: what the rule decides, what is explored and kept, and what loops do."""

from __future__ import annotations

from functools import partial

from ..claim import Reading, each, finding
from ..runs import AREA, against, apart, first_differs, kept

TITLE = "Training"

_exact = partial(Reading, study="learning")
#: What is trained is sampled: a run of other seeds has other curves and areas.
_learning = partial(_exact, drawn=True)
_TIMES = ("times", "times_low", "times_high", "times_smallest")
_MANY, _MAZE, _NETWORK = "bandit, many correct", "maze, graded", "transformer"
_DIVERSE = "bandit, 100 of 1,000"


def _line(rule: str, numbers: str) -> Reading:
    """A line of the table of sparse starts: area and smallest at the shared step size, then at the best."""
    given = numbers.split()
    cells = [
        f"{{{a}}} [{{{b}}}, {{{c}}}] | {{{d}}}"
        for a, b, c, d in zip(given[::4], given[1::4], given[2::4], given[3::4], strict=True)
    ]
    return _learning(
        says=f"| `{rule}` | {' | '.join(cells)} |",
        through=against("rules", rule),
        where=f"specimen == 'all' and rule == {rule!r}",
        at=each("choice", "shared", "best"),
        of=AREA,
    )


def _runs(section: str, specimen: str, choice: str) -> str:
    return f"kind == 'run' and section == {section!r} and specimen == {specimen!r} and choice == {choice!r}"


def _difference(
    says: str, rule: str, choice: str, *specimens: str, of: str | tuple[str, ...] = AREA[:3]
) -> Reading:
    """The area of a rule less MaxPO's, on these specimens."""
    return _learning(
        says=says,
        through=against("rules", rule),
        where=f"rule == {rule!r} and choice == {choice!r}",
        at=each("specimen", *specimens),
        of=of,
    )


def _found(says: str, specimen: str, rule: str, *choices: str) -> Reading:
    """The share of runs in which every prompt has earned its highest reward once."""
    return _learning(
        says=says,
        where=f"kind == 'run' and section == 'rules' and specimen == {specimen!r} and rule == {rule!r}",
        at=each("choice", *choices),
        of="all_solved == all_solved",
        take="mean",
    )


def _law(says: str, specimen: str) -> Reading:
    """The share in which a policy of the start would have solved all prompts within the budget."""
    where = f"kind == 'law' and specimen == {specimen!r} and rollouts == budget"
    return _exact(says=says, where=where, of="all_solved")


def _ends(says: str, specimen: str, of: str) -> Reading:
    """Means at the end by K, at the step sizes that are best for max@8."""
    rules = (("rloo", 1), ("maxpo", 2), ("maxpo", 4), ("maxpo", 8), ("pkpo-loo1", 16))
    return _learning(
        says=says,
        where=f"{_runs('trade-off', specimen, 'best')} and annealed == 0",
        at=tuple(f"rule == {rule!r} and k == {k}" for rule, k in rules),
        of=of,
        take="mean",
    )


def _mean(says: str, where: str, *columns: str, at: tuple[str, ...] = ("",)) -> Reading:
    """Means over runs, of columns or expressions of them."""
    return _learning(says=says, where=where, at=at, of=columns, take="mean")


_ALIKE = ("bandit, many correct", "bandit, one correct", "lock", "prompts")
_BASED = "rule != 'pkpo-s'"

CLAIMS = (
    finding(
        "learning",
        "sparse-start",
        "From a sparse start rules for max@K with a baseline learn as much as MaxPO, to two hundredths of the area.",
        _line("pkpo-loo1", "0.0015 -0.0074 0.0105 0.0127 0.0029 -0.0086 0.0145 0.0165"),
        _line("predictive", "0.0024 -0.0062 0.0110 0.0122 0.0057 -0.0018 0.0132 0.0107"),
        _line("replay", "-0.0023 -0.0098 0.0053 0.0108 0.0093 -0.0001 0.0188 0.0134"),
        _line("centered-replay", "-0.0016 -0.0036 0.0005 0.0029 0.0025 -0.0014 0.0064 0.0056"),
        _line("plug-in-floor", "0.0007 -0.0013 0.0027 0.0029 0.0044 0.0010 0.0079 0.0049"),
        _learning(
            says="no rule but `pkpo-s` is apart from MaxPO by more than {0.0012}, and {0.0004} would have been seen",
            through=against("rules"),
            where=f"specimen in {_ALIKE!r} and choice == 'best' and {_BASED}",
            of=("abs(area_estimate)", "area_smallest"),
            take="max",
        ),
        _mean(
            "the first success comes after {1073} rollouts, {4.2}% of the budget, and the area lacks {4.1}%",
            f"{_runs('rules', 'lock', 'best')} and rule == 'maxpo'",
            "first_success",
            "first_success / budget",
            "1 - area",
        ),
        _learning(
            says="`pkpo-loo1` needs {0.962} [{0.938}, {0.987}] times MaxPO's rollouts there, and {1.037} "
            "would have been seen",
            through=against("rules", "pkpo-loo1"),
            where=f"specimen == {_DIVERSE!r} and choice == 'shared'",
            of=_TIMES,
        ),
        _difference(
            "`pkpo-loo1` is ahead on the chain by {0.025} [{0.006}, {0.045}] and on the transformer by "
            "{0.067} [{0.019}, {0.114}], and apart by {-0.072} [{-0.136}, {-0.007}] on the maze",
            "pkpo-loo1",
            "best",
            "chain",
            _NETWORK,
            _MAZE,
        ),
        _difference(
            "at the shared step size these are {-0.001} [{-0.010}, {0.007}], {0.037} [{-0.009}, {0.082}] "
            "and {-0.027} [{-0.070}, {0.016}]",
            "pkpo-loo1",
            "shared",
            "chain",
            _NETWORK,
            _MAZE,
        ),
    ),
    finding(
        "learning",
        "without-baseline",
        "The rule without a baseline learns less from a sparse start.",
        _line("pkpo-s", "-0.0369 -0.0494 -0.0245 0.0177 -0.0392 -0.0533 -0.0252 0.0200"),
        _difference(
            "most on the maze ({-0.131} [{-0.202}, {-0.060}]) and the chain ({-0.110} [{-0.139}, {-0.081}])",
            "pkpo-s",
            "best",
            _MAZE,
            "chain",
        ),
        _difference(
            "it is ahead by {0.031} [{0.022}, {0.040}] at the shared step size", "pkpo-s", "shared", _DIVERSE
        ),
    ),
    finding(
        "learning",
        "step-size",
        "At a shared step size the scale of a rule decides; at the best ones of each nothing of it is left on 0/1 rewards.",
        _line("maxrl", "0.0955 0.0859 0.1051 0.0137 -0.0031 -0.0107 0.0044 0.0107"),
        _line("rloo", "-0.3875 -0.3996 -0.3755 0.0172 -0.0278 -0.0369 -0.0188 0.0128"),
        _difference(
            "RLOO is behind by {0.75}, {0.41} and {0.30} on the two bandits and the lock",
            "rloo",
            "shared",
            "bandit, many correct",
            "bandit, one correct",
            "lock",
            of="-area_estimate",
        ),
        figure="step_size",
    ),
    finding(
        "learning",
        "mean-reward",
        "A rule for the mean reward turns away from max@K where rewards are graded.",
        _line("grpo", "-0.0628 -0.0734 -0.0521 0.0152 -0.0555 -0.0671 -0.0439 0.0166"),
        _difference(
            "GRPO is behind by {0.34} [{0.28}, {0.40}] on the maze",
            "grpo",
            "best",
            _MAZE,
            of=("-area_estimate", "-area_high", "-area_low"),
        ),
        _learning(
            says="its mean step falls to a cosine of {-0.19} with the gradient of max@4",
            where=f"kind == 'curve' and section == 'rules' and specimen == {_MAZE!r} and rule == 'grpo'",
            of="cosine",
            take="min",
        ),
        _mean(
            "ends at a max@4 of {0.34}, where MaxPO has {0.73}",
            _runs("rules", _MAZE, "best"),
            "max_at_k",
            at=each("rule", "grpo", "maxpo"),
        ),
        figure="cosine",
    ),
    finding(
        "learning",
        "first-success",
        "Where prompts share nothing, the first success is luck that the rule has no part in.",
        _mean(
            "after {1137}, {1037} and {1073} rollouts",
            "kind == 'run' and section == 'rules' and choice == 'best' and rule == 'maxpo'",
            "first_success",
            at=each("specimen", "bandit, many correct", "bandit, one correct", "lock"),
        ),
        _exact(
            says="a policy that stays at the start takes {1065} on average",
            where="kind == 'expected' and specimen == 'lock'",
            of="first_success",
        ),
        _learning(
            says="differs between rules on {0} of these seeds",
            through=first_differs,
            where=f"specimen in {_ALIKE!r}",
            of="differs",
            take="sum",
        ),
        figure="first_success",
    ),
    finding(
        "learning",
        "explored",
        "What is learned first makes the rest rarer: training explores less than the start where lesser rewards are found.",
        _law("finds the goal of 1 in {100.0}% of the runs", _MAZE),
        _found(
            "MaxPO in {92}% at the shared step size and {55}% at its best",
            _MAZE,
            "maxpo",
            "shared",
            "best",
        ),
        _found("`pkpo-loo1` in {83}% and {83}%", _MAZE, "pkpo-loo1", "shared", "best"),
        _found("GRPO in {33}%", _MAZE, "grpo", "best"),
        _found(
            "on the chain MaxPO solves all prompts in {100}% at the shared step size and {87}% at its best",
            "chain",
            "maxpo",
            "shared",
            "best",
        ),
        _law("where the start alone has {98}%", "chain"),
        _found("on the transformer MaxPO does in {0}%", _NETWORK, "maxpo", "shared"),
        _law("where the start has {89}%", _NETWORK),
        figure="first_success",
    ),
    finding(
        "learning",
        "diversity",
        "No rule keeps the correct answers that the exact gradient keeps.",
        _exact(
            says="the exact gradient keeps all {100}",
            where=f"{_runs('rules', _DIVERSE, 'shared')} and rule == 'exact'",
            of="diversity",
        ),
        _mean(
            "MaxPO has an effective {3.28} left when it arrives and {1.37} at the end",
            f"{_runs('rules', _DIVERSE, 'shared')} and rule == 'maxpo'",
            "diversity_at_target",
            "diversity",
        ),
        _learning(
            says="of the rules that arrive none has more than {1.80} at the end, at either step size",
            through=kept,
            where=f"specimen == {_DIVERSE!r} and arrived > 0.9",
            of="diversity",
            take="max",
        ),
        _learning(
            says="{0.53} [{-0.15}, {1.20}] more than `pkpo-loo1` on arrival, and {0.96} would have been seen",
            through=apart("diversity_at_target", ("maxpo", 4), ("pkpo-loo1", 4)),
            where=f"section == 'rules' and specimen == {_DIVERSE!r} and choice == 'shared'",
            of=("estimate", "low", "high", "smallest"),
        ),
        figure="diversity",
    ),
    finding(
        "learning",
        "trade-off",
        "On the maze a K of up to 4 gains both pass@1 and max@8; beyond it max@8 is bought with pass@1.",
        _ends(
            "from {0.59} (K = 1) through {0.68}, {0.73} and {0.78} (MaxPO, K = 2, 4, 8) to {0.86} "
            "(`pkpo-loo1`, K = 16)",
            _MAZE,
            "max_at_k",
        ),
        _ends(
            "and pass@1 is {0.59}, {0.67}, {0.69}, {0.60} and {0.51}",
            _MAZE,
            "mean_reward",
        ),
        _mean(
            "`chebyshev` at K = 32 = 2n ends at {0.50} and {0.48}",
            f"{_runs('trade-off', _MAZE, 'best')} and rule == 'chebyshev'",
            "max_at_k",
            "mean_reward",
        ),
        _mean(
            "has a pass@1 of {0.55} and a max@8 of {1.00} at the one, {0.99} and {1.00} at the other",
            "kind == 'run' and section == 'trade-off' and specimen == 'chain' and rule == 'pkpo-loo1'",
            "mean_reward",
            "max_at_k",
            at=each("choice", "best", "best for pass@1"),
        ),
        _mean(
            "annealed from 8 to 1, MaxPO has {0.72} and {0.72} there",
            f"{_runs('trade-off', _MAZE, 'best')} and rule == 'maxpo' and annealed == 1",
            "max_at_k",
            "mean_reward",
        ),
        _learning(
            says="K = 16 less K = 4 is {0.13} [{0.07}, {0.19}] in max@8",
            through=apart("max_at_k", ("pkpo-loo1", 16), ("maxpo", 4)),
            where=f"section == 'trade-off' and specimen == {_MAZE!r} and choice == 'best'",
            of=("estimate", "low", "high"),
        ),
        _learning(
            says="and {-0.19} [{-0.25}, {-0.13}] in pass@1",
            through=apart("mean_reward", ("pkpo-loo1", 16), ("maxpo", 4)),
            where=f"section == 'trade-off' and specimen == {_MAZE!r} and choice == 'best'",
            of=("estimate", "low", "high"),
        ),
        figure="trade_off",
    ),
)
