"""The value rules by name. Tests, the audit and its messages are driven from here."""

from __future__ import annotations

from ..core.registry import Registry
from .as_reported.counting import ABOVE_ZERO, ANY_ABOVE_ZERO, AT_LEAST_ONE, EXACTLY_ONE, PRODUCT_FORM
from .as_reported.others import FIRST_K, POSTERIOR_MEAN, SAMPLE_MEAN
from .as_reported.redraws import VERL_REDRAWS
from .base import ValueRule
from .plug_in import PLUG_IN, SAMPLE_MAX
from .unbiased import UNBIASED

_RULES: Registry[ValueRule] = Registry(
    "value rule",
    (
        (rule.name, rule)
        for rule in (
            *(UNBIASED, PLUG_IN, SAMPLE_MAX),
            *(PRODUCT_FORM, EXACTLY_ONE, AT_LEAST_ONE, ABOVE_ZERO, ANY_ABOVE_ZERO),
            *(VERL_REDRAWS, FIRST_K, SAMPLE_MEAN, POSTERIOR_MEAN),
        )
    ),
    absent="is not registered",
)


def list_value_rules() -> tuple[str, ...]:
    """Names of the value rules: estimates of J_K from one group."""
    return tuple(_RULES)


def get_value_rule(name: str) -> ValueRule:
    """The value rule of this name: ``"unbiased"``, ``"plug-in"``, ``"verl-redraws"``.

    Raises
    ------
    TypeError
        ``name`` is not a string.
    ValueError
        No value rule has this name; the message gives the nearest ones.
    """
    return _RULES[name]


def is_registered(rule: object) -> bool:
    """Whether a rule is the one that the registry has under its name."""
    return isinstance(rule, ValueRule) and rule.name in _RULES and _RULES[rule.name] is rule
