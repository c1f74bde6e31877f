"""Rules of batches: equal to their definitions, to their sources' numbers, on every library, and by name."""

from __future__ import annotations

import pickle
from fractions import Fraction
from itertools import product

import array_api_strict
import numpy as np
import pytest
import torch

import maxpo_lab as ml
from maxpo_lab.estimators import BatchEstimator
from maxpo_lab.estimators.definitions import batches as batch_definitions
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.estimators.references import bibtex

NAMES = ml.list_estimators("batch")
RNG = np.random.default_rng(18)


def batches(prompts: int, n: int, rule: BatchEstimator | None = None) -> list[np.ndarray]:
    """Binary, dead in part, tied, continuous, and far from 0, of which those that the rule takes."""
    some = RNG.integers(0, 2, (prompts, n)).astype(float)
    dead = some.copy()
    dead[0] = 0
    every = [
        some,
        dead,
        RNG.integers(0, 3, (prompts, n)) / 4,
        RNG.normal(size=(prompts, n)),
        1000 + RNG.random((prompts, n)),
        np.ones((prompts, n)),
    ]
    return [each for each in every if rule is None or rule.why_not_rewards(each) is None]


def defined(rule: BatchEstimator, n: int, prompts: int) -> list[int]:
    if rule.why_not_batch(prompts):
        return []
    return [k for k in range(1, n + 1) if rule.why_not(n, k) is None]


def test_every_rule_has_a_definition() -> None:
    assert set(batch_definitions.BY_NAME) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prompts", [1, 2, 3])
def test_equals_its_definition(name: str, prompts: int) -> None:
    rule = ml.get_estimator(name)
    for n in (1, 2, 3, 5, 6):
        for k in defined(rule, n, prompts)[: 3 if rule.uses_k else 1]:
            for batch in batches(prompts, n, rule):
                exact = batch_definitions.BY_NAME[name](batch.tolist(), k)
                expected = np.array([[float(a) for a in group] for group in exact])
                # 1e-12 of the advantages; rewards near 1000 come with 1000 ulps of their spread.
                scale = max(1.0, abs(expected).max()) * max(1.0, abs(batch).max())
                np.testing.assert_allclose(rule(batch, k), expected, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("whitened:scale=std1,mean=1,eps=1e-4:maxpo", {"scale": "std1", "center": True, "eps": 1e-4}),
        ("whitened:scale=std0:maxpo", {"scale": "std0"}),
        ("whitened:mean=1:maxpo", {"center": True}),
    ],
)
def test_options_of_whitening_are_those_of_the_definition(name: str, options: dict[str, object]) -> None:
    rule, truth = ml.get_estimator(name), batch_definitions.whitened(definitions.maxpo, **options)
    for batch in batches(3, 4)[:4]:
        expected = np.array([[float(a) for a in group] for group in truth(batch.tolist(), 2)])
        np.testing.assert_allclose(rule(batch, 2), expected, rtol=0, atol=1e-11)


def test_numbers_of_the_frameworks() -> None:
    """verl 0.9.1 (three tokens a rollout) and TRL 1.16, run from their packages on two groups of four."""
    one, two = np.array([[1.0, 0, 0, 0]]), np.array([[1.0, 0, 0, 0], [1, 1, 0, 0]])
    verl = ml.get_estimator("whitened:scale=std1,mean=1,tokens=3:batch-mean")
    np.testing.assert_allclose(verl(one, 1), [[1.658, -0.553, -0.553, -0.553]], atol=5e-4)
    np.testing.assert_allclose(verl(two[1:], 1), [[0.957, 0.957, -0.957, -0.957]], atol=5e-4)
    np.testing.assert_allclose(ml.get_estimator("verl-gpg")(one, 1), [[3, -1, -1, -1]])
    np.testing.assert_allclose(
        ml.get_estimator("trl-batch")(two, 1),
        [[1.449, -0.483, -0.483, -0.483], [0.966, 0.966, -0.966, -0.966]],
        atol=5e-4,
    )
    openrlhf = ml.get_estimator("whitened:scale=std0,mean=1,eps=0:batch-mean")
    np.testing.assert_allclose(openrlhf(two, 1)[:, 0], [1.604, 1.069], atol=5e-4)


