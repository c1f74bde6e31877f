"""torchrl: ``MCAdvantage``, fed trajectory by trajectory as a replay buffer feeds it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..calls import Matrix, by_position
from ..framework import Framework, ShippedRule


class IncompleteGroupError(ValueError):
    """Rollouts whose group has not as many members as it waits for."""


def _by_id(settings: dict[str, Any]) -> Callable[[Matrix, Matrix], Matrix]:
    """Trajectories of one step with a key; what a group gets comes out once its last member is in."""
    import torch  # noqa: PLC0415
    from tensordict import TensorDict  # noqa: PLC0415
    from torchrl.objectives.llm import MCAdvantage  # noqa: PLC0415

    def trajectory(key: int, row: int, reward: float) -> Any:
        step = {
            "reward": torch.tensor([[reward]], dtype=torch.float32),
            "done": torch.ones(1, 1, dtype=torch.bool),
        }
        return TensorDict(
            {"group": torch.tensor([key]), "row": torch.tensor([row]), "next": TensorDict(step, [1])}, [1]
        )

    def advantages(rewards: Matrix, ids: Matrix) -> Matrix:
        keys = {each: number for number, each in enumerate(dict.fromkeys(ids.tolist()))}
        size = len(ids) // len(keys)
        transform = MCAdvantage(grpo_size=size, prompt_key="group", **settings)
        found = np.full(len(ids), np.inf, dtype=np.float32)
        for row, (reward, each) in enumerate(zip(rewards, ids.tolist(), strict=True)):
            group = transform.inv(trajectory(keys[each], row, float(reward)))
            if group is not None:
                found[group["row"].numpy()] = group["advantage"].reshape(-1).numpy()
        if np.isinf(found).any():
            raise IncompleteGroupError(
                f"{int(np.isinf(found).sum())} rollouts wait for others of their group"
            )
        return found

    return advantages


def _rule(name: str, formula: str, **settings: Any) -> ShippedRule:
    return ShippedRule(
        name=name,
        equals="torchrl-grpo",
        formula=formula,
        call=partial(by_position, partial(_by_id, settings)),
        by_id=partial(_by_id, settings),
        afterwards="written to the buffer with the group",
    )


FRAMEWORK = Framework(
    name="torchrl",
    package="torchrl",
    version="0.14.1",
    environment="frameworks",
    reached="plain import",
    rules=(
        _rule("MCAdvantage", "of T steps: the group's rewards of steps are normalised, zeros too"),
        _rule("MCAdvantage, trajectory_return=sum", "", trajectory_return="sum"),
    ),
    hook="none for the formula: a subclass with _trajectory_advantage; MCAdvantageSelector for a subset",
    adapter="maxpo_lab/integrations/adapters/torchrl.py",
    loss="ppo:over=token-mean",
    loss_says="GRPOLoss: clip_epsilon 0.2, aggregation token_mean",
    identity="the value of prompt_key, text or a tensor; an incomplete group outlives the epoch",
    lasting=True,
    metric_at_k="none",
)
