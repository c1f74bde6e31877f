"""oat: ``compute_monte_carlo_advantages`` of its PPO and of its reproduction of Dr. GRPO."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from ..calls import Matrix, of_flat
from ..framework import Framework, ShippedRule
from ..loading import compiled

_PLACES = {"ppo": "oat/algorithms/ppo.py", "zero_math": "oat/experiment/run_math_rl.py"}


def _call(path: str, cls: str, critic: str) -> Callable[[Matrix], Matrix]:
    import torch  # noqa: PLC0415

    function = compiled("oat-llm", path, f"{cls}.compute_monte_carlo_advantages", {"torch": torch})

    def advantages(rewards: Any, n: int) -> Any:
        args = SimpleNamespace(num_samples=n, critic_type=critic, remove_std_bias=False)
        return function(SimpleNamespace(args=args), rewards[:, None], torch.ones(len(rewards), 1))

    return of_flat(advantages)


def _rule(name: str, equals: str, path: str, cls: str, critic: str) -> ShippedRule:
    return ShippedRule(
        name=name, equals=equals, call=partial(_call, path, cls, critic), afterwards="as they are"
    )


FRAMEWORK = Framework(
    name="oat",
    package="oat-llm",
    version="0.2.4",
    environment="frameworks",
    others="for Python 3.10: installed without that check, as two functions of it are run",
    reached="the two methods compiled from their files, which import vLLM and launchpad",
    rules=(
        _rule("grpo", "grpo:eps=1e-8", "oat/algorithms/ppo.py", "PPOLearner", "grpo"),
        _rule("drgrpo", "batch-mean", "oat/algorithms/ppo.py", "PPOLearner", "drgrpo"),
        _rule(
            "run_math_rl, grpo", "grpo:eps=1e-8", "oat/experiment/run_math_rl.py", "ZeroMathLearner", "grpo"
        ),
        _rule(
            "run_math_rl, drgrpo", "batch-mean", "oat/experiment/run_math_rl.py", "ZeroMathLearner", "drgrpo"
        ),
    ),
    hook="none: a subclass with compute_monte_carlo_advantages(rewards, response_masks)",
    loss="ppo:over=sequence-mean",
    loss_says="PPO's clip at 0.2, mean of the means of rollouts; of drgrpo a sum over a constant",
    identity="position",
    lasting=False,
    metric_at_k="actor/pass@k of rejection sampling: any of a prompt's n samples right, k being n",
)