#: Advantages of the winner of [1,0,0,0], and of a winner and a loser of [1,1,0,0], in a batch of these two:
#: rules by the name of their framework, whose packages gave these numbers (alone: the first group by itself).
OF_FRAMEWORKS = {
    "verl-reinforce-plus-plus-baseline:tokens=3": (1.570, 1.047, -1.047),
    "openrlhf-reinforce": (1.291, 1.291, -0.775),
    "openrlhf-reinforce-baseline": (1.604, 1.069, -1.069),
    "trl-rloo-normalised": (1.4998, 0.9998, -0.9998),
    "ms-swift-reinforce-plus-plus": (1.4997, 0.9998, -0.9998),
    "gdpo-single-reward:eps=1e-4,add=1e-4": (1.62, 0.935, -0.935),
    "gdpo-single-reward:eps=1e-8,add=1e-8": (1.620, 0.935, -0.935),
    "areal-norm": (1.208, 1.208, -0.725),
    "areal-norm:mean=group": (1.5, 1.0, -1.0),
}


@pytest.mark.parametrize("name", OF_FRAMEWORKS)
def test_numbers_of_the_frameworks_by_their_names(name: str) -> None:
    found = ml.get_estimator(name)(np.array([[1.0, 0, 0, 0], [1, 1, 0, 0]]), 1)
    np.testing.assert_allclose([found[0, 0], *found[1, 1:3]], OF_FRAMEWORKS[name], atol=6e-4)


def test_numbers_of_packed_batches() -> None:
    """ART 0.5.23, one group at a time, with its deviation."""
    art = ml.get_estimator("art")
    for group, winner, loser in (([1.0, 0, 0, 0], 2, -2 / 3), ([1.0, 1, 0, 0], 1, -1)):
        assert art(np.array([group]), 1)[0, [0, 3]] == pytest.approx([winner, loser], rel=1e-5)
    assert art(np.array([[3.0, 1, 2, -1]]), 1)[0] == pytest.approx([1.4, -0.2, 0.6, -1.8], rel=1e-5)
    dead = np.array([[0.1, 0.1, 0.1], [0.7, 0.7, 0.7], [1.0, 0, 0]])
    for name in ("art", "retrain-batch"):
        alone = ml.get_estimator(name)(dead[2:], 1)
        np.testing.assert_array_equal(ml.get_estimator(name)(dead, 1), [[0] * 3, [0] * 3, alone[0].tolist()])


@pytest.mark.parametrize("mean", ["batch", "group", "none"])
@pytest.mark.parametrize("std", ["batch", "group", "none"])
def test_options_of_areal_are_those_of_the_definition(mean: str, std: str) -> None:
    for leave1out, ddof in product((0, 1) if mean != "none" else (0,), (0, 1) if std != "none" else (1,)):
        told = f"mean={mean},leave1out={leave1out},std={std},ddof={ddof}"
        rule = ml.get_estimator(f"areal-norm:{told}")
        truth = batch_definitions.areal_norm(mean_of=mean, leave1out=bool(leave1out), std_of=std, ddof=ddof)
        for prompts, n in ((1, 2), (3, 2), (2, 4), *(((1, 1), (3, 1)) if mean != "group" else ())):
            for batch in batches(prompts, n, rule):
                expected = np.array([[float(a) for a in row] for row in truth(batch.tolist(), 1)])
                size = max(1.0, abs(expected).max()) * max(1.0, abs(batch).max())
                np.testing.assert_allclose(rule(batch, 1), expected, rtol=0, atol=1e-12 * size, err_msg=told)
        assert rule.claims.unbiased == (std == "none" and (leave1out == 1 or mean == "none"))


