"""Calling conventions of other projects, each behind the one call of this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..core.arrays import Int
from ..core.precision import as_numpy
from ..core.registry import Registry
from ..estimators.entry import Entry
from ..evaluation import ValueRule
from ..rules.calling import Rule, describe
from ..rules.kinds import BatchRule
from ..rules.outputs import ADVANTAGES, Output
from .call_parameters import arguments_for, parameters_of, taken, takes_tensors

Signature = Literal["auto", "group", "batch", "verl", "skyrl", "rllm"]

#: Tokens of a response in a token-level call where nobody asks for other lengths; the reward is on the last.
_TOKENS = 2


class NoConventionError(ValueError):
    """No trial call of a function gave advantages of the shape of the rewards, or a value per group.

    ``answered``: some call returned, with another shape; else all raised.
    """

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered


class Settings(dict[str, Any]):
    """A trainer's configuration: read by attribute, by key or with ``get``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the configuration holds no {name!r}, only {', '.join(self)}") from None


def adapt(
    function: Callable[..., Any],
    signature: Signature = "auto",
    *,
    settings: Mapping[str, Any] | None = None,
    n: int = 4,
    k: int = 2,
    output: Output = ADVANTAGES,
) -> Rule:
    """A callable of another project as a rule ``(rewards (B, n), k) -> (B, n)``.

    With ``output=rules.VALUES`` as a value rule: ``"batch"`` is then ``(rewards (B, n), k) -> (B,)``,
    ``"group"`` is ``(rewards (n,), k) -> number``, and there are no others.

    Parameters
    ----------
    function
        What to adapt.
    signature
        How it is called:

        - ``"batch"``: ``(rewards (B, n), k) -> (B, n)``, or without k;
        - ``"group"``: ``(rewards (n,), k) -> (n,)``, or without k. A group size goes to a parameter of a
          usual name (``n``, ``group_size``, ``num_generations``);
        - ``"verl"``, ``"skyrl"``: keywords ``token_level_rewards (bs, T)``, ``response_mask (bs, T)``,
          ``index`` (a group id per row) and ``config``, of which it gets those it takes; the first of
          ``(advantages, returns)``, both (bs, T), is read. The two differ in their settings alone;
        - ``"rllm"``: ``(list of arrays (n,), config) -> (list of arrays, ...)``;
        - ``"auto"``: the first of these that fits, found out by small calls.

        The first two get NumPy arrays, or torch tensors where the first parameter is annotated so or NumPy's
        make them raise; the token-level ones torch tensors of float32, in which trainers hold rewards. Of a
        tuple the first is read, of a mapping ``"advantages"``.
    settings
        What ``config`` holds next to k; those that the function takes as keywords are passed as such.
    n, k
        Group size and K of the calls that find the convention.
    output
        What the function gives.

    Raises
    ------
    TypeError
        Not callable.
    ValueError
        An unknown signature, or one that values do not come by.
    NoConventionError
        No call fits; the message says what each gave.
    """
    if isinstance(function, Entry | BatchRule | ValueRule | Adapted):
        return function
    if not callable(function):
        raise TypeError(f"rule={function!r} is a {type(function).__name__}: it must be callable, or a name")
    tried = conventions(signature, output)
    given = Settings(settings or {})
    if (
        signature == "auto"
        and output.per_rollout
        and any(p.name == "token_level_rewards" for p in parameters_of(function))
    ):
        return Adapted(function, "verl", given, output=output)
    if signature in ("verl", "skyrl", "rllm"):
        return Adapted(function, signature, given)
    reasons: dict[str, str] = {}
    libraries = (False, True) if find_spec("torch") else (False,)
    for tensors in reversed(libraries) if takes_tensors(function) else libraries:
        for each in tried:
            rule = Adapted(function, each, given, tensors, output)
            reason = _trial(rule, n, k)
            if reason is None:
                return rule
            reasons.setdefault(each, reason)
    said = "; ".join(f"as {each}: {reason}" for each, reason in reasons.items())
    raise NoConventionError(
        f"{describe(function)} fits no calling convention ({said}); name one that does",
        answered=any(reason.startswith("shape") for reason in reasons.values()),
    )


@dataclass(frozen=True, eq=False)
class Adapted:
    """A function behind the call ``(rewards (B, n), k) -> (B, n)``, or ``(B,)`` of values, on NumPy arrays.

    ``tensors``: it gets torch tensors, which share the memory of the arrays, so that what it writes into
    them is seen.
    """

    function: Callable[..., Any]
    signature: str
    settings: Settings
    tensors: bool = False
    output: Output = ADVANTAGES

    @property
    def name(self) -> str:
        """The function's."""
        return describe(self.function)

    @property
    def convention(self) -> str:
        """How it is called, in words."""
        return f"{self.signature} (torch)" if self.tensors else self.signature

    @property
    def sees_lengths(self) -> bool:
        """Whether a call says how long responses are."""
        return _CONVENTIONS[self.signature] is _token_level

    @property
    def tokens(self) -> int:
        """How long the responses of a plain call are."""
        return _TOKENS

    def with_lengths(self, rewards: npt.NDArray[Any], lengths: Int, k: int) -> npt.NDArray[Any]:
        """Advantages (B, n) of rewards (B, n) of responses of these lengths (B, n) in tokens."""
        return as_numpy(_token_level(self.function, self.settings, rewards, k, lengths))

    def __call__(self, rewards: Any, k: int) -> npt.NDArray[Any]:
        """Advantages, or values, of the type that the function gives."""
        given = rewards
        if self.tensors:
            import torch  # noqa: PLC0415

            given = torch.from_numpy(rewards)
        if not self.output.per_rollout:
            return as_numpy(_VALUES[self.signature](self.function, self.settings, given, k))
        return as_numpy(_CONVENTIONS[self.signature](self.function, self.settings, given, k))


