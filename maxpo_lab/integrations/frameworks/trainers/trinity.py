"""Trinity-RFT: the classes of ``ADVANTAGE_FN``, on experiences with ids."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from ..calls import Matrix, by_position
from ..framework import Framework, ShippedRule
from ..loading import load

_FOLDER = "trinity.algorithm.advantage_fn"


def _module(name: str) -> ModuleType:
    return load(
        "trinity-rft", f"{_FOLDER}.{name}", bare=("trinity", "trinity.algorithm"), absent=("ray", "verl")
    )


def _by_id(module: str, cls: str, settings: dict[str, Any]) -> Callable[[Matrix, Matrix], Matrix]:
    """``process`` of a grouped advantage, which finds groups by batch and task of an experience's id."""
    import torch  # noqa: PLC0415

    rule = getattr(_module(module), cls)(**settings)
    kinds = load("trinity-rft", "trinity.common.experience", bare=("trinity", "trinity.common"))

    def advantages(rewards: Matrix, ids: Matrix) -> Matrix:
        made = [
            kinds.Experience(
                eid=kinds.EID(batch=0, task=str(each), run=row),
                tokens=torch.zeros(2),
                reward=float(np.float32(reward)),
                action_mask=torch.ones(1),
            )
            for row, (reward, each) in enumerate(zip(rewards, ids, strict=True))
        ]
        found, _ = rule.process(list(made))
        by_run = {each.eid.run: float(each.advantages[0]) for each in found}
        return np.array([by_run[row] for row in range(len(made))], dtype=np.float32)

    return advantages


def _of_data(module: str, cls: str) -> Callable[[Matrix, Matrix], Matrix]:
    """A rule that is called with verl's batch."""
    import torch  # noqa: PLC0415

    called = getattr(_module(module), cls)()

    def advantages(rewards: Matrix, ids: Matrix) -> Matrix:
        tokens = torch.from_numpy(np.asarray(rewards, dtype=np.float32))[:, None].clone()
        batch = {"token_level_rewards": tokens, "response_mask": torch.ones_like(tokens)}
        given = SimpleNamespace(batch=batch, non_tensor_batch={"uid": np.asarray(ids)})
        return np.asarray(called(given)[0].batch["advantages"][:, 0].numpy())

    return advantages


def _rule(name: str, equals: str, by_id: Callable[[], Any], formula: str = "") -> ShippedRule:
    return ShippedRule(
        name=name,
        equals=equals,
        formula=formula,
        call=partial(by_position, by_id),
        by_id=by_id,
        afterwards="as they are",
    )


def _grouped(
    name: str, module: str, cls: str, equals: str, formula: str = "", **settings: Any
) -> ShippedRule:
    return _rule(name, equals, partial(_by_id, f"{module}_advantage", cls, settings), formula)


FRAMEWORK = Framework(
    name="Trinity-RFT",
    package="trinity-rft",
    version="0.6.0",
    environment="frameworks",
    reached="its own modules, with the __init__ of trinity skipped and Ray stood in for",
    rules=(
        _grouped("grpo", "grpo", "GRPOGroupedAdvantage", "grpo"),
        _grouped(
            "grpo, std_cal_level=batch",
            "grpo",
            "GRPOGroupedAdvantage",
            "trl-batch:eps=1e-6",
            std_cal_level="batch",
        ),
        _grouped("reinforce", "reinforce", "REINFORCEGroupAdvantage", "reinforce"),
        _grouped("opmd", "opmd", "OPMDGroupAdvantage", "batch-mean"),
        _grouped(
            "opmd, opmd_baseline=logavgexp", "opmd", "OPMDGroupAdvantage", "opmd", opmd_baseline="logavgexp"
        ),
        _grouped("asymre", "asymre", "ASYMREGroupAdvantage", "asymre"),
        _grouped("rec", "rec", "RECGroupedAdvantage", "batch-mean"),
        _grouped("rec, std_normalize", "rec", "RECGroupedAdvantage", "grpo:ddof=0", std_normalize=True),
        _rule("rloo", "rloo", partial(_of_data, "rloo_advantage", "RLOOAdvantageFn")),
    ),
    hook="ADVANTAGE_FN.register_module(name) on a subclass of GroupAdvantage with calculate_group_advantage",
    adapter="maxpo_lab/integrations/adapters/trinity.py",
    loss="dual-clip:over=token-mean",
    loss_says="PPO's clip at 0.2 and dual clip at 3, mean over the tokens of a batch",
    identity="eid.batch and eid.task, step and place in it; info['task_index'] is the task set and the row",
    lasting=True,
    metric_at_k="eval best@k and worst@k: the mean over 1000 bootstrap draws of k of n with replacement",
)