def sees_its_own_reward(rule: BatchEstimator) -> bool:
    """Whether ``R_i - A_i`` changes with R_i alone, in any batch of two groups of three: then it is biased.

    By completeness a rule for the mean is unbiased exactly if A_i - R_i is a number that R_i has no part in.
    """
    rewards = np.array([*product((0.0, 1.0), repeat=6)]).reshape(-1, 2, 3)
    given = np.stack([rule(batch, 1) for batch in rewards])
    baseline = np.round((rewards - given)[:, 0, 0], 12)
    own, others = rewards[:, 0, 0], rewards.reshape(-1, 6)[:, 1:]
    found = [{*baseline[(others == each).all(axis=1)]} for each in np.unique(others, axis=0)]
    assert set(own) == {0.0, 1.0}
    return any(len(each) > 1 for each in found)


@pytest.mark.parametrize(
    "name",
    [
        *(each for each in NAMES if ml.get_estimator(each).objective == "mean"),
        "areal-norm:mean=batch,leave1out=1,std=none",
        "areal-norm:mean=group,leave1out=1,std=none",
        "areal-norm:mean=none,std=none",
        "areal-norm:mean=group,std=none",
        "art:scale=0",
    ],
)
def test_what_is_claimed_of_the_mean_is_decided(name: str) -> None:
    rule = ml.get_estimator(name)
    assert sees_its_own_reward(rule) != rule.claims.unbiased
    sums = [np.sum(rule(batch, 1), axis=1) for n in (2, 3) for batch in batches(3, n, rule)]
    assert (max(abs(each).max() for each in sums) < 1e-9) == rule.claims.centered or "openrlhf" in name


@pytest.mark.parametrize("name", NAMES)
def test_dead_groups_are_as_is_said(name: str) -> None:
    """In batches of three prompts, the first dead, the others of any kind."""
    rule, pays = ml.get_estimator(name), set()
    for level, word in ((0.0, "all-fail"), (1.0, "all-correct")):
        for rest in product((0.0, 1.0), repeat=6):
            batch = np.array([level] * 3 + [*rest]).reshape(3, 3)
            if abs(rule(batch, 1)[0]).max() > 1e-9:
                pays.add(word)
    assert {"none": set(), "both": {"all-fail", "all-correct"}}.get(
        rule.dead_groups, {rule.dead_groups}
    ) == pays


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("prpo", "whitened:scale=std0,mean=1,add=1e-6:reinforce"),
        ("rllm-reinforce-plus-plus-baseline", "whitened:scale=std0,add=1e-6:batch-mean"),
        ("verl-reinforce-plus-plus:tokens=3", "whitened:scale=std1,mean=1,tokens=3:reinforce"),
        ("verl-reinforce-plus-plus-baseline", "whitened:scale=std1,mean=1:batch-mean"),
        ("openrlhf-reinforce", "whitened:scale=std0,mean=1,floor=1e-8:reinforce"),
        ("trl-rloo-normalised", "whitened:scale=std1,mean=1,add=1e-4:rloo"),
        ("ms-swift-reinforce-plus-plus", "whitened:scale=std1,add=1e-4:batch-mean"),
        ("gdpo-single-reward:eps=1e-4,add=1e-4", "whitened:scale=std1,mean=1,add=1e-4:grpo:eps=1e-4"),
        ("flash-reinforce", "areal-norm:std=none"),
        ("rloo", "areal-norm:mean=group,leave1out=1,std=none"),
    ],
)
def test_one_rule_by_two_names(name: str, spelled: str) -> None:
    for batch in (RNG.normal(size=(4, 3)), RNG.integers(0, 2, (5, 4)).astype(float)):
        one, two = (ml.get_estimator(each)(batch, 1) for each in (name, spelled))
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-13)


