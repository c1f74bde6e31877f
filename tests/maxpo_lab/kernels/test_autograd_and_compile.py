"""What torch sees of the rules: constants for autograd, one operator or one break in a compiled graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.estimators.families.maxpo import maxpo_quadratic
from maxpo_lab.kernels import tables

torch = pytest.importorskip("torch")

BINARY = [[1.0, 0.0, 1.0, 0.0, 0.0, 0.0], [0.0] * 6, [1.0] * 6]  # two flat groups: 0/0 in a backward pass
CALLS = {
    "quadratic": lambda rewards: maxpo_quadratic(rewards, 2),
    "value": lambda rewards: ml.value_estimate(rewards, 2),
    "omit": lambda rewards: ml.advantages(rewards, 2, nan_policy="omit"),
    "by id": lambda rewards: ml.advantages(rewards.reshape(-1), 2, group_ids=[0] * 7 + [1] * 11),
    "callable": lambda rewards: ml.advantages(rewards, 2, estimator=lambda r, k: r - r.mean()),
}


@pytest.mark.parametrize("name", ml.list_estimators())
def test_advantages_are_constants(name: str) -> None:
    rule, rewards = ml.get_estimator(name), torch.tensor(BINARY, requires_grad=True)
    k = next(k for k in (2, 3) if rule.why_not(6, k) is None)
    log = torch.zeros_like(rewards, requires_grad=True)
    for found in (ml.advantages(rewards, k, estimator=name), rule(rewards, k)):
        assert not found.requires_grad
        assert torch.equal(found, rule(rewards.detach(), k))
        (gradient,) = torch.autograd.grad((found * log).sum(), log)
        assert torch.equal(gradient, found)
    assert rewards.requires_grad


@pytest.mark.parametrize("what", CALLS)
def test_every_way_in_gives_constants(what: str) -> None:
    rewards = torch.tensor(BINARY, requires_grad=True)
    found = CALLS[what](rewards * 2)
    assert not found.requires_grad
    assert torch.equal(found, CALLS[what](rewards.detach() * 2))
    with torch.inference_mode():
        inside = torch.tensor(BINARY) * 2
        assert torch.equal(CALLS[what](inside), found)
    assert torch.equal(CALLS[what](inside), found)


# torch's tracer reads the .grad of intermediate tensors, and warns itself of it.
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
@pytest.mark.parametrize("warm", [False, pytest.param(True, marks=pytest.mark.integration)])
def test_a_compiled_step_gives_the_same_numbers(warm: bool) -> None:
    def step(rewards: Any, log: Any) -> Any:
        doubled = rewards * 2 - rewards
        parts = [
            ml.advantages(doubled, 3) * log,
            ml.advantages(doubled, 3, estimator="pkpo-s") * log,
            ml.get_estimator("passk-training")(doubled, 3) * log,
            CALLS["by id"](doubled).reshape(3, 6) * log,
        ]
        return torch.stack([part.sum() for part in parts])

    log = torch.rand(3, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    rewards = torch.tensor(BINARY)
    torch.compiler.reset()
    tables._kept.cache_clear()
    tables._vector.cache_clear()
    if warm:
        step(rewards, log)
    found = torch.compile(step, backend="eager")(rewards, log)
    want = step(rewards, log)
    assert torch.equal(found, want)
    for got, expected in zip(
        torch.autograd.grad(found.sum(), log), torch.autograd.grad(want.sum(), log), strict=True
    ):
        assert torch.equal(got, expected)


def test_numpy_inside_a_compiled_function() -> None:
    rewards = np.array(BINARY)

    def advantages(groups: Any) -> Any:
        return ml.advantages(groups, 2)

    found = torch.compile(advantages, backend="eager")(rewards)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == ml.advantages(rewards, 2).tolist()


def unlooked(name: str) -> Any:
    """A call without a look at the rewards, and rewards of the rule's domain."""
    rule = ml.get_estimator(name)
    k = next(k for k in (2, 3) if rule.why_not(6, k) is None)
    rewards = (
        torch.tensor(BINARY) if rule.domain == "binary" else torch.linspace(0, 1, 18).sin().reshape(3, 6)
    )
    return lambda given: ml.advantages(given, k, estimator=name, validate=False), rewards


