"""Bad input: the message names argument, value, rule and alternative, and nothing is computed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from backends import BACKENDS, Backend

import maxpo_lab as ml
from maxpo_lab.estimators.families.maxpo import maxpo, maxpo_quadratic

GROUP = [0.0, 1.0, 0.5, 0.0]
LEVELS = ml.RewardLevels.from_softmax([0.0, 1.0, 2.0], [0.0, 0.5, 1.0])


def rule_of_mine(rewards: np.ndarray, k: int) -> np.ndarray:
    pytest.fail("the rule was called")


def rows(
    what: str, cases: list[tuple[Any, type[Exception], str]], call: Callable[[Any], Any]
) -> Iterator[tuple[str, Callable[[], Any], type[Exception], list[str]]]:
    """One row a case: the call, the exception, and regular expressions that must all be found."""
    for value, error, fragments in cases:
        yield f"{what} {value!r:.40}", lambda v=value: call(v), error, fragments.split(" & ")


RAGGED_OBJECTS = np.array([[1, 2], [1]], dtype=object)
BAD_REWARDS: list[tuple[Any, type[Exception], str]] = [
    ([0.0, np.nan, 1.0], ValueError, r"rewards\[1\] is nan & finite & leave"),
    ([[0.0, 1.0], [1.0, np.inf]], ValueError, r"rewards\[1, 1\] is inf & finite & leave"),
    ([0.0, -np.inf], ValueError, r"rewards\[1\] is -inf & finite & leave"),
    ([0.0, 1j], TypeError, r"rewards & complex128 & real"),
    (np.array([0.0, 1.0], dtype=object), TypeError, r"rewards & object & real numbers & dtype=float"),
    ([0.0, None], TypeError, r"rewards & object & real numbers & dtype=float"),
    (["0", "1"], TypeError, r"rewards & <U1 & real numbers & dtype=float"),
    (np.array(["2020-01-01"], dtype="datetime64[D]"), TypeError, r"rewards & datetime64 & real numbers"),
    ([], ValueError, r"rewards & \(0,\) & empty & at least one rollout"),
    (np.zeros((0, 4)), ValueError, r"rewards & \(0, 4\) & empty & at least one group"),
    (np.zeros((3, 0)), ValueError, r"rewards & \(3, 0\) & empty & at least one rollout"),
    (0.5, ValueError, r"rewards & scalar & shape \(\.\.\., n\)"),
    (np.float64(0.5), ValueError, r"rewards & scalar & shape \(\.\.\., n\)"),
    (np.array(0.5), ValueError, r"rewards & scalar & shape \(\.\.\., n\)"),
    ([[1, 0], [1, 0, 1]], ValueError, r"rewards\[0\] has 2 & rewards\[1\] has 3 & group_ids=\.\.\."),
    ([[[1, 0]], [[1, 0], [1]]], ValueError, r"rewards\[0\] has 1 & rewards\[1\] has 2 & group_ids"),
    ([[[1, 0], [1, 0]], [[1, 0], [1]]], ValueError, r"rewards\[1\]\[0\] has 2 & rewards\[1\]\[1\] has 1"),
    (([1, 0], 1), ValueError, r"rewards\[0\] has 2 & rewards\[1\] is no row & group_ids"),
    ([np.ones(2), np.ones(3)], ValueError, r"rewards\[0\] has 2 & rewards\[1\] has 3 & group_ids"),
    (RAGGED_OBJECTS, TypeError, r"rewards have dtype object & rewards\[0\] is a list & group_ids"),
    ([1.0, np.ma.masked], ValueError, r"rewards\[1\] is masked & leave"),
    ([1, 10**400], TypeError, r"rewards\[1\] is an integer of 1329 bits & dtype=float"),
    ([Fraction(1, 2), 1], TypeError, r"rewards\[0\] is Fraction\(1, 2\), a Fraction & dtype=float"),
    ([0.5, Decimal(1)], TypeError, r"rewards\[1\] is Decimal & dtype=float"),
    ([1.0, "x"], TypeError, r"rewards have dtype <U & real numbers"),
    ([[1.0, None], [0.0, 1.0]], TypeError, r"rewards\[0, 1\] is None & NaN marks"),
    ({"a": 1.0}, TypeError, r"rewards have dtype object & a dict & real numbers"),
    (iter([1.0, 0.0]), TypeError, r"rewards have dtype object & list_iterator & real numbers"),
]
BAD_K: list[tuple[Any, type[Exception], str]] = [
    (0, ValueError, r"k=0 & 1 <= k <= & nearest valid choice is k=1"),
    (-3, ValueError, r"k=-3 & 1 <= k <= & nearest valid choice is k=1"),
    (5, ValueError, r"k=5 & 1 <= k <= & nearest valid choice is k="),
    (2.0, TypeError, r"k=2.0 & float & must be an int & e\.g\. k="),
    (True, TypeError, r"k=True & bool & must be an int & e\.g\. k=1"),
    (np.True_, TypeError, r"k=np.True_ & bool & must be an int & e\.g\. k=1"),
    ("2", TypeError, r"k='2' & str & must be an int & e\.g\. k="),
    (None, TypeError, r"k=None & NoneType & must be an int & e\.g\. k="),
    ([2], TypeError, r"k=\[2\] & list & must be an int & e\.g\. k="),
]
#: A rule that does not use k takes any that is one.
BAD_K_UNUSED: list[tuple[Any, type[Exception], str]] = [
    (0, ValueError, r"k=0 & does not use k & 1 <= k & nearest valid choice is k=1"),
    (-3, ValueError, r"k=-3 & does not use k & 1 <= k & nearest valid choice is k=1"),
    *BAD_K[3:],
]
BAD_NAME: list[tuple[Any, type[Exception], str]] = [
    ("maxop", ValueError, r"estimator 'maxop' & did you mean & maxpo"),
    ("pkpo-loo-1", ValueError, r"estimator 'pkpo-loo-1' & did you mean & pkpo-loo1"),
    ("xyzzy", ValueError, r"estimator 'xyzzy' & known: & rloo & maxpo"),
    ("", ValueError, r"estimator '' & known: & rloo"),
    (None, TypeError, r"estimator=None & NoneType & name & maxpo"),
    (3, TypeError, r"estimator=3 & int & name & maxpo"),
]
UNDEFINED = [
    ("maxpo", GROUP, 4, r"maxpo needs k <= n-1 & n=4, k=4 & pkpo-loo1 & larger group"),
    ("canonical", GROUP, 4, r"canonical needs k <= n-1 & n=4, k=4 & pkpo-loo1 & larger group"),
    ("pkpo-loo", GROUP, 4, r"pkpo-loo needs k <= n-1 & n=4, k=4 & pkpo-loo1 & larger group"),
    ("pkpo-loo1", GROUP, 1, r"pkpo-loo1 needs k >= 2 & n=4, k=1 & rloo"),
    ("rloo", [1.0], 1, r"rloo needs a group of at least 2 & n=1 & reinforce"),
    ("batch-mean", [1.0], 1, r"batch-mean needs a group of at least 2 & n=1 & reinforce"),
    ("grpo", [1.0], 1, r"grpo needs a group of at least 2 & n=1 & reinforce"),
    ("maxpo", [1.0], 1, r"maxpo needs a group of at least 2 & n=1 & reinforce"),
    ("canonical", [1.0], 1, r"canonical needs a group of at least 2 & n=1 & reinforce"),
    ("pkpo-loo", [1.0], 1, r"pkpo-loo & n=1 & pkpo-s"),
    ("pkpo-loo1", [1.0], 1, r"pkpo-loo1 & n=1 & reinforce|pkpo-s"),
]


def undefined(
    what: str, call: Callable[[str, list[float], int], Any]
) -> Iterator[tuple[str, Callable[[], Any], type[Exception], list[str]]]:
    """One row a rule, group and k that do not go together."""
    for name, group, k, fragments in UNDEFINED:
        label = what.format(name, k, len(group))
        yield label, lambda a=(name, group, k): call(*a), ValueError, fragments.split(" & ")


def levels(**change: Any) -> Callable[[], Any]:
    good = {
        "values": [0, 1],
        "probabilities": [0.75, 0.25],
        "mean_scores": [[-1.0], [3.0]],
        "score_second_moments": [1.0, 9.0],
    }
    return lambda: ml.RewardLevels(**{**good, **change})


def moments(rule: Any = rule_of_mine, at: Any = LEVELS, **change: Any) -> Callable[[], Any]:
    return lambda: ml.exact_moments(rule, at, **{"n": 4, "k": 2, **change})


TABLE = [
    *rows("rewards", BAD_REWARDS, lambda v: ml.advantages(v, 1)),
    *rows("rewards of grpo", BAD_REWARDS, lambda v: ml.get_estimator("grpo")(v, 1)),
    *rows("rewards of the quadratic form", BAD_REWARDS, lambda v: maxpo_quadratic(v, 1)),
    *rows("rewards of the value estimate", BAD_REWARDS, lambda v: ml.value_estimate(v, 1)),
    *rows("k", BAD_K, lambda v: ml.advantages(GROUP, v)),
    *rows("k of reinforce", BAD_K_UNUSED, lambda v: ml.advantages(GROUP, v, estimator="reinforce")),
    *rows("k of leader", BAD_K_UNUSED, lambda v: ml.advantages(GROUP, v, estimator="leader")),
    *rows("k of the gap form", BAD_K, lambda v: maxpo(GROUP, v)),
    *rows("k of the quadratic form", BAD_K, lambda v: maxpo_quadratic(GROUP, v)),
    *rows("k of the value estimate", BAD_K, lambda v: ml.value_estimate(GROUP, v)),
    *rows("k of the moments", BAD_K, lambda v: ml.exact_moments(rule_of_mine, LEVELS, n=4, k=v)),
    *rows("estimator", BAD_NAME, lambda v: ml.advantages(GROUP, 2, estimator=v)),
    *rows("name", BAD_NAME, ml.get_estimator),
    *undefined("{} at k={} of {}", lambda name, group, k: ml.advantages(group, k, estimator=name)),
    *undefined("moments of {} at k={} of {}", lambda name, group, k: moments(name, n=len(group), k=k)()),
    ("quadratic form at k=n", lambda: maxpo_quadratic(GROUP, 4), ValueError,
     ["maxpo needs k <= n-1", "n=4, k=4", "pkpo-loo1"]),
    ("probabilities", levels(probabilities=[0.75, 0.3]), ValueError,
     ["probabilities sum to", "1.05", "must sum to 1", "divide"]),
    ("mean scores", levels(mean_scores=[[-1.0], [2.0]], score_second_moments=[1, 4]), ValueError,
     ["mean_scores do not average to 0", "0.25", "has mean 0"]),
    ("second moments", levels(score_second_moments=[1.0, 8.0]), ValueError,
     [r"score_second_moments\[1\] is 8", "= 9", "at least"]),
    ("unsorted levels", levels(values=[1, 0]), ValueError, [r"values \[1.0, 0.0\]", "ascending", "sort"]),
    ("unknown name in moments", moments("maxop"), ValueError, ["estimator 'maxop'", "did you mean", "maxpo"]),
    ("no rule at all", moments(7), TypeError, ["estimator=7", "int", "callable"]),
    ("no levels", moments(at={"values": [0, 1]}), TypeError, ["levels is a dict", "RewardLevels"]),
    ("n a float", moments(n=4.0), TypeError, ["n=4.0", "float", "must be an int"]),
    ("n a bool", moments(n=True), TypeError, ["n=True", "bool", "must be an int"]),
    ("n = 0", moments(n=0), ValueError, ["n=0", "at least one rollout"]),
    ("target", moments(target="pass@k"), ValueError, ["target", "'pass@k'", "max@k", "mean"]),
    ("covariance", moments(covariance=True), ValueError, ["covariance=True", "score_covariances", "full"]),
    ("states", moments(n=4000), ValueError,
     ["8,006,001.*states", "n=4000 and 3 reward levels", "max_states", "smaller"]),
]  # fmt: skip


@pytest.fixture
def nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every place where numbers are made fails the test."""

    def computed(*_: Any, **__: Any) -> None:
        pytest.fail("something was computed before the input was refused")

    kinds = [ml.Estimator]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
        if "unchecked" in vars(kind):
            monkeypatch.setattr(kind, "unchecked", computed)
    for place in (
        "maxpo_lab.estimators.base.alone",
        "maxpo_lab.estimators.families.maxpo.subset_share",
        "maxpo_lab.evaluation.unbiased.subset_share",
        "maxpo_lab.rules.evaluate",
        "maxpo_lab.moments.by_states.CountSums",
        "maxpo_lab.moments.closed_form.by_thresholds.ThresholdSums",
    ):
        monkeypatch.setattr(place, computed)


