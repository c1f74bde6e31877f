"""Tabular processes: what is refused, rewards as whole numbers, and what an unrolling holds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from episode_witness import grid, lock, process, purses
from hypothesis import given
from hypothesis import strategies as st

from envs.tabular import unrolling
from envs.tabular.mdp import TabularMDP
from envs.tabular.units import Units
from envs.tabular.unrolling import unroll

#: Two states, two actions: action 0 stays or goes on, action 1 ends.
TABLE = {
    0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 0.0, False)], 1: [(1.0, 0, 1.0, True)]},
    1: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 0, 2.0, True)]},
}


def settings(**changes: Any) -> dict[str, Any]:
    one = TabularMDP.from_table(TABLE, [1.0, 0.0], horizon=3)
    return {name: getattr(one, name) for name in TabularMDP.__dataclass_fields__} | changes


def changed(name: str, index: int, value: float) -> dict[str, Any]:
    array = settings()[name].copy()
    array[index] = value
    return {name: array}


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"horizon": 0}, ["horizon=0", "1 to 1,000,000 steps"]),
        ({"horizon": -2}, ["horizon=-2"]),
        ({"horizon": 2_000_000}, ["horizon=2000000"]),
        (changed("probability", 4, 0.9), ["state 1, action 1", "sum to 0.9", "must sum to 1"]),
        (changed("probability", 0, 0.5 + 1e-11), ["state 0, action 0", "sum to 1.00000000001"]),
        (changed("probability", 0, np.nan), ["state 0, action 0 to 0", "is nan"]),
        (changed("probability", 1, -0.1), ["state 0, action 0 to 1", "is -0.1", "at least 0"]),
        (changed("probability", 3, np.inf), ["state 1, action 0", "is inf"]),
        (changed("reward", 2, np.inf), ["state 0, action 1", "is inf", "finite"]),
        (changed("target", 0, 2), ["target runs from 0 to 2", "must be 0 to 1"]),
        (changed("source", 0, -1), ["source runs from -1"]),
        (changed("action", 0, 2), ["action runs from 0 to 2", "must be 0 to 1"]),
        ({"observation": np.array([0, 5])}, ["observation runs from 0 to 5"]),
        ({"observation": np.array([], dtype=int)}, ["source runs from 0 to 1"]),
        ({"reward": np.zeros(3)}, ["reward has shape (3,)", "expected (5,)"]),
        ({name: np.zeros(0) for name in ("source", "action", "target", "probability", "reward")}, ["shape"]),
        ({"starts": ()}, ["starts are empty"]),
        ({"starts": ({},)}, ["prompt 0", "sum to 1"]),
        ({"starts": ({0: 1.0}, {0: 0.5})}, ["prompt 1", "sum to 0.5"]),
        ({"starts": ({0: 1.5, 1: -0.5},)}, ["prompt 0", "least is -0.5"]),
        ({"starts": ({0: float("nan")},)}, ["prompt 0", "nan"]),
        ({"starts": ({2: 1.0},)}, ["prompt 0 are in [2]", "0 to 1"]),
        ({"actions": 3}, ["state 0, action 2 sum to 0"]),
    ],
)
def test_bad_processes_are_refused_by_name(changes: dict[str, Any], fragments: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - fragments are matched below
        TabularMDP(**settings(**changes))
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_other_types_and_empty_tables_are_refused() -> None:
    with pytest.raises(TypeError, match=r"horizon=2\.0 is a float"):
        TabularMDP(**settings(horizon=2.0))
    with pytest.raises(ValueError, match="table is empty"):
        TabularMDP.from_table({}, [1.0], horizon=1)
    with pytest.raises(ValueError, match="prompt 0"):
        TabularMDP.from_table(TABLE, [0.0, 0.0], horizon=1)


def test_a_state_without_transitions_may_only_end_episodes() -> None:
    ends = {0: {0: [(1.0, 1, 1.0, True)]}}
    assert unroll(TabularMDP.from_table(ends, [1.0, 0.0], horizon=2), 0).returns.tolist() == [1.0]
    goes_on = {0: {0: [(1.0, 1, 1.0, False)]}}
    with pytest.raises(ValueError, match="state 1, action 0 sum to 0"):
        TabularMDP.from_table(goes_on, [1.0, 0.0], horizon=2)
    with pytest.raises(ValueError, match="state 1, action 0 sum to 0"):
        TabularMDP.from_table(ends, [0.5, 0.5], horizon=2)


def test_thirds_sum_to_one() -> None:
    """Rows that are off by rounding pass at any horizon: 32 eps is the least that is allowed."""
    table = {0: {0: [(1 / 3, 0, 0.0, False), (1 / 3, 0, 1.0, True), (1 - 2 / 3, 0, 2.0, True)]}}
    assert TabularMDP.from_table(table, [1.0], horizon=1_000_000).horizon == 1_000_000


@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30),
    st.integers(-4, 4),
    st.permutations(range(30)),
)
def test_decimal_rewards_add_up_to_the_nearest_float_in_any_order(
    digits: list[int], decimals: int, order: list[int]
) -> None:
    """A sum of decimals is the float nearest to the exact sum, however it is added up."""
    exact = [Fraction(digit) / Fraction(10) ** decimals for digit in digits]
    units = Units.of(np.array([float(x) for x in exact]))
    shuffled = units.amounts[[i for i in order if i < len(digits)]]
    assert units.value(np.array([shuffled.sum()]))[0] == float(sum(exact))
    np.testing.assert_array_equal(units.value(units.amounts), [float(x) for x in exact])


def test_single_rewards_are_kept_to_the_last_bit() -> None:
    rewards = np.array([1 / 3, 2 / 3, 0.1, np.pi, -0.0, -np.e, 1e-9 / 7])
    units = Units.of(rewards)
    np.testing.assert_array_equal(units.value(units.amounts), rewards)
    assert not np.signbit(units.value(units.amounts)[4])
    # 1/3 + 1/3 + 1/3: each to 12 digits of the largest reward, pi.
    assert units.value(units.amounts[[0]] * 3)[0] == pytest.approx(1.0, rel=0, abs=3 * 0.5e-11)


def test_rewards_equal_but_for_their_last_bits_are_one() -> None:
    units = Units.of(np.array([0.1 + 0.2, 0.3, 1.0]))
    assert len(units.singles) == 2


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-12, 1.0, 1e12, 1e300])
def test_rewards_of_any_size_are_counted(size: float) -> None:
    if size < 1e-300:
        with pytest.raises(ValueError, match="12 digits of the largest"):
            Units.of(np.array([size, 0.0]))
        return
    units = Units.of(np.array([size, -2 * size, 0.0]))
    np.testing.assert_array_equal(units.value(units.amounts), [size, -2 * size, 0.0])
    assert units.value(units.amounts[[0]] * 5)[0] == pytest.approx(5 * size, rel=1e-11)


def test_rewards_too_small_beside_the_largest_are_refused() -> None:
    table = {0: {0: [(0.5, 0, 1e-13, True), (0.5, 0, 1.0, True)]}}
    mdp = TabularMDP.from_table(table, [1.0], horizon=1)
    with pytest.raises(ValueError, match=r"from 1e-13 to 1\.0 in size.*12 digits"):
        unroll(mdp, 0)


def test_unrolling_reaches_all_and_nothing_else() -> None:
    """Nodes by step, against sets grown by hand; every edge leaves a node and arrives somewhere."""
    table, horizon = grid(), 4
    unrolled = unroll(process(table, [{0: 0.5, 6: 0.5}], horizon).mdp, 0)
    nodes, ends = {0, 6}, set()
    for step, layer in enumerate(unrolled.layers):
        assert set(layer.observation) == nodes
        assert len(layer.source) == sum(len(row) for s in nodes for row in table[s].values())
        assert set(layer.source) == set(range(len(nodes)))
        edges = [edge for s in nodes for row in table[s].values() for edge in row]
        last = step == horizon - 1
        ends |= {r for _, _, r, end in edges if end or last}
        nodes = set() if last else {t for _, t, _, end in edges if not end}
        arrived = set(layer.target[layer.target >= len(unrolled.returns)])
        assert arrived == set(range(len(unrolled.returns), layer.targets))
        assert layer.targets == len(unrolled.returns) + len(nodes)
    assert set(unrolled.returns) == ends
    assert len(unrolled.layers) == horizon


def test_unrolling_stops_where_all_has_ended() -> None:
    mdp = process(lock(2, 1), [{0: 1.0}], 1000).mdp
    assert [layer.targets for layer in unroll(mdp, 0).layers] == [2, 1]


def test_returns_that_meet_in_decimals_are_one_level() -> None:
    returns = unroll(process(purses(), [{0: 1.0}], 5).mdp, 0).returns
    tenths = np.rint(returns * 10)
    assert len(set(tenths)) == len(returns)
    np.testing.assert_array_equal(returns, tenths / 10)


def test_transitions_of_probability_zero_are_left_out() -> None:
    table = {0: {0: [(1.0, 0, 1.0, True), (0.0, 1, 5.0, False)]}}
    mdp = TabularMDP.from_table(table, [1.0, 0.0], horizon=3)
    assert unroll(mdp, 0).returns.tolist() == [1.0]
    assert mdp.edges[0].tolist() == [0]


def test_too_many_transitions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unrolling, "MAX_EDGES", 100)
    with pytest.raises(ValueError, match=r"more than 100 transitions in 3 of horizon=50 steps.*shorter"):
        unroll(process(grid(), [{0: 1.0}], 50).mdp, 0)
