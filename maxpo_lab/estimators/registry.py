"""The catalogue by name. Tests, tables, documentation and the command line are driven from here."""

from __future__ import annotations

import copyreg
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from ..objectives import PREFIX
from . import as_coded, l_statistic, maxpo, maxrl, mean_reward, pkpo, predictive, standardised, winner
from .base import Estimator
from .numerals import numeral

_FAMILIES = (mean_reward, standardised, maxrl, pkpo, maxpo, predictive, l_statistic, winner, as_coded)
_CATALOGUE: dict[str, Estimator] = {rule.name: rule for family in _FAMILIES for rule in family.RULES}
#: Rules with parameters: ``name:key=value,key=value``, each key an argument of the function.
_PARAMETRISED: Mapping[str, Callable[..., Estimator]] = {
    "grpo": standardised.grpo,
    "maxrl": maxrl.maxrl,
    "leader": winner.leader,
    "entropic": winner.entropic,
}


def list_estimators() -> tuple[str, ...]:
    """Names of the catalogue, family by family; ``parameters`` tells which take more."""
    return tuple(_CATALOGUE)


def parameters(name: str) -> dict[str, Any]:
    """Parameters of a rule: ``{"eps": 1e-06, "ddof": 1}`` for ``"grpo"``, its own for ``"grpo:eps=1e-4"``."""
    family, colon, arguments = name.partition(":")
    if family not in _PARAMETRISED:
        return {}
    accepted = inspect.signature(_PARAMETRISED[family]).parameters
    defaults = {key: parameter.default for key, parameter in accepted.items()}
    return defaults | _keywords(name, defaults, arguments) if colon else defaults


#: Rules with parameters that were made, by the name that each has: one object a rule, however it was spelled.
_MADE: dict[str, Estimator] = {}


@cache
def _parsed(spec: str) -> Estimator:
    made = _made(spec)
    return _CATALOGUE.get(made.name) or _MADE.setdefault(made.name, made)


def _made(spec: str) -> Estimator:
    name, _, arguments = spec.partition(":")
    if name in _PARAMETRISED:
        return _PARAMETRISED[name](**_keywords(spec, parameters(name), arguments))
    if spec.startswith(PREFIX):
        return l_statistic.l_statistic(arguments)
    if name in _CATALOGUE:
        takes = ", ".join((*_PARAMETRISED, PREFIX + "<preset>"))
        raise ValueError(f"estimator {spec!r}: {name} takes no parameters; those that do: {takes}")
    near = get_close_matches(name.lower(), {PREFIX + "TopM:2", *_CATALOGUE}, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(_CATALOGUE)}"
    raise ValueError(f"estimator {spec!r} is not in the catalogue; {hint}")


def _keywords(spec: str, defaults: Mapping[str, Any], text: str) -> dict[str, Any]:
    """``"eps=1e-4,ddof=0"`` as keyword arguments of the types of the defaults."""
    found: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in defaults or key in found:
            accepted = ",".join(f"{key}={numeral(default)}" for key, default in defaults.items())
            raise ValueError(
                f"estimator {spec!r}: {part!r} is not one of its parameters, once; e.g. {accepted}"
            )
        kind = type(defaults[key])
        try:
            found[key] = kind(value)
        except ValueError:
            raise ValueError(f"estimator {spec!r}: {key}={value!r} is not {_KINDS[kind]}") from None
    return found


_KINDS = {int: "a whole number", float: "a number"}


def get_estimator(name: str) -> Estimator:
    """The estimator of this name, or of a name with parameters.

    ``"maxpo"``, ``"grpo:eps=1e-4,ddof=1"``, ``"maxrl:eps=1e-6"``, ``"entropic:beta=2"``,
    ``"leader:alpha=0.5"``, ``"l-statistic:TopM:2"``. One object a rule, however its parameters are
    spelled, here and after pickling.

    Raises
    ------
    TypeError
        ``name`` is not a string.
    ValueError
        No estimator has this name (the message gives the nearest ones), or a parameter is not one of its
        own, not a number, or out of range.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"estimator={name!r} is a {type(name).__name__}: it must be a name, one of "
            f"{', '.join(_CATALOGUE)}"
        )
    return _CATALOGUE[name] if name in _CATALOGUE else _parsed(name)


def _reduced(rule: Estimator) -> str | tuple[Any, ...]:
    """For pickle and copy: a rule of the catalogue is its name, and comes back as the same object."""
    known = _CATALOGUE.get(rule.name) or _MADE.get(rule.name)
    return (get_estimator, (rule.name,)) if known is rule else object.__reduce_ex__(rule, 2)


for _kind in {type(rule) for rule in _CATALOGUE.values()}:
    copyreg.pickle(_kind, _reduced)
