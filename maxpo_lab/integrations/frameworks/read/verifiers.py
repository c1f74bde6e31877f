"""verifiers, from its package: environments and rewards, whose advantages are filled in by a trainer."""

from __future__ import annotations

from ..framework import Framework

FRAMEWORK = Framework(
    name="verifiers",
    package=None,
    version="0.4.0",
    environment=None,
    reached="read; it computes no advantages: trace.advantages is a field for others",
    rules=(),
    hook="none of its own: prime-rl's, or the trainer's that fills trace.advantages",
    loss_says="none",
    identity="the trainer's",
    lasting=None,
    metric_at_k="not looked at",
)