def _values(function: Callable[..., Any], settings: Settings, rewards: Any, k: int) -> Any:
    by_place, by_name = arguments_for(function, rewards.shape[-1], k, settings)
    return function(rewards, *by_place, **by_name)


def _batch(function: Callable[..., Any], settings: Settings, rewards: Any, k: int) -> Any:
    return _advantages(_values(function, settings, rewards, k))


def _group(function: Callable[..., Any], settings: Settings, rewards: Any, k: int) -> Any:
    return _stacked([as_numpy(_batch(function, settings, row, k)) for row in rewards])


def _group_values(function: Callable[..., Any], settings: Settings, rewards: Any, k: int) -> Any:
    return _stacked([as_numpy(_values(function, settings, row, k)) for row in rewards])


def _stacked(rows: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    shapes = {row.shape for row in rows}
    return np.stack(rows) if len(shapes) == 1 else np.array(rows, dtype=object)


def _token_level(
    function: Callable[..., Any], settings: Settings, rewards: Any, k: int, lengths: Int | None = None
) -> Any:
    import torch  # noqa: PLC0415 - heavy, and only these conventions need it

    groups, n = rewards.shape
    rows = np.arange(groups * n)
    length = np.full(groups * n, _TOKENS) if lengths is None else lengths.reshape(-1)
    inside = np.arange(length.max()) < length[:, None]
    tokens = torch.zeros(inside.shape, dtype=torch.float32)
    given = torch.from_numpy(rewards.reshape(-1)).float()
    tokens[rows, length - 1] = given
    arguments = {
        "token_level_rewards": tokens,
        "response_mask": torch.from_numpy(inside).float(),
        "index": np.repeat([f"prompt-{number}" for number in range(groups)], n).astype(object),
        "config": Settings(settings, k=k),
        "k": k,
        **settings,
    }
    result = function(**taken(function, arguments))
    changed = ~torch.isclose(tokens.sum(dim=-1), given, rtol=0, atol=0, equal_nan=True)
    rewards.reshape(-1)[changed.numpy()] = tokens.sum(dim=-1)[changed].numpy()  # what it wrote into its input
    advantages = as_numpy(_advantages(result))
    if advantages.shape != tuple(tokens.shape):
        return advantages
    first = np.broadcast_to(advantages[:, :1], advantages.shape)
    if not np.array_equal(advantages[inside], first[inside], equal_nan=True):
        raise ValueError(
            f"{describe(function)} gave the tokens of one response different advantages: only rules with one "
            f"advantage per rollout are audited"
        )
    return advantages[:, 0].reshape(groups, n)


def _list_of_groups(function: Callable[..., Any], settings: Settings, rewards: Any, k: int) -> Any:
    result = function(list(rewards), Settings(settings, k=k))
    return np.stack([as_numpy(row) for row in _advantages(result)])


_CONVENTIONS: Mapping[str, Callable[..., Any]] = {
    "batch": _batch,
    "group": _group,
    "verl": _token_level,
    "skyrl": _token_level,
    "rllm": _list_of_groups,
}
_VALUES: Mapping[str, Callable[..., Any]] = {"batch": _values, "group": _group_values}
#: The conventions that are tried in turn, by signature.
SIGNATURES: Registry[tuple[str, ...]] = Registry(
    "signature", {"auto": ("batch", "group", "rllm")} | {name: (name,) for name in _CONVENTIONS}
)


def conventions(signature: str, output: Output) -> tuple[str, ...]:
    """The conventions that a signature stands for. ValueError: unknown, or not one of such rules."""
    tried = SIGNATURES[signature]
    if output.per_rollout:
        return tried
    found = tuple(each for each in tried if each in _VALUES)
    if not found:
        raise ValueError(
            f"signature={signature!r} is of advantage rules: a value rule is called as "
            f"{', '.join(_VALUES)} or auto"
        )
    return found


def _advantages(result: Any) -> Any:
    """The advantages of a result that may hold more: the first of a tuple, or the entry of this name."""
    if isinstance(result, Mapping) and "advantages" in result:
        return result["advantages"]
    return result[0] if isinstance(result, tuple) else result


def _trial(rule: Adapted, n: int, k: int) -> str | None:
    """Why calls with 0/1 rewards, and with rewards without ties, do not give the shape that is due."""
    groups = 2 if n == 3 else 3
    binary = (np.arange(groups)[:, None] + np.arange(n) >= n - 1).astype(np.float64)
    reasons = []
    for rewards in (binary, np.arange(1.0, groups * n + 1).reshape(groups, n) / (groups * n)):
        try:
            result = as_numpy(rule(rewards.copy(), k))
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {error}")
            continue
        if result.shape == rule.output.shape_for(rewards.shape):
            return None
        reasons.append(f"shape {result.shape} for rewards of shape {rewards.shape}")
    return reasons[0]