def test_openrlhf_clips_before_it_whitens() -> None:
    """What is above 10 is 10: of 100 and 10 none wins, where the rule without the clip tells them apart."""
    batch = np.array([[100.0, 10.0], [0.0, 0.0]])
    assert ml.get_estimator("openrlhf-reinforce")(batch, 1)[0] == pytest.approx([1.0, 1.0])
    assert np.ptp(ml.get_estimator("whitened:scale=std0,mean=1,floor=1e-8:reinforce")(batch, 1)[0]) > 1
    small = np.array([[1e-5, 0.0], [0.0, 0.0]])  # a variance below the floor
    expected = (small - small.mean()) / 1e-4
    np.testing.assert_allclose(ml.get_estimator("openrlhf-reinforce")(small, 1), expected, rtol=1e-12)


def test_gdpo_of_one_reward_is_grpo_times_the_share_of_groups_that_live() -> None:
    """On 0/1 rewards: sums of z^2 of live groups are all n - 1 = 3, so the batch's deviation counts these."""
    batch = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    factor = np.sqrt((16 - 1) / (3 * 2))
    np.testing.assert_allclose(
        ml.get_estimator("gdpo-single-reward")(batch, 1),
        factor * ml.get_estimator("grpo")(batch, 1),
        rtol=1e-5,
        atol=1e-15,
    )


@pytest.mark.parametrize("name", NAMES)
def test_array_libraries_agree_and_batches_are_apart(name: str) -> None:
    rule = ml.get_estimator(name)
    stack = np.stack(batches(3, 4, rule))
    expected = rule(stack, 2)
    np.testing.assert_array_equal(expected[1], rule(stack[1], 2))
    np.testing.assert_array_equal(ml.advantages(stack, 2, estimator=name), expected)
    tensor = torch.tensor(stack)
    scale = 1e-12 * max(1.0, abs(expected).max())
    for got in (
        rule(array_api_strict.asarray(stack), 2),
        rule(tensor, 2),
        ml.advantages(tensor, 2, estimator=name, validate=False),
    ):
        np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=1e3 * scale)
    few = len(stack) - 2 if len(stack) == 6 else len(stack)  # float32 has too few digits near 1000
    single = rule(tensor[:few].float(), 2)
    assert single.dtype == torch.float32
    rounded = rule(stack[:few].astype(np.float32).astype(float), 2)
    np.testing.assert_allclose(single.numpy(), rounded, rtol=2e-7, atol=2e-7 * max(1, abs(rounded).max()))


