"""What torch sees of the rules: constants for autograd, one break in a compiled graph."""

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
@pytest.mark.parametrize("warm", [False, True])
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
