"""Tunix of Google: the advantage estimators of its function registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..calls import Matrix
from ..framework import Framework, ShippedRule
from ..loading import compiled

_FILE = "tunix/rl/algo_core.py"


def _call(name: str) -> Callable[[Matrix], Matrix]:
    """The function on NumPy's float32, which its learner hands over."""
    import jax.numpy as jnp  # noqa: PLC0415

    function = compiled("google-tunix", _FILE, name, {"np": np, "jnp": jnp})

    def advantages(rewards: Matrix) -> Matrix:
        given = np.asarray(rewards, dtype=np.float32)
        return np.asarray(function(given.reshape(-1), given.shape[-1])).reshape(given.shape)

    return advantages


def _rule(name: str, function: str, equals: str) -> ShippedRule:
    return ShippedRule(name=name, equals=equals, call=partial(_call, function), afterwards="as they are")


FRAMEWORK = Framework(
    name="Tunix",
    package="google-tunix",
    version="0.1.7",
    environment="frameworks",
    reached="three functions compiled from their file, which imports flax and a model zoo",
    rules=(
        _rule("grpo", "compute_advantages", "grpo"),
        _rule("rloo", "compute_rloo_advantages", "rloo"),
        _rule("drgrpo", "compute_drgrpo_advantages", "batch-mean"),
    ),
    hook="tunix.rl.function_registry.register_advantage_estimator(name) on f(rewards, num_generations)",
    adapter="maxpo_lab/integrations/adapters/tunix.py",
    loss="ppo:over=sequence-mean",
    loss_says="PPO's clip at 0.2, sequence-mean-token-mean",
    identity="position",
    lasting=False,
    metric_at_k="none",
)
