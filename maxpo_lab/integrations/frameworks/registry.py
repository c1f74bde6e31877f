"""The frameworks by name. The study, the documentation's table and the tests walk it."""

from __future__ import annotations

from ...core.registry import Registry
from .framework import Framework
from .libraries import art, forge, oat, retrain, stateset, tinker_cookbook, torchrl, tunix
from .read import agilerl, easyr1, nemo_rl, prime_rl, rllm, slime, unsloth, verifiers
from .trainers import areal, ms_swift, openrlhf, rlinf, skyrl, trinity, trl, verl

_FRAMEWORKS: Registry[Framework] = Registry(
    "framework",
    {
        each.FRAMEWORK.name: each.FRAMEWORK
        for each in (
            *(trl, verl, openrlhf, ms_swift, areal, skyrl, trinity, rlinf),
            *(torchrl, art, oat, tunix, tinker_cookbook, stateset, forge, retrain),
            *(rllm, slime, prime_rl, nemo_rl, easyr1, unsloth, verifiers, agilerl),
        )
    },
)


def list_frameworks() -> tuple[str, ...]:
    """Names of the frameworks: those whose code was run first."""
    return tuple(_FRAMEWORKS)


def get_framework(name: str) -> Framework:
    """The framework of this name. ValueError: there is none, with the nearest names."""
    return _FRAMEWORKS[name]
