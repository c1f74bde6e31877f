"""``RewardLevels``: three ways to make them, against plain sums, and what they refuse."""

from __future__ import annotations

from fractions import Fraction
from math import fsum

import numpy as np
import pytest
from brute_force import Policy, random_policy, softmax_policy
from checks import EPS

import maxpo_lab as ml

LOGITS, REWARDS = (0.3, -1.2, 2.0, 0.0, -4.0, 1.1), (0.0, 1.0, 0.0, 0.5, 1.0, -2.0)
POLICIES = {
    "softmax": softmax_policy(LOGITS, REWARDS),
    "scores of 2 parameters": random_policy(REWARDS, dimension=2, seed=1),
    "more parameters than outcomes": random_policy((0.0, 1.0, 1.0), dimension=7, seed=2),
    "one outcome a level": random_policy((3.0, -1.0, 2.0, 0.0), dimension=3, seed=3),
}


def expected_levels(policy: Policy) -> dict[str, np.ndarray]:
    """Level by level, from the definitions of the symbols."""
    values = sorted(set(policy.rewards.tolist()))
    made: dict[str, list] = {
        "values": values,
        "probabilities": [],
        "means": [],
        "seconds": [],
        "covariances": [],
    }
    for value in values:
        members = [i for i, r in enumerate(policy.rewards) if r == value]
        mass = fsum(policy.probabilities[i] for i in members)
        share = [policy.probabilities[i] / mass for i in members]
        mean = sum(w * policy.scores[i] for w, i in zip(share, members, strict=True))
        made["probabilities"].append(mass)
        made["means"].append(mean)
        made["seconds"].append(
            fsum(w * float(policy.scores[i] @ policy.scores[i]) for w, i in zip(share, members, strict=True))
        )
        off = [policy.scores[i] - mean for i in members]
        made["covariances"].append(sum(w * np.outer(x, x) for w, x in zip(share, off, strict=True)))
    return {key: np.array(value) for key, value in made.items()}


def rounding(policy: Policy, power: int) -> float:
    """Sums of M outcomes of scores to this power: 4 (M + 8) roundings of the largest."""
    largest = float(np.linalg.norm(policy.scores, axis=1).max())
    return 4 * (len(policy.rewards) + 8) * EPS * max(largest, 1.0) ** power


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_from_outcomes_is_the_definition(policy: Policy) -> None:
    levels, want = policy.levels(), expected_levels(policy)
    assert levels.values.tolist() == want["values"].tolist()
    np.testing.assert_allclose(levels.probabilities, want["probabilities"], rtol=8 * EPS, atol=0)
    np.testing.assert_allclose(levels.mean_scores, want["means"], rtol=0, atol=rounding(policy, 1))
    np.testing.assert_allclose(levels.score_second_moments, want["seconds"], rtol=0, atol=rounding(policy, 2))
    np.testing.assert_allclose(
        levels.score_covariances, want["covariances"], rtol=0, atol=rounding(policy, 2)
    )
    spread = np.trace(want["covariances"], axis1=1, axis2=2)
    np.testing.assert_allclose(levels.score_variances, spread, rtol=0, atol=2 * rounding(policy, 2))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("covariances", ["full", "projected"])
def test_projected_covariances_are_seen_from_the_mean_scores(policy: Policy, covariances: str) -> None:
    levels, want = policy.levels(covariances), expected_levels(policy)
    g = want["means"]
    projected = np.array([g @ cov @ g.T for cov in want["covariances"]])
    tolerance = 4 * rounding(policy, 4)
    np.testing.assert_allclose(levels.projected_covariances, projected, rtol=0, atol=tolerance)
    full = policy.levels("full")
    direct = ml.RewardLevels(
        full.values, full.probabilities, full.mean_scores, full.score_second_moments, full.score_covariances
    )
    np.testing.assert_allclose(direct.projected_covariances, projected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "logits", [LOGITS, tuple(100 + x for x in LOGITS), (0.0,) * 6, (5.0, -9, 0, 3, 1, 0)]
)
def test_from_softmax_is_from_outcomes(logits: tuple[float, ...]) -> None:
    policy = softmax_policy(logits, REWARDS)
    made = ml.RewardLevels.from_softmax(logits, REWARDS, covariances="full")
    want = policy.levels()
    for field in ("values", "probabilities", "mean_scores", "score_second_moments", "score_covariances"):
        got, truth = getattr(made, field), getattr(want, field)
        # exp carries eps |logit| of its argument into each probability.
        tolerance = rounding(policy, 2) + 8 * EPS * np.ptp(logits)
        np.testing.assert_allclose(got, truth, rtol=0, atol=tolerance, err_msg=field)
    g = made.mean_scores
    np.testing.assert_allclose(
        made.projected_covariances, g @ made.score_covariances @ g.T, rtol=0, atol=rounding(policy, 4)
    )


