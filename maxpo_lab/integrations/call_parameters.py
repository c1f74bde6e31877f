"""What a function takes, by the names of its parameters: K, the group size, settings, tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

#: Names under which functions take the K of max@K, and a group size.
_K = frozenset({"k", "K", "pass_k", "passk", "pass_at_k", "top_k", "max_k"})
_N = frozenset({"n", "N", "G", "group_size", "num_generations", "n_samples", "num_rollouts"})


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function; none where it does not tell."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def takes_tensors(function: Callable[..., Any]) -> bool:
    """Whether the first parameter is annotated as a tensor."""
    parameters = parameters_of(function)
    return bool(parameters) and "Tensor" in str(parameters[0].annotation)


def arguments_for(
    function: Callable[..., Any], n: int, k: int, settings: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What follows the rewards in a call, by place and by name.

    Settings go by name. K and n go to parameters of their usual names; else K goes to a second parameter by
    place, if it has no default. A function that does not tell its parameters gets K by place.
    """
    parameters = parameters_of(function)
    if not parameters:
        return (k,), dict(settings)
    rest = parameters[1:]
    any_name = any(p.kind == p.VAR_KEYWORD for p in rest)
    known = {**dict.fromkeys(_K, k), **dict.fromkeys(_N, n), **settings}
    named = {
        p.name: known[p.name]
        for p in rest
        if p.name in known and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    if any_name:
        named = {"k": k, **settings, **named}
    by_place = [p for p in rest if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    placed = by_place[:1] and by_place[0].name not in named and by_place[0].default is inspect.Parameter.empty
    if placed or any(p.kind == p.VAR_POSITIONAL for p in parameters):
        named.pop("k", None)
        return (k,), named
    return (), named


def taken(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments that the function takes by keyword."""
    parameters = parameters_of(function)
    if not parameters or any(p.kind == p.VAR_KEYWORD for p in parameters):
        return dict(arguments)
    names = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return {name: value for name, value in arguments.items() if name in names}
