"""unsloth, from its package: importing it takes a card."""

from __future__ import annotations

from ..framework import Framework, ShippedRule

FRAMEWORK = Framework(
    name="unsloth",
    package=None,
    version="2026.10.9",
    environment=None,
    reached="read; it patches TRL's trainers and leaves their advantage lines untouched",
    rules=(
        ShippedRule(
            name="GRPO", equals="grpo:eps=1e-4", formula="TRL's; loss_type='dr_grpo' sets scale_rewards=False"
        ),
    ),
    hook="TRL's: a subclass",
    loss_says="TRL's by loss_type; UNSLOTH_GRPO_LOSS_AGGREGATION=prompt weighs groups anew",
    identity="position, as TRL",
    lasting=False,
    metric_at_k="none",
)