def test_which_covariances_are_held() -> None:
    held = {"projected": (False, True), "full": (True, True), None: (False, False)}
    policy = POLICIES["softmax"]
    for form, expected in held.items():
        for levels in (policy.levels(form), ml.RewardLevels.from_softmax(LOGITS, REWARDS, covariances=form)):
            got = levels.score_covariances is not None, levels.projected_covariances is not None
            assert got == expected


def test_outcomes_that_cannot_occur_are_left_out() -> None:
    policy = random_policy((0.0, 1.0, 1.0), seed=4)
    padded = Policy(
        np.append(policy.probabilities, [0.0, 0.0]),
        np.vstack([policy.scores, [[9.0, 9.0], [-1.0, 5.0]]]),
        np.append(policy.rewards, [1.0, 7.0]),
    )
    for field in ("values", "probabilities", "mean_scores", "score_second_moments", "score_covariances"):
        np.testing.assert_array_equal(getattr(padded.levels(), field), getattr(policy.levels(), field))
    made = ml.RewardLevels.from_softmax((0.0, 0.0, -2000.0, -2000.0), (0.0, 1.0, 1.0, 7.0))
    assert made.values.tolist() == [0.0, 1.0]
    assert made.probabilities.tolist() == [0.5, 0.5]
    assert made.mean_scores.tolist() == [[0.5, -0.5, 0, 0], [-0.5, 0.5, 0, 0]]
    assert made.score_variances.tolist() == [0, 0]


@pytest.mark.parametrize("success", [1e-3, 1e-12, 1e-100, 1 - 1e-12])
def test_from_softmax_keeps_relative_accuracy(success: float) -> None:
    # Logits of 0 and log p; the exact policy of these float logits is exp(logit) to eps |logit|.
    logit = float(np.log(success) - np.log1p(-success))
    made = ml.RewardLevels.from_softmax((0.0, logit), (0.0, 1.0))
    odds = Fraction(float(np.exp(-abs(logit))))  # the rarer over the other one
    rare = odds / (1 + odds)
    p = [1 - rare, rare] if logit < 0 else [rare, 1 - rare]
    # G_0 = (p_1, -p_1), G_1 = (-p_0, p_0): single arms, so the spread inside a level is 0 to eps |G|^2.
    assert (made.score_variances <= 4 * EPS * np.sum(made.mean_scores**2, axis=1)).all()
    means = [[p[1], -p[1]], [-p[0], p[0]]]
    tolerance = (16 + abs(logit)) * EPS
    for got, want in zip(made.probabilities, p, strict=True):
        assert abs(Fraction(got) / want - 1) <= tolerance
    for got, want in zip(made.mean_scores.ravel(), [x for row in means for x in row], strict=True):
        assert abs(Fraction(got) / want - 1) <= tolerance


@pytest.mark.parametrize("success", [1e-4, 1e-5, 1e-6, 1e-9, 1e-12])
def test_from_outcomes_takes_rare_success(success: float) -> None:
    probabilities = np.array([0.3 * (1 - success), 0.7 * (1 - success), 0.4 * success, 0.6 * success])
    probabilities /= probabilities.sum()
    policy = Policy(probabilities, np.eye(4) - probabilities, np.array([0.0, 0.0, 1.0, 1.0]))
    levels = policy.levels()
    gradient = ml.max_at_k_gradient(levels, 2)
    exact = ml.max_at_k_gradient(ml.RewardLevels.from_softmax(np.log(probabilities), policy.rewards), 2)
    # Scores of size 1, of M = 4 outcomes, times K p.
    np.testing.assert_allclose(gradient, exact, rtol=0, atol=64 * EPS * 2 * success)


@pytest.mark.parametrize("winner", [1 - 1e-6, 1 - 1e-9, 1 - 1e-13])
def test_from_softmax_takes_a_policy_that_has_converged(winner: float) -> None:
    # One good arm of 20 holds almost all the probability: its mean score is about 1 - winner.
    logits = np.log(np.append(np.full(19, (1 - winner) / 19), winner))
    levels = ml.RewardLevels.from_softmax(logits, np.arange(20) == 19)
    assert levels.score_variances[1] <= 64 * EPS
    rare = levels.probabilities[0]
    norm = rare * np.sqrt(1 + 1 / 19)  # G_1 = (1 - p) (1, -1/19, ..., -1/19)
    assert abs(np.linalg.norm(levels.mean_scores[1]) / norm - 1) <= 64 * EPS


