"""The audit of rules that couple the groups of a batch, against all outcomes of small batches."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import maxpo_lab as ml
from maxpo_lab.auditing.batches.nearest import nearest_batch_rule
from maxpo_lab.auditing.batches.sizes import SIZES
from maxpo_lab.auditing.decide.policies import SUCCESS
from maxpo_lab.testing import assert_centered, assert_matches, assert_unbiased

Rule = Callable[[Any, int], Any]
N, K = 3, 1


def whitened(rewards: Any, k: int) -> Any:
    own = rewards - rewards.mean(axis=1, keepdims=True)
    return own / np.sqrt((own**2).mean() + 1e-8)


def shrunk(rewards: Any, k: int) -> Any:
    """James and Stein's baseline, as somebody else might write it: for two prompts at least."""
    if len(rewards) < 2:
        raise ValueError("a batch has at least two prompts")
    prompts, n = rewards.shape
    others = (1 - np.eye(prompts)) / (prompts - 1)  # averages over the other prompts
    means = rewards.mean(axis=1)
    noise = others @ rewards.var(axis=1, ddof=1) / n
    spread = np.maximum(others @ means**2 - (others @ means) ** 2, 0)
    weight = (noise / (noise + spread + 1e-6))[:, None]
    alone = (rewards.sum(axis=1, keepdims=True) - rewards) / (n - 1)
    return rewards - (1 - weight) * alone - weight * (others @ means)[:, None]


def with_itself(rewards: Any, k: int) -> Any:
    """The same with the prompt's own mean among the others': its rewards come back to it."""
    return shrunk(rewards, k) - 0.5 * rewards.mean()


def alone_in_small_batches(rewards: Any, k: int) -> Any:
    return rewards - rewards.mean(axis=1, keepdims=True) if len(rewards) < 100 else whitened(rewards, k)


def slowly(rewards: Any, k: int) -> Any:
    """Its own reward comes back with a weight of P^-0.1 / n."""
    return rewards - rewards.sum() * len(rewards) ** -1.1 / rewards.shape[1] * len(rewards)


def weights_by_brute_force(rule: Rule, size: int) -> np.ndarray:
    """``<E g_x, grad J_x> / |grad J_x|^2`` of the mean reward: all prompts and all outcomes of a batch.

    One parameter a prompt, the logit of its success probability: the score of a rollout is R - p.
    """
    rates = np.array([*SUCCESS.values()])
    found = np.zeros(len(rates))
    for own in range(len(rates)):
        for company in product(range(len(rates)), repeat=size - 1):
            p = rates[[own, *company]]
            for outcome in product((0.0, 1.0), repeat=size * N):
                rewards = np.reshape(outcome, (size, N))
                chance = np.prod(np.where(rewards == 1, p[:, None], 1 - p[:, None]))
                given = np.asarray(rule(rewards, K))[0]
                found[own] += chance * (given @ (rewards[0] - p[0])) / N / (p[0] * (1 - p[0]))
    return found / len(rates) ** (size - 1)


@pytest.mark.parametrize(
    "rule",
    [*map(ml.get_estimator, ("trl-batch", "whitened:rloo", "jspo", "verl-gpg")), whitened, with_itself],
    ids=lambda rule: getattr(rule, "name", None) or rule.__name__,
)
def test_weights_in_pairs_are_those_of_all_outcomes(rule: Rule) -> None:
    report = ml.audit(rule, n=N, k=K, target="mean")
    assert report.coupling is not None
    first = report.coupling.over_sizes.rows[0]
    assert (first.size, first.method, first.error) == (2, "shared sum", None)
    np.testing.assert_allclose(first.weights, weights_by_brute_force(rule, 2), rtol=1e-11)
    at_large = report.coupling.over_sizes.limit
    assert at_large is not None
    off = np.linalg.norm(np.subtract(first.weights, at_large.weights))
    assert (first.through > 1e-6) == (off > 1e-6) == (report.claims[0].holds is False)


@pytest.mark.parametrize("name", ml.list_estimators("batch"))
@pytest.mark.integration
def test_the_catalogue_keeps_its_claims_and_is_recognised(name: str) -> None:
    rule = ml.get_estimator(name)
    report = ml.audit(
        name, n=6, k=2, target=rule.objective, claims=("unbiased", "centered", f"equals:{name}")
    )
    held = [each.holds and each.beyond is None for each in report.claims]  # at rewards of any size
    assert held == [rule.claims.unbiased, rule.claims.centered, True]
    assert report.coupling is not None
    assert report.coupling.over_sizes.statistic == rule.statistic
    assert report.coupling.balance == "group" or not rule.claims.centered
    assert report.nearest is not None
    assert (report.nearest.name, report.nearest.exact) == (name, True)
    if not rule.claims.unbiased:
        over = report.coupling.over_sizes
        if rule.statistic is None and over.order is None:  # the others are drawn, and their noise hides it
            assert any(row.error for row in over.rows)
        else:
            assert (over.order, over.vanishes) == (1.0, True)
            through = [row.through for row in over.rows if row.size in SIZES]
            assert all(a > b > 0 for a, b in pairwise(through))
        assert report.failing_test is not None
        assert name in report.failing_test