@pytest.mark.usefixtures("nothing_is_computed")
@pytest.mark.parametrize(
    ("call", "error", "fragments"),
    [row[1:] for row in TABLE],
    ids=[row[0].partition(" at 0x")[0] for row in TABLE],  # the same in every worker
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], fragments: list[str]) -> None:
    with pytest.raises(error) as raised:
        call()
    for fragment in fragments:
        assert re.search(fragment, str(raised.value)), f"{fragment!r} is not in {str(raised.value)!r}"


@pytest.mark.usefixtures("nothing_is_computed")
def test_the_fixture_that_forbids_computing_works() -> None:
    for call in (lambda: ml.advantages(GROUP, 2), lambda: ml.advantages(GROUP, 2, estimator="grpo")):
        with pytest.raises(pytest.fail.Exception, match="was computed"):
            call()


@pytest.mark.usefixtures("nothing_is_computed")
def test_bad_rewards_of_every_array_library(backend: Backend) -> None:
    for bad, name in ((np.nan, "nan"), (np.inf, "inf")):
        with pytest.raises(ValueError, match=rf"rewards\[1, 0\] is {name}"):
            ml.advantages(backend.array([[0.0, 1.0], [bad, 1.0]]), 1)
    with pytest.raises(TypeError, match="complex128"):
        ml.advantages(backend.array([0.0, 1.0], "complex128"), 1)
    with pytest.raises(ValueError, match="scalar"):
        ml.advantages(backend.array(0.5), 1)
    with pytest.raises(ValueError, match="empty"):
        ml.advantages(backend.array(np.zeros((2, 0))), 1)


