"""A memory in a checkpoint: the same bits go on, and what is damaged or another's is refused by name."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from maxpo_lab.memory.replay import Replay


def steps_of(seed: int, steps: int = 6) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        ((rng.random((5, 6)) < 0.4) * 1.0, rng.integers(0, 9, 5), rng.integers(0, 2, (5, 6)))
        for _ in range(steps)
    ]


def trained(memory: Replay, seed: int = 0) -> Replay:
    for rewards, prompts, answers in steps_of(seed):
        memory.advantages(rewards, prompts, answers=answers)
    return memory


def through_numpy(state: dict[str, Any]) -> Any:
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    return dict(np.load(file, allow_pickle=False))


def through_torch(state: dict[str, Any]) -> Any:
    file = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in state.items()}, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("carried", [dict, through_numpy, through_torch])
@pytest.mark.parametrize("settings", [{}, {"keep": 8}, {"half_life": 3.0, "weight": "others"}], ids=str)
def test_a_memory_goes_on_with_the_same_bits(carried: Callable[..., Any], settings: dict[str, Any]) -> None:
    first, second = trained(Replay(2, **settings)), Replay(2, **settings)
    second.load_state_dict(carried(first.state_dict()))
    for rewards, prompts, answers in steps_of(1):
        found = [each.advantages(rewards, prompts, answers=answers) for each in (first, second)]
        assert np.array_equal(*found)
        assert first.metrics == second.metrics
    ends = [each.state_dict() for each in (first, second)]
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_an_empty_memory_is_a_state_too() -> None:
    memory = trained(Replay(2))
    memory.load_state_dict(Replay(2).state_dict())
    assert memory.step == 0
    memory.advantages(np.eye(2), [0, 1])
    assert memory.metrics["known"] == 0


def test_a_state_is_a_copy() -> None:
    memory = trained(Replay(2))
    state = memory.state_dict()
    before = {name: array.copy() for name, array in state.items()}
    trained(memory, seed=3)
    assert all(np.array_equal(before[name], each) for name, each in state.items())
    other = Replay(2)
    other.load_state_dict(state)
    trained(other, seed=3)
    assert all(np.array_equal(before[name], each) for name, each in state.items())


def flipped(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """One bit of an array."""

    def changed(state: dict[str, Any]) -> dict[str, Any]:
        array = state[name].copy()
        np.atleast_1d(array).view(np.uint8).reshape(-1)[-1] ^= 1
        return state | {name: array}

    return changed


ARRAYS = sorted(Replay(2).state_dict())


@pytest.mark.parametrize(
    ("change", "error", "fragments"),
    [
        (lambda s: [s], TypeError, ["state is a list", "Replay.state_dict()"]),
        (lambda s: {}, ValueError, ["not one of Replay.state_dict()", "no aged, along"]),
        (lambda s: s | {"model": np.zeros(2)}, ValueError, ["model, which none has"]),
        (lambda s: {n: a for n, a in s.items() if n != "ids"}, ValueError, ["it holds no ids"]),
        (lambda s: s | {"version": np.array(9)}, ValueError, ["version=9", "release"]),
        (lambda s: Replay(2, keep=8).state_dict(), ValueError, ["keep=8", "keep=64"]),
        (lambda s: Replay(2, half_life=2).state_dict(), ValueError, ["aged=1", "half_life"]),
        (lambda s: s | {"ids": s["ids"].astype(float)}, ValueError, ["damaged", "ids has dtype float64"]),
        (lambda s: s | {"rewards": s["rewards"][0]}, ValueError, ["damaged", "rewards has dtype"]),
        (lambda s: s | {"ids": s["ids"][:-1]}, ValueError, ["damaged", "different sizes"]),
        (lambda s: s | {"rewards": s["rewards"][:, :0]}, ValueError, ["damaged", "different sizes"]),
        *(
            (flipped(name), ValueError, [])
            for name in ARRAYS
            if name != "steps"  # it has no columns without a half-life
        ),
    ],
)
def test_what_is_damaged_or_anothers_is_refused_and_nothing_is_lost(
    change: Callable[[Any], Any], error: type[Exception], fragments: list[str]
) -> None:
    memory = trained(Replay(2))
    before = memory.state_dict()
    with pytest.raises(error, match="state") as caught:
        memory.load_state_dict(change(trained(Replay(2), seed=4).state_dict()))
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)
    assert all(np.array_equal(before[name], each) for name, each in memory.state_dict().items())
    rewards, prompts, _ = steps_of(5)[0]
    assert memory.advantages(rewards, prompts).any()


def test_ages_of_another_width_are_refused() -> None:
    state = trained(Replay(2, half_life=2.0)).state_dict()
    with pytest.raises(ValueError, match="damaged: its arrays are of different sizes"):
        Replay(2, half_life=2.0).load_state_dict(state | {"steps": state["steps"][:, 1:]})