def _mean(rewards: Any) -> Any:
    return rewards.mean(axis=1, keepdims=True)


def _std(rewards: Any, ddof: int) -> Any:
    return rewards.std(axis=1, keepdims=True, ddof=ddof)


def plain_art(rewards: Any, k: int) -> Any:
    own = (rewards - _mean(rewards)) / (_std(rewards, 0) + 1e-6)
    return own / abs(own[own != 0]).mean() if own.any() else own


def plain_art_unscaled(rewards: Any, k: int) -> Any:
    own = rewards - _mean(rewards)
    return own / abs(own[own != 0]).mean() if own.any() else own


def plain_retrain(rewards: Any, k: int) -> Any:
    own = rewards - _mean(rewards)
    live = own[own != 0]
    return np.where(own != 0, (own - live.mean()) / (live.std() + 1e-8), 0.0) if live.size else own


def plain_a_grae(rewards: Any, k: int) -> Any:
    own, mean = (rewards - _mean(rewards)) / (_std(rewards, 1) + 1e-6), _mean(rewards)
    root, batch = np.sqrt(mean), mean.mean()
    mixed = (1 - batch) * 0.5 * own / (1 - root + 1e-6) + batch * 0.5 * own / (root + 1e-6)
    return np.where(mixed > 0, min(1, batch) * mixed, mixed)


def plain_leave_one_out_of_all(rewards: Any, k: int) -> Any:
    others = (rewards.sum() - rewards) / (rewards.size - 1)
    return (rewards - others) / (np.sqrt(((rewards - others) ** 2).sum() / (rewards.size - 1)) + 1e-5)


def whiten(own: Any, *, ddof: int, eps: float = 0.0, add: float = 0.0) -> Any:
    return (own - own.mean()) / (np.sqrt(own.var(ddof=ddof) + eps) + add)