@pytest.mark.parametrize("name", NAMES)
def test_prompts_and_rollouts_may_change_places(name: str) -> None:
    rule = ml.get_estimator(name)
    batch = RNG.random((4, 5))
    order, places = RNG.permutation(4), RNG.permutation(5)
    np.testing.assert_allclose(
        rule(batch[order][:, places], 2), np.asarray(rule(batch, 2))[order][:, places], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("name", NAMES)
def test_its_groups_are_coupled(name: str) -> None:
    """What makes it a rule of a batch."""
    rule = ml.get_estimator(name)
    batch = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    other = batch.copy()
    other[1:] = [[1, 1, 1, 0], [1, 1, 1, 0]]
    assert abs(np.asarray(rule(batch, 2))[0] - np.asarray(rule(other, 2))[0]).max() > 1e-3


def test_jspo_never_sees_its_own_reward() -> None:
    """Decided in rationals: ``A_i - R_i`` does not change when R_i alone does; jspo-plus-plus's does."""
    levels = [Fraction(0), Fraction(1, 2), Fraction(1)]
    rest = [[*pair, *others] for pair in product(levels, repeat=1) for others in product(levels, repeat=3)]
    moved = {"jspo": False, "jspo-plus-plus": False}
    for a, b, c, d in rest:
        for name in moved:
            rule = batch_definitions.BY_NAME[name]
            baselines = {rule([[own, a], [b, c], [d, levels[1]]], 1)[0][0] - own for own in levels}
            moved[name] |= len(baselines) > 1
    assert moved == {"jspo": False, "jspo-plus-plus": True}


@pytest.mark.parametrize("name", [*NAMES, *ml.list_estimators("memory")])
def test_entries_are_whole(name: str) -> None:
    rule = ml.get_estimator(name)
    assert bibtex(rule).startswith("@")
    assert pickle.loads(pickle.dumps(rule)) is rule
    assert rule.kind in ("batch", "memory")
    assert all((rule.title, rule.equation, rule.citation, rule.degenerate))
    assert name in ml.list_estimators("all")
    assert name not in ml.list_estimators()


@pytest.mark.parametrize(
    ("spec", "fragments"),
    [
        ("whitened:nothing", ["nothing", "not in the catalogue"]),
        ("whitened:trl-batch", ["trl-batch is a batch rule"]),
        ("whitened:scale=x:maxpo", ["scale=x", "rms, std0, std1"]),
        ("whitened:mean=2:maxpo", ["mean=2", "0, or 1"]),
        ("whitened:eps=-1:maxpo", ["eps=-1", "at least 0"]),
        ("whitened:tokens=0:maxpo", ["tokens=0", "at least 1"]),
        ("whitened:foo=1:maxpo", ["foo=1", "scale=rms"]),
        ("whitened:floor=-1:maxpo", ["floor=-1", "at least 0"]),
        ("areal-norm:mean=all", ["mean='all'", "batch", "group", "none"]),
        ("areal-norm:leave1out=2", ["leave1out=2", "0 or 1"]),
        ("areal-norm:eps=0", ["eps=0", "positive"]),
        ("areal-norm:std=none,ddof=0", ["ddof changes nothing", "std=none"]),
        ("areal-norm:std=none,eps=1e-3", ["eps changes nothing"]),
        ("areal-norm:mean=none,leave1out=1", ["leave1out changes nothing"]),
        ("art:scale=2", ["scale=2", "0 or 1"]),
        ("gdpo-single-reward:add=-1", ["add=-1", "at least 0"]),
        ("verl-reinforce-plus-plus:tokens=0", ["tokens=0", "at least 1"]),
        ("prpo:eps=1", ["prpo takes no parameters"]),
        ("rae:decay=1", ["decay=1", "less than 1"]),
        ("spo:rho=2", ["rho=2", r"[0, 1]"]),
        ("spo:whiten=2", ["whiten=2", "0 or 1"]),
        ("dbb:keep=0", ["keep=0", "(0, 1]"]),
        ("curverl:window=-1", ["window=-1", "at least 0"]),
        ("ha-dw:window=0", ["window=0", "at least 1"]),
        ("ha-dw:scale=0", ["scale=0", "positive"]),
        ("ebpo:ddof=2", ["ddof=2", "0 or 1"]),
        ("ebpo:eps=0", ["eps=0", "positive"]),
    ],
)
def test_bad_specs_are_refused(spec: str, fragments: list[str]) -> None:
    with pytest.raises(ValueError, match=fragments[0]) as caught:
        ml.get_estimator(spec)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_spelling_does_not_matter() -> None:
    assert ml.get_estimator("whitened:scale=rms:maxpo") is ml.get_estimator("whitened:maxpo")
    assert ml.get_estimator("whitened:grpo:eps=1e-6") is ml.get_estimator("whitened:grpo")
    assert ml.get_estimator("whitened:mean=1,scale=std1:rloo") is ml.get_estimator(
        "whitened:scale=std1,mean=1:rloo"
    )


def test_bad_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"jspo needs a batch of at least 2 prompts \(P=1\)"):
        ml.advantages(np.ones((1, 4)), 1, estimator="jspo")
    with pytest.raises(ValueError, match=r"needs \(\.\.\., P, n\)"):
        ml.advantages(np.ones(4), 1, estimator="trl-batch")
    with pytest.raises(ValueError, match=r"\[2, 3\] scored rollouts: jspo takes groups of one size"):
        ml.advantages(np.ones(5), 1, estimator="jspo", group_ids=[0, 0, 1, 1, 1])
    with pytest.raises(ValueError, match=r"rae.*remembers.*rule\.update"):
        ml.advantages(np.ones((2, 4)), 1, estimator="rae")
    with pytest.raises(ValueError, match="k=4"):
        ml.advantages(np.ones((2, 4)), 4, estimator="whitened:maxpo")
    for consumer in (ml.exact_moments, ml.pass_at_k_spectrum):
        levels = ml.RewardLevels.from_softmax([0.0, 0.0], [0.0, 1.0])
        given = (levels,) if consumer is ml.exact_moments else ()
        with pytest.raises(ValueError, match=r"batch rule.*batch_moments"):
            consumer("trl-batch", *given, n=4, k=1)
        with pytest.raises(ValueError, match=r"rule with memory.*batch_moments"):
            consumer("rae", *given, n=4, k=1)