def test_from_outcomes_takes_a_policy_of_one_level() -> None:
    policy = softmax_policy((0.1, -0.7, 0.9), (1.0, 1.0, 1.0))
    levels = policy.levels()
    assert levels.values.tolist() == [1.0]
    # The mean of scores of size 1: rounding alone.
    np.testing.assert_allclose(levels.mean_scores, np.zeros((1, 3)), rtol=0, atol=rounding(policy, 1))
    assert ml.RewardLevels.from_softmax((0.1, -0.7, 0.9), (1.0, 1.0, 1.0)).mean_scores.tolist() == [[0, 0, 0]]


def test_what_is_held_is_a_read_only_copy() -> None:
    p = np.array([0.5, 0.5])
    levels = ml.RewardLevels([0, 1], p, [[-1.0], [1.0]], [1, 1])
    p[0] = 0.9
    assert levels.probabilities.tolist() == [0.5, 0.5]
    assert levels.values.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        levels.probabilities[0] = 1.0


def summed(policy: Policy, extra: bool = True) -> dict[str, np.ndarray]:
    """What an oracle adds up over the outcomes, level by level, without ever dividing."""
    values = np.unique(policy.rewards)
    members = policy.rewards == values[:, None]
    mass = members @ policy.probabilities
    weighted = members * policy.probabilities
    sums = {
        "values": values,
        "probabilities": mass,
        "scores": weighted @ policy.scores,
        "squared_norms": weighted @ np.sum(policy.scores**2, axis=1),
    }
    if extra:
        seen = policy.scores @ (sums["scores"] / mass[:, None]).T
        sums["second_moments"] = np.einsum("lo,oi,oj->lij", weighted, policy.scores, policy.scores)
        sums["projected"] = np.einsum("lo,oi,oj->lij", weighted, seen, seen)
    return sums


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_from_sums_is_from_outcomes(policy: Policy) -> None:
    made, want = ml.RewardLevels.from_sums(**summed(policy)), policy.levels()
    assert made.values.tolist() == want.values.tolist()
    for field, power in (
        ("probabilities", 0),
        ("mean_scores", 1),
        ("score_second_moments", 2),
        ("score_covariances", 2),
        ("projected_covariances", 4),
    ):
        # Divided by p_l, which is at least 0.01 here, and second moments less their means.
        tolerance = 8 * rounding(policy, power) / want.probabilities.min()
        np.testing.assert_allclose(
            getattr(made, field), getattr(want, field), rtol=0, atol=tolerance, err_msg=field
        )
    bare = ml.RewardLevels.from_sums(**summed(policy, extra=False))
    assert bare.score_covariances is None
    assert bare.projected_covariances is None


def test_from_sums_leaves_out_what_cannot_occur() -> None:
    policy = POLICIES["softmax"]
    sums = {key: np.asarray(value) for key, value in summed(policy, extra=False).items()}
    padded = {key: np.concatenate([value, np.zeros_like(value[:1])]) for key, value in sums.items()}
    padded["values"][-1] = 9.0
    made, want = ml.RewardLevels.from_sums(**padded), ml.RewardLevels.from_sums(**sums)
    assert made.values.tolist() == want.values.tolist()
    np.testing.assert_array_equal(made.mean_scores, want.mean_scores)