#: What others might write, and the catalogue's name for it.
PLAIN: dict[str, Rule] = {
    "prpo": lambda rewards, k: whiten(rewards, ddof=0, add=1e-6),
    "rllm-reinforce-plus-plus-baseline": lambda rewards, k: whiten(
        rewards - _mean(rewards), ddof=0, add=1e-6
    ),
    "verl-reinforce-plus-plus": lambda rewards, k: whiten(rewards, ddof=1, eps=1e-8),
    "verl-reinforce-plus-plus-baseline": lambda rewards, k: whiten(
        rewards - _mean(rewards), ddof=1, eps=1e-8
    ),
    "openrlhf-reinforce": lambda rewards, k: (
        (rewards.clip(-10, 10) - rewards.clip(-10, 10).mean())
        / np.sqrt(max(rewards.clip(-10, 10).var(), 1e-8))
    ),
    "openrlhf-reinforce-baseline": lambda rewards, k: (
        (rewards - _mean(rewards)) / np.sqrt(max((rewards - _mean(rewards)).var(), 1e-8))
    ),
    "trl-rloo-normalised": lambda rewards, k: whiten(
        (rewards - _mean(rewards)) * rewards.shape[1] / (rewards.shape[1] - 1), ddof=1, add=1e-4
    ),
    "ms-swift-reinforce-plus-plus": lambda rewards, k: whiten(rewards - _mean(rewards), ddof=1, add=1e-4),
    "gdpo-single-reward": lambda rewards, k: whiten(
        (rewards - _mean(rewards)) / (_std(rewards, 1) + 1e-6), ddof=1, eps=1e-8
    ),
    "areal-norm": lambda rewards, k: whiten(rewards, ddof=1, add=1e-5),
    "areal-norm:leave1out=1": plain_leave_one_out_of_all,
    "art": plain_art,
    "art:scale=0": plain_art_unscaled,
    "retrain-batch": plain_retrain,
    "a-grae": plain_a_grae,
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_form_is_recognised(name: str) -> None:
    """By its name, or by an equal rule's; so with a framework's rule that others ship too."""
    near = nearest_batch_rule(PLAIN[name], np.array([0.0, 0.25, 1.0]), n=4, k=1)
    assert near is not None
    assert near.exact
    assert near.scale == 1
    assert name in (near.name, *near.alike)


@pytest.mark.integration
def test_the_audit_names_a_plain_form() -> None:
    report = ml.audit(plain_art, n=4, k=1, target="mean")
    assert (report.nearest.name, report.nearest.exact) == ("art", True)


def test_what_comes_back_through_a_mean_is_one_in_all_rollouts() -> None:
    over = ml.audit("flash-reinforce", n=5, k=2, target="mean").coupling.over_sizes
    for row in over.rows:
        assert row.scale == pytest.approx(1 - 1 / (5 * row.size), rel=1e-12)
        assert row.through == pytest.approx(1 / (5 * row.size), rel=1e-9)
    assert over.limit.scale == pytest.approx(1, abs=1e-12)


@pytest.mark.integration
def test_the_order_and_a_bias_that_stays_are_told_apart() -> None:
    falls = ml.audit(whitened, n=4, k=2, target="mean").coupling.over_sizes
    stays = ml.audit(slowly, n=4, k=2, target="mean").coupling.over_sizes
    assert (falls.statistic, falls.order, falls.vanishes) == ("advantage_rms", 1.0, True)
    assert (stays.statistic, stays.vanishes, stays.limit) == ("reward_sum", False, None)
    assert stays.order == pytest.approx(0.1, abs=0.02)
    assert all(row.through is None for row in stays.rows)


@pytest.mark.integration
def test_code_of_others_that_is_right_passes() -> None:
    report = ml.audit(shrunk, n=4, k=2, target="mean")
    assert report.passed
    assert not report.misbehaviours
    assert (report.nearest.name, report.nearest.exact) == ("jspo", True)
    assert report.coupling.over_sizes.vanishes is None
    assert not ml.audit(with_itself, n=4, k=2, target="mean").passed


def test_a_false_word_about_the_coupling_is_a_misbehaviour() -> None:
    report = ml.audit(ml.batch_rule(whitened, statistic="reward_sum"), n=8, k=2, target="mean")
    assert [each.kind for each in report.misbehaviours] == ["other coupling"]
    assert "says statistic='reward_sum'" in report.misbehaviours[0].detail
    assert report.coupling.over_sizes.statistic == "advantage_rms"
    honest = ml.audit(ml.batch_rule(whitened, statistic="advantage_rms"), n=8, k=2, claims=("centered",))
    assert honest.passed


def test_a_rule_that_couples_in_large_batches_alone_is_named() -> None:
    report = ml.audit(alone_in_small_batches, n=4, k=2, target="mean", allow_scale=True)
    assert report.coupling.met.size == 128
    assert report.claims[0].holds is False
    assert report.claims[0].detail.startswith("P=128")
    assert [row.size for row in report.coupling.over_sizes.rows] == [*SIZES[:-1], 128]
    assert "in batches of 128 it is another rule" in report.to_markdown()


def test_a_constant_scale_passes_where_it_may() -> None:
    assert ml.audit("flash-reinforce", n=4, k=2, target="mean", allow_scale=True).passed
    assert not ml.audit("trl-batch", n=4, k=2, target="mean", allow_scale=True).passed


def test_assertions_take_rules_of_a_batch() -> None:
    assert_unbiased(shrunk, n=4, k=2, target="mean")
    assert_centered(whitened, n=4, k=2)
    assert_matches(shrunk, "jspo", n=4, k=2)
    with pytest.raises(AssertionError, match=r"P=2: beside"):
        assert_unbiased(whitened, n=4, k=2, target="mean")
    with pytest.raises(AssertionError, match="jspo gives"):
        assert_matches(whitened, "jspo", n=4, k=2)
    with pytest.raises(AssertionError, match="is a group rule"):
        assert_matches(whitened, "rloo", n=4, k=2)
    with pytest.raises(AssertionError, match="is a batch rule"):
        assert_matches(lambda rewards, k: rewards, "jspo", n=4, k=2)


def test_reports_show_how_prompts_meet() -> None:
    report = ml.audit("trl-batch", n=4, k=2, target="mean")
    shown = StringIO()
    Console(file=shown, width=200).print(report)
    for text in (shown.getvalue(), report.to_markdown()):
        assert "all rewards of the batch together, on 0/1 rewards their sum, which scales" in text
        assert "the bias through the batch is of order 1/P" in text
        assert "shared sum" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rewards": "continuous"}, "binary or graded"),
        ({"state": {}}, "is no rule with memory"),
        ({"n": 1}, "needs a group of at least 2"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ml.audit("trl-batch", **({"n": 4, "k": 1} | change))


@pytest.mark.parametrize(("eps", "holds"), [(1e-8, False), (1.0, True)])
def test_a_rule_of_a_batch_is_put_flat_groups_whose_mean_is_rounded(eps: float, holds: bool) -> None:
    """In float32 an epsilon of 1e-8 divides what a mean of 0.1 rounded; the claims' levels are exact."""

    def gdpo(rewards, k):
        del k
        given = rewards.astype(np.float32)
        centered = given - given.mean(axis=-1, keepdims=True, dtype=np.float32)
        z = centered / (centered.std(axis=-1, ddof=1, keepdims=True) + np.float32(eps))
        return z / (z.std(ddof=1) + np.float32(1e-4))

    report = ml.audit(ml.batch_rule(gdpo), n=7, k=2, target="mean", claims=("centered",))
    (claim,) = report.claims
    assert claim.holds is holds, claim.detail
    assert report.coupling.balance == ("group" if holds else "none")
    assert holds or "the advantages of [0." in claim.detail