@pytest.mark.usefixtures("nothing_is_computed")
def test_tensors_that_are_no_plain_array_are_refused_by_name() -> None:
    torch = pytest.importorskip("torch")
    two, three = torch.ones(2), torch.ones(3)
    jagged = torch.nested.nested_tensor([two, three], layout=torch.jagged)
    for rewards, error, message in (
        ([two, three], ValueError, r"rewards\[0\] has 2 entries, rewards\[1\] has 3 entries.*group_ids"),
        ([two.requires_grad_(), two], TypeError, r"holds a torch\.Tensor.*torch\.stack\(rewards\)"),
        ([three.bfloat16(), three.bfloat16()], TypeError, r"holds a torch\.Tensor.*torch\.stack"),
        (jagged, ValueError, r"nested tensor.*group_ids"),
        (torch.eye(4).to_sparse(), TypeError, r"to_dense\(\)"),
        (three.to(torch.float8_e4m3fn), TypeError, r"float8_e4m3fn.*rewards\.float\(\)"),
    ):
        for call in (ml.advantages, ml.value_estimate, ml.get_estimator("grpo")):
            with pytest.raises(error, match=message):
                call(rewards, 1)


def test_a_rule_that_does_not_use_k_takes_any() -> None:
    unused = [rule for rule in map(ml.get_estimator, ml.list_estimators()) if not rule.uses_k]
    own = {"pass-sum:2", "maxrl-truncated:2"}  # their T is in their names
    assert {rule.objective for rule in unused} == {"mean", "max@n"} | own
    group, ids = [0.0, 1.0, 1.0, 0.0, 0.0], [0, 1, 0, 1, 1]
    for rule in unused:
        want = rule(group, 1).tolist()
        for k in (4, 5, 6, 10**6):
            assert rule(group, k).tolist() == ml.advantages(group, k, estimator=rule).tolist() == want
        if rule.smallest_group == 2 and rule.why_not(2, 1) is None:
            found = ml.advantages(group, 9, estimator=rule, group_ids=ids, small_groups="zero")
            assert found.tolist() == ml.advantages(group, 1, estimator=rule, group_ids=ids).tolist()
            assert found.any()


def test_integers_of_any_library_are_a_k() -> None:
    want = ml.advantages(GROUP, 2).tolist()
    for k in (np.int64(2), np.uint8(2), np.array(2)):
        assert ml.advantages(GROUP, k).tolist() == want
    assert len(BACKENDS) >= 1


@pytest.mark.parametrize(
    "rewards",
    [
        np.array([[2**53 + 1, 0, 1]]),
        np.array([[2**64 - 1, 0, 1]], dtype=np.uint64),
        np.array([[2**63 - 1, 0, 1]]),
        torch.tensor([[2**24 + 1, 0, 1]]),
    ],
)
def test_integers_that_would_be_rounded_are_refused(rewards: Any) -> None:
    """Two rewards that differ would be one."""
    with pytest.raises(ValueError, match=f"integer {int(rewards[0, 0])}, which"):
        ml.advantages(rewards, k=2)


@pytest.mark.parametrize("rewards", [np.array([[2**60, -(2**60), 3]]), torch.tensor([[2**24, -(2**30), 3]])])
def test_large_integers_that_a_float_holds_are_taken(rewards: Any) -> None:
    assert ml.advantages(rewards, k=2)[0, 0] > 0
