"""ms-swift: ``swift.rl_core.advantage``, one pure function for all its back ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from ..calls import Matrix, of_flat
from ..framework import Framework, ShippedRule
from ..loading import compiled, load

_AFTER = "as they are; the KL to a reference, off by default for grpo, is in the reward before"


def _module() -> ModuleType:
    import typing  # noqa: PLC0415

    import torch  # noqa: PLC0415

    module = load(
        "ms-swift", "swift.rl_core.advantage", bare=("swift", "swift.rl_core"), absent=("swift.utils",)
    )
    names = {"torch": torch, "Optional": typing.Optional, "Union": typing.Union}
    module.nanstd = compiled("ms-swift", "swift/utils/torch_utils.py", "nanstd", names)  # type: ignore[attr-defined]
    return module


def _call(estimator: str, scale: str) -> Callable[[Matrix], Matrix]:
    import torch  # noqa: PLC0415

    module = _module()

    def advantages(rewards: Any, n: int) -> Any:
        return module.compute_advantages(rewards[:, None], torch.ones(1), n, estimator, scale)[0]

    return of_flat(advantages)


def _by_id(estimator: str, scale: str) -> Callable[[Matrix, Matrix], Matrix]:
    import torch  # noqa: PLC0415

    module = _module()

    def advantages(rewards: Matrix, ids: Matrix) -> Matrix:
        given = torch.from_numpy(np.asarray(rewards, dtype=np.float32))[:, None]
        prompts, requests = [str(each) for each in ids], [str(row) for row in range(len(ids))]
        found = module.compute_advantages_dynamic(given, torch.ones(1), prompts, requests, estimator, scale)
        return np.asarray(found[0].numpy())

    return advantages


def _rule(estimator: str, scale: str, equals: str, *, by_id: bool = True, formula: str = "") -> ShippedRule:
    return ShippedRule(
        name=f"{estimator}, scale_rewards={scale}",
        equals=equals,
        formula=formula,
        call=partial(_call, estimator, scale),
        by_id=partial(_by_id, estimator, scale) if by_id else None,
        afterwards=_AFTER,
    )


FRAMEWORK = Framework(
    name="ms-swift",
    package="ms-swift",
    version="4.6.0",
    environment="frameworks",
    reached="its own module, with swift's __init__ skipped and nanstd compiled from its file",
    rules=(
        _rule("grpo", "group", "grpo:eps=1e-4"),
        _rule("grpo", "none", "batch-mean"),
        _rule("grpo", "batch", "trl-batch"),
        _rule("rloo", "none", "rloo"),
        _rule("rloo", "group", "rloo-standardised"),
        _rule("reinforce_plus_plus", "group", "grpo:eps=1e-4"),
        _rule("reinforce_plus_plus", "batch", "ms-swift-reinforce-plus-plus"),
        _rule("grpo", "gdpo", "gdpo-single-reward:eps=1e-8,add=1e-8", by_id=False),
    ),
    hook="none: --external_plugins FILE is imported and may put another function in the place of "
    "grpo_trainer.compute_advantages; or MaxPO's advantages as rewards of grpo with scale_rewards=none",
    adapter="maxpo_lab/integrations/adapters/ms_swift.py",
    loss="trl:grpo",
    loss_says="PPO's clip at 0.2, mean of the means of rollouts",
    identity="position, or prompt_id and request_id of a step",
    lasting=False,
    metric_at_k="none",
)