@pytest.mark.parametrize("name", ["whitened:maxpo", "trl-batch", "verl-gpg", "flash-reinforce"])
def test_groups_of_several_sizes(name: str) -> None:
    """A pooled rule of ragged groups is its two steps, written out."""
    rewards = np.array([1.0, 0, 1, 0, 0, np.nan, 1, 1, 0])
    ids = [0, 1, 0, 1, 1, 0, 1, 2, 2]
    got = ml.advantages(rewards, 1, estimator=name, group_ids=ids, nan_policy="omit")
    groups = [[1.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0]]
    exact = batch_definitions.BY_NAME[name](groups, 1)
    expected = np.zeros(9)
    for group, rows in zip(exact, ([0, 2], [1, 3, 4, 6], [7, 8]), strict=True):
        expected[rows] = [float(a) for a in group]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_a_users_batch_rule_in_advantages() -> None:
    mine = ml.batch_rule(lambda rewards, k: rewards - rewards.mean())
    batch = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert ml.advantages(batch, 1, estimator=mine).tolist() == [[0.25, -0.75], [0.25, 0.25]]
    flat = ml.advantages(batch.reshape(-1), 1, estimator=mine, group_ids=[0, 0, 1, 1])
    assert flat.tolist() == [0.25, -0.75, 0.25, 0.25]
    with pytest.raises(ValueError, match=r"\(P, n\), groups of one size"):
        ml.advantages(batch.reshape(-1), 1, estimator=mine, group_ids=[0, 0, 0, 1])
    with pytest.raises(ValueError, match="a batch rule needs"):
        ml.advantages(torch.ones(4), 1, estimator=mine)


def test_one_prompt_that_outweighs_the_others_costs_them_nothing() -> None:
    batch = np.array([[1e9, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    for name in ("jspo", "jspo-plus-plus"):
        exact = batch_definitions.BY_NAME[name](batch.tolist(), 1)
        expected = [[float(a) for a in row] for row in exact]
        found = ml.advantages(batch, 1, estimator=name)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * 1e9)


@pytest.mark.parametrize(("options", "eps", "ddof"), [("eps=1e-6", 1e-6, 1), ("eps=1e-8,ddof=0", 1e-8, 0)])
def test_the_batchs_deviation_has_an_epsilon_and_a_ddof(options: str, eps: float, ddof: int) -> None:
    rewards = np.array([[1.0, 0.0, 0.25, 0.0], [1.0, 1.0, 0.0, 0.5]])
    size = float(np.std(rewards, ddof=ddof)) + eps
    expected = [[(r - sum(row) / 4) / size for r in row] for row in rewards.tolist()]
    assert ml.get_estimator(f"trl-batch:{options}")(rewards, 1) == pytest.approx(
        np.array(expected), rel=1e-14
    )


@pytest.mark.parametrize("options", ["eps=0", "eps=-1e-4", "eps=inf", "ddof=2"])
def test_a_batchs_deviation_that_is_none_is_an_error(options: str) -> None:
    with pytest.raises(ValueError, match=f"trl-batch:{options.partition('=')[0]}=.*must be"):
        ml.get_estimator(f"trl-batch:{options}")