@pytest.mark.parametrize("name", ml.list_estimators())
def test_without_a_look_the_answer_is_the_same(name: str) -> None:
    call, rewards = unlooked(name)
    want = call(rewards)
    k = next(k for k in (2, 3) if ml.get_estimator(name).why_not(6, k) is None)
    assert torch.equal(want, ml.advantages(rewards, k, estimator=name))
    assert not call(rewards.clone().requires_grad_()).requires_grad
    assert torch.equal(want, torch.tensor(call(rewards.numpy())))
    # Under vmap a rank-linear rule runs by torch's own operations: sums in another order.
    for axis in (0, 1):
        mapped = torch.func.vmap(call, in_dims=axis)(rewards.movedim(0, axis))
        torch.testing.assert_close(mapped, want, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
@pytest.mark.parametrize(
    "name", ["maxpo", "pkpo-s", "l-statistic:LowerTailMean:0.25", "grpo", "passk-training"]
)
def test_without_a_look_there_is_one_graph(name: str) -> None:
    call, rewards = unlooked(name)
    log = torch.ones_like(rewards).requires_grad_()

    def step(given: Any, log: Any) -> Any:
        return (call(given * 1) * log).sum()

    torch.compiler.reset()
    tables._kept.cache_clear()
    tables._vector.cache_clear()
    loss = torch.compile(step, backend="aot_eager", fullgraph=True)(rewards, log)
    (gradient,) = torch.autograd.grad(loss, log)
    assert torch.equal(gradient, call(rewards))
    mapped = torch.compile(torch.func.vmap(call), backend="eager", fullgraph=True)(rewards)
    assert torch.equal(mapped, call(rewards))


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
@pytest.mark.parametrize(
    "name",
    [
        "maxpo",
        "pkpo-s",
        *(pytest.param(each, marks=pytest.mark.integration) for each in ("grpo", "maxrl-pkpo")),
    ],
)
def test_groups_of_other_sizes_are_traced_too(name: str) -> None:
    """From the second size on torch.compile makes n a symbol."""
    torch.compiler.reset()
    compiled = torch.compile(
        lambda given: ml.advantages(given, 2, estimator=name, validate=False),
        fullgraph=True,
        backend="eager",
        dynamic=True,
    )
    for n in (4, 6, 9):
        rewards = torch.tensor(np.eye(3, n), dtype=torch.float32)
        assert torch.equal(compiled(rewards), ml.advantages(rewards, 2, estimator=name)), n


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
def test_rules_are_arguments_of_a_graph() -> None:
    """From the second rule on torch.compile makes its number a symbol."""
    torch.compiler.reset()
    compiled = torch.compile(
        lambda given, rule: ml.advantages(given, 2, estimator=rule, validate=False),
        fullgraph=True,
        backend="eager",
    )
    rewards = torch.tensor(np.eye(3, 6))
    for name in ("maxpo", "pkpo-s", "rloo"):
        rule = ml.get_estimator(name)
        assert torch.equal(compiled(rewards, rule), rule(rewards, 2)), name


@pytest.mark.parametrize("name", ml.list_estimators())
def test_no_groups_are_no_groups(name: str) -> None:
    rule = ml.get_estimator(name)
    k = next(k for k in (2, 3) if rule.why_not(6, k) is None)
    for rewards in (np.ones((0, 6)), torch.ones(2, 0, 6)):
        assert ml.advantages(rewards, k, estimator=name, validate=False).shape == rewards.shape


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_a_graph_refuses_where_the_rule_is_not_defined() -> None:
    torch.compiler.reset()
    compiled = torch.compile(
        lambda given: ml.advantages(given, 6, validate=False), fullgraph=True, backend="eager"
    )
    with pytest.raises(Exception, match=r"n=6, k=6") as refusal:
        compiled(torch.zeros(3, 6))
    assert "maxpo needs k <= n-1" in str(refusal.value)
    with pytest.raises(ValueError, match="maxpo needs k <= n-1"):
        ml.advantages(torch.zeros(3, 6), 6, validate=False)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_without_a_look_what_needs_one_is_refused() -> None:
    rewards = np.array(BINARY)
    for asked in ({"group_ids": [0] * 18}, {"nan_policy": "omit"}, {"small_groups": "zero"}):
        with pytest.raises(ValueError, match="validate=False takes dense groups"):
            ml.advantages(rewards, 2, validate=False, **asked)
    with pytest.raises(TypeError, match="what a callable answers"):
        ml.advantages(rewards, 2, validate=False, estimator=lambda given, k: given)
    for wrong, says in ((rewards.astype(int), "pass floats"), (torch.tensor(BINARY).int(), "pass floats")):
        with pytest.raises(TypeError, match=says):
            ml.advantages(wrong, 2, validate=False)
    for odd in (np.ma.masked_array(rewards, rewards > 0), np.asmatrix(rewards)):
        with pytest.raises(TypeError, match="pass a plain array"):
            ml.advantages(odd, 2, validate=False)
    with pytest.raises(ValueError, match="scalar"):
        ml.advantages(torch.tensor(1.0), 1, validate=False)
    with pytest.raises(TypeError):
        ml.advantages(BINARY, 2, validate=False)


def test_without_a_look_a_bad_row_spoils_no_other() -> None:
    rewards = np.random.default_rng(0).normal(size=(6, 5))
    want = ml.advantages(rewards, 2)
    rewards[2, 1] = np.nan
    for given in (rewards, torch.tensor(rewards)):
        found = np.asarray(ml.advantages(given, 2, validate=False))
        np.testing.assert_array_equal(np.delete(found, 2, axis=0), np.delete(want, 2, axis=0))


def test_a_tensor_of_a_kind_of_its_own_stays_one() -> None:
    class Kind(torch.Tensor):
        pass

    rewards = torch.tensor(BINARY).as_subclass(Kind)
    found = ml.advantages(rewards, 2)
    assert type(found) is Kind
    torch.testing.assert_close(found.as_subclass(torch.Tensor), ml.advantages(torch.tensor(BINARY), 2))
