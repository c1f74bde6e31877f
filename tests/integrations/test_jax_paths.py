"""JAX arrays: eager, compiled and mapped, in float32 alone and with x64, for the whole catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("jax") is None, reason="JAX is an extra: make test-integrations"),
]
RNG = np.random.default_rng(0)
#: Levels that float32 holds exactly, so that ties are ties in either type.
REWARDS = {
    "binary": RNG.integers(0, 2, (12, 9)).astype(np.float64),
    "unit": RNG.integers(0, 9, (12, 9)) / 8,
    "real": np.concatenate([RNG.integers(-8, 9, (12, 9)) / 8, np.full((1, 9), 0.75)]),
}


@pytest.fixture(params=[False, True], ids=["float32", "x64"])
def x64(request: pytest.FixtureRequest) -> Iterator[bool]:
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", request.param)
    yield request.param
    jax.config.update("jax_enable_x64", before)


def ways(rewards: Any, name: str, k: int) -> dict[str, Any]:
    """The answer with a look at the rewards, and traced in three ways."""
    import jax

    def call(given: Any) -> Any:
        return ml.advantages(given, k, estimator=name, validate=False)

    return {
        "eager": ml.advantages(rewards, k, estimator=name),
        "jit": jax.jit(call)(rewards),
        "vmap": jax.vmap(call)(rewards),
        "jit of vmap": jax.jit(jax.vmap(call))(rewards),
    }


@pytest.mark.parametrize("name", ml.list_estimators())
def test_every_rule_is_traced_and_as_good_as_its_type(name: str, x64: bool) -> None:
    import jax.numpy as jnp

    rule = ml.get_estimator(name)
    k = next(k for k in (4, 3, 1) if rule.why_not(9, k) is None)
    rewards = REWARDS[rule.domain]
    want = ml.advantages(rewards, k, estimator=name)
    given = jnp.asarray(rewards)
    assert str(given.dtype) == ("float64" if x64 else "float32")
    eps = float(jnp.finfo(given.dtype).eps)
    # float64's order of summation; without x64 a sum of n terms in float32, and a division by a deviation
    # or by e^-beta, which multiplies an error of its terms by at most 16 here.
    allowed = (64 if x64 else 9 * 16) * eps * max(1.0, float(np.abs(want).max()))
    for way, found in ways(given, name, k).items():
        assert found.dtype == given.dtype, way
        assert np.abs(np.asarray(found, dtype=np.float64) - want).max() <= allowed, (way, name)


@pytest.mark.parametrize(("name", "n"), [("maxpo", 5), ("rloo", 200), ("pkpo-loo", 40)])
def test_ties_and_dead_groups(name: str, n: int, x64: bool) -> None:
    import jax.numpy as jnp

    rewards = np.random.default_rng(n).integers(0, 5, (20, n)) / 8
    rewards[0] = 0.0
    for way, found in ways(jnp.asarray(rewards), name, 3).items():
        for group, row in zip(rewards, np.asarray(found), strict=True):
            for level in np.unique(group):
                assert len(set(row[group == level])) == 1, way
        assert not np.asarray(found)[0].any(), way


def test_what_is_made_in_a_trace_is_not_kept_for_the_next_call(x64: bool) -> None:
    import jax
    import jax.numpy as jnp

    rewards = jnp.asarray(REWARDS["binary"])
    for name in ("passk-training", "canonical"):
        traced = jax.jit(lambda given, name=name: ml.advantages(given, 5, estimator=name, validate=False))(
            rewards
        )
        np.testing.assert_allclose(ml.advantages(rewards, 5, estimator=name), traced, rtol=1e-5, atol=1e-6)


def test_a_bad_reward_is_found_where_it_is_looked_at() -> None:
    import jax.numpy as jnp

    with pytest.raises(ValueError, match=r"rewards\[1\] is nan"):
        ml.advantages(jnp.asarray([0.0, np.nan, 1.0]), 2)


def test_float32_is_not_remembered_once_there_is_float64() -> None:
    import jax
    import jax.numpy as jnp

    rewards = np.random.default_rng(0).random((4, 40))
    want, before = ml.advantages(rewards, 2), jax.config.jax_enable_x64
    try:
        jax.config.update("jax_enable_x64", False)
        jax.jit(ml.advantages, static_argnames=("k", "validate"))(jnp.asarray(rewards), k=2, validate=False)
        jax.config.update("jax_enable_x64", True)
        found = np.asarray(ml.advantages(jnp.asarray(rewards), 2))
    finally:
        jax.config.update("jax_enable_x64", before)
    assert np.abs(found - want).max() <= 1e-15 * np.abs(want).max()


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("name", ["maxpo", "pkpo-s", "grpo"])
def test_advantages_are_constants(name: str, validate: bool) -> None:
    import jax
    import jax.numpy as jnp

    rewards = jnp.asarray(REWARDS["real"][:2], dtype=jnp.float32)

    def loss(given: Any) -> Any:
        return (ml.advantages(given, 3, estimator=name, validate=validate) * given).sum()

    np.testing.assert_array_equal(jax.grad(loss)(rewards), ml.advantages(rewards, 3, estimator=name))
