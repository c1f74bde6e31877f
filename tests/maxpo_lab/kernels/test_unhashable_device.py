"""An array library of cards, as CuPy is one: devices without a hash, arrays that NumPy cannot read."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cards import Card
from checks import EPS

import maxpo_lab as ml
from maxpo_lab.core.arrays import on_host


class Array:
    """Numbers on a card."""

    def __init__(self, values: Any, card: Card) -> None:
        self.values, self.device = np.asarray(values), card

    dtype = property(lambda self: self.values.dtype)
    shape = property(lambda self: self.values.shape)
    ndim = property(lambda self: self.values.ndim)
    size = property(lambda self: self.values.size)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return LIBRARY

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __dlpack__(self, **_: Any) -> Any:
        raise BufferError("Unsupported device in DLTensor.")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device.number

    def get(self) -> Any:
        return self.values

    def __bool__(self) -> bool:
        return bool(self.values)

    def __float__(self) -> float:
        return float(self.values)

    def __int__(self) -> int:
        return int(self.values)

    __index__ = __int__

    def __getitem__(self, key: Any) -> Array:
        return Array(self.values[_bare(key)], self.device)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.values[_bare(key)] = _bare(value)


def _operation(name: str) -> Any:
    def operate(self: Array, *others: Any) -> Array:
        assert all(not isinstance(each, np.ndarray) for each in others), "NumPy's array among a card's"
        return Array(getattr(self.values, name)(*map(_bare, others)), self.device)

    return operate


for _name in (
    *(
        f"__{side}{name}__"
        for name in ("add", "sub", "mul", "truediv", "pow", "and", "or")
        for side in ("", "r")
    ),
    *(f"__{name}__" for name in ("neg", "abs", "invert", "eq", "ne", "lt", "le", "gt", "ge")),
):
    setattr(Array, _name, _operation(_name))


def _bare(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_bare, value))
    return value.values if isinstance(value, Array) else value


def _cards(values: Any) -> list[Card]:
    if isinstance(values, (list, tuple)):
        return [card for each in values for card in _cards(each)]
    return [values.device] if isinstance(values, Array) else []


class Library:
    """NumPy's functions, on the card of their arguments or on the one that is asked for, else on card 0."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if isinstance(function, type) or not callable(function):
            return function

        def call(*args: Any, device: Card | None = None, **kwargs: Any) -> Any:
            given = _cards(args)
            assert all(card == given[0] for card in given), f"{name} of arrays on {given}"
            card = device or (given[0] if given else Card(0))
            found = function(*map(_bare, args), **{key: _bare(each) for key, each in kwargs.items()})
            if isinstance(found, tuple):
                return tuple(Array(each, card) for each in found)
            return Array(found, card) if isinstance(found, (np.ndarray, np.generic)) else found

        return call

    def astype(self, array: Array, dtype: Any, *, copy: bool = True) -> Array:
        return Array(array.values.astype(dtype, copy=copy), array.device)


LIBRARY = Library()
GROUPS = np.array([[0.5, -1.0, 2.0, 2.0, 0.25], [1.0, 0.0, 0.0, 1.0, 0.0], [0.3] * 5])


def on_card(number: int, dtype: str = "float64") -> Array:
    return Array(GROUPS.astype(dtype), Card(number))


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", ["maxpo", "rloo", "pkpo-s", "reinforce", "grpo", "tailrl"])
def test_rules_run_where_the_rewards_are(name: str, number: int) -> None:
    for found in (
        ml.advantages(on_card(number), 2, estimator=name),
        ml.get_estimator(name)(on_card(number), 2),
    ):
        assert isinstance(found, Array)
        assert found.device == Card(number)
        want = ml.advantages(GROUPS, 2, estimator=name)
        assert np.abs(found.get() - want).max() <= 8 * EPS * np.abs(want).max()


def test_checks_and_dtypes() -> None:
    assert ml.advantages(on_card(1, "float32"), 2).dtype == np.float32
    broken = on_card(0)
    broken[1, 2] = float("nan")
    with pytest.raises(ValueError, match="rewards"):
        ml.advantages(broken, 2)


def test_cupys_arrays_come_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy neither converts them nor takes their memory by DLPack."""

    class Cupy(Array):
        """Of a class of its own: what library a class is of is asked once."""

    cupy = ModuleType("cupy")
    cupy.ndarray = Cupy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    array = Cupy(GROUPS, Card(0))
    assert on_host(array).tolist() == GROUPS.tolist()
    with pytest.raises(BufferError):
        np.from_dlpack(array)
