"""Tables on devices: made once, found by rule, size, library and device, and not kept for ever."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import array_api_compat
import numpy as np
import pytest
import torch

import maxpo_lab as ml
from maxpo_lab.core.coefficients import subset_share
from maxpo_lab.kernels import tables
from maxpo_lab.kernels.tables import KEPT, stacked, tables_on, vector_on

XP = array_api_compat.array_namespace(torch.empty(0))
CPU = torch.device("cpu")
MAXPO = ml.get_estimator("maxpo")


class Card:
    """A device as CuPy has it: equal ones are equal, and none has a hash."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Card) and other.number == self.number

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Card {self.number}>"


class Cards:
    """NumPy, on cards."""

    def __init__(self) -> None:
        self.placed: list[Card] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def asarray(self, values: Any, *, device: Card, copy: bool) -> Any:
        self.placed.append(device)
        return np.array(values, copy=copy)

    def full(self, shape: Any, value: float, *, dtype: Any, device: Any) -> Any:
        return np.full(shape, value, dtype=dtype)

    def concat(self, parts: Any, *, axis: int) -> Any:
        return np.concatenate(parts, axis=axis)


def test_tables_are_made_once_for_a_rule_a_size_a_library_and_a_device() -> None:
    made = tables_on(MAXPO.coefficients, 6, 2, XP, CPU)
    assert tables_on(MAXPO.coefficients, 6, 2, XP, torch.device("cpu")) is made
    others = [
        tables_on(ml.get_estimator("canonical").coefficients, 6, 2, XP, CPU),
        tables_on(MAXPO.coefficients, 7, 2, XP, CPU),
        tables_on(MAXPO.coefficients, 6, 3, XP, CPU),
        tables_on(MAXPO.coefficients, 6, 2, array_api_compat.array_namespace(np.empty(0)), "cpu"),
        tables_on(MAXPO.coefficients, 6, 2, XP, torch.device("meta")),
    ]
    assert len({id(each) for each in [made, *others]}) == 6


def test_a_device_needs_no_hash() -> None:
    xp = Cards()
    with pytest.raises(TypeError, match="unhashable"):
        hash(Card(0))
    made = tables_on(MAXPO.coefficients, 6, 2, xp, Card(0))
    assert tables_on(MAXPO.coefficients, 6, 2, xp, Card(0)) is made
    assert tables_on(MAXPO.coefficients, 6, 2, xp, Card(1)) is not made
    assert xp.placed == [Card(0)] * 2 + [Card(1)] * 2


def test_rules_that_are_gone_are_let_go() -> None:
    """Of the tables of many rules the latest are kept, and with them these rules alone."""
    alive: list[weakref.ref[Any]] = []
    for number in range(KEPT + 50):
        rule = replace(MAXPO, name=f"mine {number}")
        rule([1.0, 0.0, 0.0], 1)
        alive.append(weakref.ref(rule))
    del rule
    gc.collect()
    assert sum(each() is not None for each in alive) == KEPT
    assert alive[-1]() is not None


def test_a_vector_is_kept_as_tables_are() -> None:
    column = vector_on(subset_share, 6, 2, XP, CPU)
    assert column is vector_on(subset_share, 6, 2, XP, CPU)
    assert column.tolist() == subset_share(6, 2).tolist()
    column[0] = 1.0  # a copy: the table it is made of is read-only, and as it was
    assert subset_share(6, 2)[0] == 0
    tables._kept.cache_clear()


def test_stacks_are_the_tables_by_rows() -> None:
    rules = [ml.get_estimator(name) for name in ("reinforce", "maxpo", "pkpo-s")]
    made = {place: tables_on(rule.coefficients, 6, 2, XP, CPU) for place, rule in enumerate(rules)}
    (plain, of_plain), (offset, of_offset) = stacked(XP, made)
    assert (plain, offset) == ([1], [0, 2])
    assert of_plain.from_zero is None
    assert of_plain.up.shape == (1, 1, 6)
    assert torch.equal(of_plain.down[0, 0], made[1].down)
    assert of_offset.from_zero is not None
    for row, place in enumerate(offset):
        own = made[place].from_zero
        assert own is not None
        for stack, each in zip((of_offset.up, *of_offset.from_zero), (made[place].up, *own), strict=True):
            assert torch.equal(stack[row, 0], each)
    assert stacked(XP, {}) == ()