def counting_chain(steps: int, chance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mass, first and second score moments per number of heads in so many tosses, by forward recursion.

    Each toss adds 1 - q or -q to the score, the one parameter being the logit of q.
    """
    m, u, w = np.ones(1), np.zeros(1), np.zeros(1)
    for _ in range(steps):
        nexts = []
        for q, e in ((1 - chance, -chance), (chance, 1 - chance)):
            nexts.append((q * m, q * (u + m * e), q * (w + 2 * e * u + m * e**2)))
        tails, heads = nexts
        m, u, w = (np.append(a, 0.0) + np.append(0.0, b) for a, b in zip(tails, heads, strict=True))
    return m, u, w


@pytest.mark.parametrize("steps", [20, 400, 1500])
@pytest.mark.parametrize("chance", [0.5, 0.3, 1e-3])
@pytest.mark.parametrize("reward", ["parity", "exactly the mean", "count in ten classes"])
def test_from_sums_takes_a_long_recursion(steps: int, chance: float, reward: str) -> None:
    """Levels that know nothing of the parameter, or whose score is 0 throughout, are left with rounding."""
    m, u, w = counting_chain(steps, chance)
    count = np.arange(steps + 1)
    levels = {
        "parity": count % 2,
        "exactly the mean": (count == round(steps * chance)) * 1,
        "count in ten classes": count * 10 // (steps + 1),
    }[reward]
    member = levels == np.unique(levels)[:, None]
    made = ml.RewardLevels.from_sums(
        np.unique(levels),
        member @ m,
        (member @ u)[:, None],
        member @ w,
        second_moments=(member @ w)[:, None, None],
    )
    # Each step rounds what is carried, of the size of the whole score, sqrt(T q (1-q)), a few times.
    size = np.sqrt(steps * chance * (1 - chance))
    kept = np.isin(np.unique(levels), made.values)
    mass = member[kept] @ m
    score = count - steps * chance
    tolerance = 16 * steps * EPS
    exact = member[kept] @ (m * score)
    assert (np.abs(mass * made.mean_scores[:, 0] - exact) <= tolerance * size).all()
    exact = member[kept] @ (m * score**2)
    assert (np.abs(mass * made.score_second_moments - exact) <= tolerance * size**2).all()
    assert (made.score_variances >= 0).all()


SUMS = {
    "values": [0.0, 1.0],
    "probabilities": [0.75, 0.25],
    "scores": [[-0.75], [0.75]],
    "squared_norms": [1.5, 2.5],
}


@pytest.mark.parametrize(
    ("change", "error", "fragments"),
    [
        ({"probabilities": [1.25, -0.25]}, ValueError, ["probabilities[1] is -0.25", "at least 0"]),
        ({"probabilities": [0.5, 0.25]}, ValueError, ["probabilities sum to", "0.75"]),
        ({"values": [0.0]}, ValueError, ["values", "(1,)", "(2,)"]),
        ({"values": [1.0, 0.0]}, ValueError, ["values", "strictly ascending"]),
        ({"scores": [[-0.75], [0.7]]}, ValueError, ["scores do not average to 0"]),
        ({"scores": [-0.75, 0.75]}, ValueError, ["scores", "expected 2"]),
        ({"scores": [[0.0]]}, ValueError, ["scores", "1 rows"]),
        ({"squared_norms": [1.5, np.nan]}, ValueError, ["squared_norms[1] is nan"]),
        ({"squared_norms": [1.5]}, ValueError, ["squared_norms", "(1,)", "(2,)"]),
        ({"squared_norms": [0.5, 2.5]}, ValueError, ["score_second_moments[0]", "at least"]),
        ({"second_moments": np.ones((2, 2))}, ValueError, ["second_moments", "(2, 2)", "(2, 1, 1)"]),
        ({"projected": np.ones((2, 1, 1))}, ValueError, ["projected", "(2, 1, 1)", "(2, 2, 2)"]),
    ],
)
def test_refuses_sums(change: dict, error: type[Exception], fragments: list[str]) -> None:
    assert ml.RewardLevels.from_sums(**SUMS).mean_scores.tolist() == [[-1.0], [3.0]]
    with pytest.raises(error) as raised:
        ml.RewardLevels.from_sums(**{**SUMS, **change})
    for fragment in fragments:
        assert fragment in str(raised.value)


BASE = {
    "values": [0.0, 1.0],
    "probabilities": [0.75, 0.25],
    "mean_scores": [[-1.0, 0.0], [3.0, 0.0]],
    "score_second_moments": [2.0, 10.0],
}
UNIT = np.array([np.diag([0.5, 0.5]), np.diag([0.25, 0.75])])


@pytest.mark.parametrize(
    ("change", "error", "fragments"),
    [
        ({"values": [1.0, 0.0]}, ValueError, ["values [1.0, 0.0]", "strictly ascending", "sort"]),
        ({"values": [1.0, 1.0]}, ValueError, ["values", "strictly ascending", "merge equal"]),
        ({"values": [0.0, np.nan]}, ValueError, ["values[1] is nan", "finite"]),
        ({"values": [0.0, np.inf]}, ValueError, ["values[1] is inf", "finite"]),
        ({"values": [[0.0, 1.0]]}, ValueError, ["values", "(1, 2)", "expected 1"]),
        ({"values": ["a", "b"]}, TypeError, ["values", "<U1", "real numbers"]),
        ({"values": [1j, 1.0]}, TypeError, ["values", "complex128", "real numbers"]),
        ({"values": []}, ValueError, ["values", "empty", "at least one level"]),
        (
            {"probabilities": [0.5, 0.6]},
            ValueError,
            ["probabilities sum to", "1.1", "divide them by their sum"],
        ),
        ({"probabilities": [1.5, -0.5]}, ValueError, ["probabilities[1] is -0.5", "positive"]),
        ({"probabilities": [1.0, 0.0]}, ValueError, ["probabilities[1] is 0.0", "leave out"]),
        ({"probabilities": [1.0]}, ValueError, ["probabilities", "(1,)", "(2,)"]),
        ({"mean_scores": [[-1.0, 0.0], [2.0, 0.0]]}, ValueError, ["mean_scores do not average to 0", "0.25"]),
        ({"mean_scores": [-1.0, 3.0]}, ValueError, ["mean_scores", "(2,)", "expected 2"]),
        ({"mean_scores": [[0.0]]}, ValueError, ["mean_scores", "1 rows", "expected 2"]),
        ({"score_second_moments": [0.5, 10.0]}, ValueError, ["score_second_moments[0] is 0.5", "at least"]),
        ({"score_second_moments": [1.0, 2.0, 3.0]}, ValueError, ["score_second_moments", "(3,)", "(2,)"]),
        ({"score_covariances": UNIT[:, 0]}, ValueError, ["score_covariances", "(2, 2)", "(2, 2, 2)"]),
        ({"score_covariances": 3 * UNIT}, ValueError, ["score_covariances[", "trace 3", "covariances, not"]),
        ({"projected_covariances": UNIT[0]}, ValueError, ["projected_covariances", "(2, 2)", "(2, 2, 2)"]),
    ],
)
def test_refuses_levels(change: dict, error: type[Exception], fragments: list[str]) -> None:
    assert ml.RewardLevels(**BASE, score_covariances=UNIT).projected_covariances is not None
    with pytest.raises(error) as raised:
        ml.RewardLevels(**{**BASE, **change})
    for fragment in fragments:
        assert fragment in str(raised.value)


OUTCOMES = {"probabilities": [0.5, 0.5], "scores": [[1.0], [-1.0]], "rewards": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("change", "error", "fragments"),
    [
        ({"probabilities": [0.5, 0.4]}, ValueError, ["probabilities sum to", "0.9"]),
        ({"probabilities": [1.1, -0.1]}, ValueError, ["probabilities[1] is -0.1", "at least 0"]),
        ({"probabilities": [0.5, 0.25, 0.25]}, ValueError, ["probabilities", "(3,)", "(2,)"]),
        ({"probabilities": [0.5, np.nan]}, ValueError, ["probabilities[1] is nan", "finite"]),
        ({"scores": [[1.0], [1.0]]}, ValueError, ["do not average to 0"]),
        ({"scores": [[1.0]]}, ValueError, ["scores", "1 rows", "expected 2"]),
        ({"scores": [1.0, -1.0]}, ValueError, ["scores", "(2,)", "expected 2"]),
        ({"rewards": [0.0, np.inf]}, ValueError, ["rewards[1] is inf", "finite"]),
        ({"rewards": [[0.0, 1.0]]}, ValueError, ["rewards", "(1, 2)", "expected 1"]),
        ({"rewards": [None, 1.0]}, TypeError, ["rewards", "object", "real numbers"]),
        ({"covariances": "all"}, ValueError, ["covariances='all'", "projected", "full"]),
    ],
)
def test_refuses_outcomes(change: dict, error: type[Exception], fragments: list[str]) -> None:
    with pytest.raises(error) as raised:
        ml.RewardLevels.from_outcomes(**{**OUTCOMES, **change})
    for fragment in fragments:
        assert fragment in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "fragments"),
    [
        (([0.0, np.nan], [0, 1]), {}, ValueError, ["logits[1] is nan", "finite"]),
        (([0.0, -np.inf], [0, 1]), {}, ValueError, ["logits[1] is -inf", "finite"]),
        (([0.0], [0, 1]), {}, ValueError, ["logits", "(1,)", "(2,)"]),
        (([0.0, 1.0], [0, "x"]), {}, TypeError, ["rewards", "real numbers"]),
        (([], []), {}, ValueError, ["rewards", "empty"]),
        (([0.0, 1.0], [0, 1]), {"covariances": True}, ValueError, ["covariances=True", "projected"]),
    ],
)
def test_refuses_softmax(
    arguments: tuple, options: dict, error: type[Exception], fragments: list[str]
) -> None:
    with pytest.raises(error) as raised:
        ml.RewardLevels.from_softmax(*arguments, **options)
    for fragment in fragments:
        assert fragment in str(raised.value)
