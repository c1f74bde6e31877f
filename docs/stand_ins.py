"""What modules here look at of a framework while they are imported, where no framework is installed.

The reference describes them, and neither its build nor the tests of pages and public names have a framework.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

#: Modules that need a framework when they are imported.
OURS = tuple(
    f"maxpo_lab.integrations.{name}"
    for name in ("adapters.areal", "adapters.torchrl", "adapters.trinity", "verl", "verl_validation")
)


class RolloutWorkflow:
    """AReaL's."""

    async def arun_episode(self, engine: Any, data: Any) -> Any:
        """None."""


class MCAdvantage:
    """TorchRL's."""

    def _inv_call_single(self, trajs: Any) -> Any:
        return self._trajectory_advantage(trajs)

    def _trajectory_advantage(self, trajs: Any) -> Any:
        return trajs


class GroupAdvantage:
    """Trinity-RFT's."""

    def process(self, exps: Any) -> Any:
        """None."""

    @classmethod
    def default_args(cls) -> Any:
        """None."""


def modules() -> dict[str, ModuleType]:
    """By name, made anew: rules are registered in verl's, and a function of it is replaced."""
    registry: dict[str, Callable[..., Any]] = {}

    def process_validation_metrics(
        data_sources: Any, sample_uids: Any, infos_dict: Any, seed: Any, expected_acc_counts: Any
    ) -> Any:
        return {}

    held: dict[str, dict[str, Any]] = {
        "areal.api.workflow_api": {"RolloutWorkflow": RolloutWorkflow},
        "torchrl.objectives.llm": {"MCAdvantage": MCAdvantage},
        "trinity.algorithm.advantage_fn": {"GroupAdvantage": GroupAdvantage},
        "verl.trainer.ppo.core_algos": {
            "ADV_ESTIMATOR_REGISTRY": registry,
            "register_adv_est": lambda key: lambda function: registry.setdefault(key, function),
        },
        "verl.trainer.ppo.metric_utils": {"process_validation_metrics": process_validation_metrics},
    }
    made = {}
    for name, attributes in held.items():
        top = name.partition(".")[0]
        made[top] = ModuleType(top)
        made[name] = ModuleType(name)
        vars(made[name]).update(attributes)
    return made


@contextmanager
def in_place() -> Iterator[dict[str, ModuleType]]:
    """While it lasts ``OURS`` can be imported; afterwards they are as if they had not been."""
    made = modules()
    before = {name: sys.modules.pop(name) for name in (*made, *OURS) if name in sys.modules}
    sys.modules.update(made)
    try:
        yield made
    finally:
        for name in (*made, *OURS):
            sys.modules.pop(name, None)
        sys.modules.update(before)
