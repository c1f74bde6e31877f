"""Tables: made once, found by rules, size, library and device, and not kept for ever."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from dataclasses import dataclass, field, fields, replace
from typing import Any

import array_api_compat
import numpy as np
import pytest
import torch
from cards import Card

import maxpo_lab as ml
from maxpo_lab.core.coefficients import subset_share
from maxpo_lab.kernels import tables
from maxpo_lab.kernels.tables import KEPT, Column, FromRank, FromZero, numbered, stacks, stacks_on
from maxpo_lab.monte_carlo.batched_rules import admit

XP = array_api_compat.array_namespace(torch.empty(0))
CPU = torch.device("cpu")
MAXPO = ml.get_estimator("maxpo")


class Cards:
    """NumPy, on cards."""

    __name__ = "cards"

    def __init__(self) -> None:
        self.placed: list[Card] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def asarray(self, values: Any, *, device: Card, copy: bool) -> Any:
        self.placed.append(device)
        return np.array(values, copy=copy)


def test_tables_are_made_once_for_rules_a_size_a_library_and_a_device() -> None:
    rules = ((MAXPO, 2),)
    made = stacks_on(rules, 6, XP, CPU)
    assert stacks_on(((MAXPO, 2),), 6, XP, torch.device("cpu")) is made
    others = [
        stacks_on(((ml.get_estimator("canonical"), 2),), 6, XP, CPU),
        stacks_on(((MAXPO, 2), (MAXPO, 3)), 6, XP, CPU),
        stacks_on(rules, 7, XP, CPU),
        stacks_on(((MAXPO, 3),), 6, XP, CPU),
        stacks_on(rules, 6, array_api_compat.array_namespace(np.empty(0)), "cpu"),
        stacks_on(rules, 6, XP, torch.device("meta")),
        stacks(rules, 6),
    ]
    assert len({id(each) for each in [made, *others]}) == 8


def test_a_device_needs_no_hash() -> None:
    xp, rules = Cards(), ((MAXPO, 2),)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Card(0))
    made = stacks_on(rules, 6, xp, Card(0))
    assert stacks_on(rules, 6, xp, Card(0)) is made
    assert stacks_on(rules, 6, xp, Card(1)) is not made
    assert xp.placed == [Card(0)] * 4 + [Card(1)] * 4


def test_rules_that_are_gone_are_let_go() -> None:
    """Tables are found by a number, and keep no rule alive."""
    alive: list[weakref.ref[Any]] = []
    for number in range(20):
        rule = replace(MAXPO, name=f"mine {number}")
        rule([1.0, 0.0, 0.0], 1)
        alive.append(weakref.ref(rule))
    del rule
    gc.collect()
    assert not any(each() for each in alive)
    assert tables._kept.cache_info().maxsize == KEPT


@dataclass(frozen=True, kw_only=True)
class Scaled(ml.RankLinear):
    """Equal to others of its kind, as dataclasses are, and with what has no hash."""

    scale: float = field(default=1.0, compare=False)
    history: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history.append(1)

    def coefficients(self, n: int, k: int, *, exact: bool = False) -> Any:
        made = super().coefficients(n, k, exact=exact)
        return replace(made, above=self.scale * made.above, below=list(self.scale * made.below))


def test_rules_that_are_equal_or_have_no_hash_have_tables_of_their_own() -> None:
    own = {each.name: getattr(MAXPO, each.name) for each in fields(MAXPO)}
    one, three = Scaled(**own), Scaled(**own, scale=3.0)
    assert one == three
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    rewards = np.array([[0.0, 1.0, 2.0, 3.0], [1.0, 0.0, 0.0, 5.0]])
    want = MAXPO(rewards, 2)
    for _ in "ab":
        np.testing.assert_array_equal(one(rewards, 2), want)
        np.testing.assert_allclose(three(rewards, 2), 3 * want, rtol=1e-15)
    assert copy.deepcopy(three).number != three.number
    together = admit(
        {"one": one, "three": three}, 4, 2, device=CPU, batch=2, draw=lambda: torch.tensor(rewards)
    )
    first, second = together(torch.tensor(rewards))[0]
    torch.testing.assert_close(second, 3 * first, rtol=1e-14, atol=0)


def test_a_column_is_kept_as_tables_are() -> None:
    column = Column(subset_share)
    made = column.on(6, 2, XP, CPU)
    assert made is column.on(6, 2, XP, CPU)
    assert made.tolist() == subset_share(6, 2).tolist()
    made[0] = 1.0  # a copy: the table it is made of is read-only, and as it was
    assert subset_share(6, 2)[0] == 0
    tables._vector.cache_clear()


def test_a_number_is_of_one_thing_as_long_as_it_lives() -> None:
    mine = replace(MAXPO, name="mine")
    others = [MAXPO, copy.copy(mine), copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))]
    assert len({each.number for each in [mine, *others]}) == 5
    assert all(numbered(each.number) is each for each in [mine, *others])
    assert pickle.loads(pickle.dumps(MAXPO)) is MAXPO
    number = mine.number
    del mine
    gc.collect()
    with pytest.raises(KeyError):
        numbered(number)


def test_stacks_hold_every_rule_once_with_its_own_tables() -> None:
    """By where sums are counted from; the coefficients come back from the tables."""
    names = ["reinforce", "maxpo", "pkpo-s", "pkpo-loo1"]
    rules = tuple((ml.get_estimator(name), 2) for name in names)
    debiting, crediting, zero = stacks(rules, 6)
    assert isinstance(debiting, FromRank)
    assert isinstance(crediting, FromRank)
    assert isinstance(zero, FromZero)
    assert (debiting.places, crediting.places, zero.places) == ((1,), (3,), (0, 2))
    assert (debiting.debits, crediting.debits) == (True, False)
    for stack in (debiting, crediting):
        made = rules[stack.places[0]][0].coefficients(6, 2)
        np.testing.assert_array_equal(stack.origin[0], made.below)
        np.testing.assert_allclose(stack.origin[0] + stack.slope[0], made.above, rtol=1e-15)
    for row, place in enumerate(zero.places):
        made = rules[place][0].coefficients(6, 2)
        own = zero.own[row]
        np.testing.assert_allclose(zero.up[row] + own, [made.offset, *made.above], rtol=1e-15)
        np.testing.assert_array_equal(zero.down[row], [*made.below, 0])
        np.testing.assert_allclose(zero.over[row][1:], made.above - made.offset, atol=1e-15)
    assert zero.sides == ((False, False, True), (False, True, True))
    assert stacks((), 6) == ()


def test_sums_of_large_groups_start_from_the_middle() -> None:
    (stack, crediting) = stacks(((MAXPO, 2), (ml.get_estimator("pkpo-loo1"), 2)), 40)
    assert isinstance(stack, FromRank)
    assert isinstance(crediting, FromRank)
    assert (stack.start, crediting.start) == (20, 0)
    made = MAXPO.coefficients(40, 2)
    np.testing.assert_array_equal(stack.origin[0], [*made.above[:20], *made.below[20:]])
    np.testing.assert_array_equal(np.sign(stack.slope[0][[5, 30]]), [-1, 1])
