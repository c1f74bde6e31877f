"""Maze: drawings, the generator, slips, and its oracle against all ways that can be gone."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from backends import DEVICES
from brute_force import Policy
from hypothesis import given
from hypothesis import strategies as st
from specimen_witness import (
    check_claims,
    check_frequencies,
    check_gradient,
    check_in_gymnasium,
    check_same_levels,
    raises_with,
    softmax,
)

import maxpo_lab as ml
from envs.tabular.stepping import TabularVectorEnv
from envs.worlds.drawings import LAYOUTS, generate
from envs.worlds.maze import Maze

WORTH = {"G": 1.0} | {str(tenths): tenths / 10 for tenths in range(1, 10)}
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))

PLAIN = """
    S.2
    #..
    G.#
"""
TWO_STARTS = """
    #####
    #S.G#
    #.#.#
    #5.S#
    #####
"""
SMALL: dict[str, dict[str, Any]] = {
    "plain": {"layout": PLAIN, "horizon": 6},
    "slips": {"layout": PLAIN, "horizon": 3, "slip": 0.3},
    "two starts": {"layout": TWO_STARTS, "horizon": 5},
    "two starts, slips": {"layout": TWO_STARTS, "horizon": 3, "slip": 0.1},
    "a row": {"layout": "3.S.G", "horizon": 6},
}


def random_theta(maze: Maze, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=maze.theta.shape)


def ways(maze: Maze, theta: np.ndarray) -> Policy:
    """All that can happen, move by move on the drawing, in plain Python."""
    lines = maze.drawing.splitlines()
    places = [(r, c) for r, line in enumerate(lines) for c, symbol in enumerate(line) if symbol != "#"]
    pi, d = softmax(theta), theta.size

    def follow(place: tuple[int, int], left: int) -> Iterator[tuple[float, np.ndarray, float]]:
        symbol = lines[place[0]][place[1]]
        if left == 0 or symbol in WORTH:
            yield 1.0, np.zeros(d), WORTH.get(symbol, 0.0)
            return
        cell = places.index(place)
        for action in range(4):
            score = np.zeros(theta.shape)
            score[cell] -= pi[cell]
            score[cell, action] += 1
            turns = {0: 1 - maze.slip, -1: maze.slip / 2, 1: maze.slip / 2}
            for turn, chance in turns.items():
                if not chance:
                    continue
                down, right = MOVES[(action + turn) % 4]
                there = (place[0] + down, place[1] + right)
                rest = follow(there if there in places else place, left - 1)
                for p, s, worth in rest:
                    yield pi[cell, action] * chance * p, score.ravel() + s, worth

    starts = [place for place in places if lines[place[0]][place[1]] == "S"]
    every = [(p / len(starts), s, r) for start in starts for p, s, r in follow(start, maze.horizon)]
    chances, scores, rewards = (np.array(part) for part in zip(*every, strict=True))
    return Policy(chances, scores, rewards)


@pytest.mark.parametrize("settings", SMALL.values(), ids=SMALL)
def test_oracle_equals_all_ways(settings: dict) -> None:
    maze = Maze(**settings)
    theta = random_theta(maze)
    check_same_levels(maze.levels(theta, covariances="full"), ways(maze, theta).levels("full"))


@pytest.mark.parametrize(
    "wrong", [{"slip": 0.3001}, {"horizon": 2, "slip": 0.3}, {"layout": PLAIN.replace("#", "."), "slip": 0.3}]
)
def test_the_comparison_sees_another_maze(wrong: dict) -> None:
    maze, other = Maze(**SMALL["slips"]), Maze(**(SMALL["slips"] | wrong))
    theta = random_theta(other)
    expected = ways(maze, theta[: len(maze.cells)])
    with pytest.raises(AssertionError):
        check_same_levels(other.levels(theta, covariances="full"), expected.levels("full"))


def test_moves_and_slips() -> None:
    maze = Maze("S.\n.G", slip=0.2, horizon=9)
    mdp = maze.mdp
    table = np.zeros((4, 4, 4))
    np.add.at(table, (mdp.source, mdp.action, mdp.target), mdp.probability)
    # From the upper left corner: up and left lead nowhere, right to cell 1, down to cell 2.
    np.testing.assert_allclose(table[0, 0], [0.9, 0.1, 0, 0], rtol=1e-15)
    np.testing.assert_allclose(table[0, 1], [0.1, 0.8, 0.1, 0], rtol=1e-15)
    np.testing.assert_allclose(table[0, 2], [0.1, 0.1, 0.8, 0], rtol=1e-15)
    np.testing.assert_allclose(table[0, 3], [0.9, 0, 0.1, 0], rtol=1e-15)
    assert table[3].sum() == 0  # no one leaves a goal
    assert mdp.terminated.tolist() == (mdp.target == 3).tolist()
    assert mdp.reward.tolist() == (mdp.target == 3).astype(float).tolist()


def test_slips_are_to_both_sides_alike_when_stepped() -> None:
    maze, size, slip = Maze("...\n.S.\n..G", slip=0.3, horizon=2), 40_000, 0.3
    vector = TabularVectorEnv(maze, size)
    vector.reset(seed=0)
    seen, *_ = vector.step(np.zeros(size, dtype=np.int64))
    for place, chance in ((1, 1 - slip), (3, slip / 2), (5, slip / 2), (7, 0.0)):
        # 4 counts, a false alarm rate of 1e-6 for all: 5.2 standard errors each.
        assert abs((seen == place).mean() - chance) <= 5.2 * np.sqrt(chance * (1 - chance) / size)


def test_walk_through_the_corridor() -> None:
    maze = Maze("corridor", render_mode="ansi")
    observation, _ = maze.reset(seed=0)
    assert maze.cells[observation].tolist() == [1, 3]
    for step in range(7):
        observation, reward, terminated, truncated, _ = maze.step(np.int64(1))
        assert maze.cells[observation].tolist() == [1, 4 + step]
        assert (reward, terminated, truncated) == (float(step == 6), step == 6, False)
    maze.reset()
    assert maze.step(np.int64(0))[0] == 2  # up is a wall
    maze.step(np.int64(3))
    assert maze.step(np.int64(3))[1:4] == (0.2, True, False)


def test_episodes_are_cut_at_the_horizon() -> None:
    maze = Maze("corridor", horizon=2)
    maze.reset(seed=0)
    assert maze.step(np.int64(0))[1:4] == (0.0, False, False)
    assert maze.step(np.int64(0))[1:4] == (0.0, False, True)


def test_render_shows_the_agent() -> None:
    maze = Maze("corridor", render_mode="ansi")
    with pytest.raises(RuntimeError, match="reset"):
        maze.render()
    maze.reset(seed=0)
    assert maze.render() == "############\n#2.@......G#\n############\n"
    maze.step(np.int64(1))
    assert maze.render() == "############\n#2.S@.....G#\n############\n"
    maze = Maze("corridor")
    maze.reset(seed=0)
    with pytest.raises(ValueError, match="render_mode='ansi'"):
        maze.render()


@pytest.mark.parametrize("name", LAYOUTS)
def test_drawn_mazes(name: str) -> None:
    maze = Maze(name)
    assert maze.drawing == inspect.cleandoc(LAYOUTS[name])
    assert len(maze.goals) >= 2
    levels = maze.levels(maze.theta)
    # All goals can be reached, and the best one is the least likely of them.
    assert levels.values.tolist() == sorted({0.0, *maze.goals.values()})
    assert levels.probabilities[1:].argmin() == len(levels.values) - 2
    assert levels.probabilities[-1] > 1e-5


def test_figures_can_be_drawn_from_the_grid() -> None:
    maze = Maze(TWO_STARTS, slip=0.2)
    lines = maze.drawing.splitlines()
    assert maze.walls.tolist() == [[symbol == "#" for symbol in line] for line in lines]
    assert not maze.walls[tuple(maze.cells.T)].any()
    assert len(maze.cells) == (~maze.walls).sum() == maze.theta.shape[0]
    assert {lines[r][c] for r, c in maze.cells[list(maze.starts)]} == {"S"}
    assert {cell: WORTH[lines[r][c]] for cell, (r, c) in enumerate(maze.cells) if lines[r][c] in WORTH} == (
        maze.goals
    )
    visits = maze.occupancy(maze.theta)
    picture = np.zeros(maze.walls.shape)
    picture[tuple(maze.cells.T)] = visits
    assert picture[maze.walls].sum() == 0
    assert visits[list(maze.goals)].sum() == 0  # nothing is decided at a goal
    assert 1 < visits.sum() < maze.horizon
    with pytest.raises(ValueError, match="read-only"):
        maze.walls[0, 0] = False


def test_drawing_makes_the_same_maze_again() -> None:
    maze = Maze(size=4, seed=3, loops=2, goals=(0.2, 0.5, 1.0))
    again = Maze(maze.drawing)
    assert again.drawing == maze.drawing
    assert again.horizon == maze.horizon
    theta = random_theta(maze)
    np.testing.assert_array_equal(maze.levels(theta).probabilities, again.levels(theta).probabilities)


def floor(drawing: str) -> set[tuple[int, int]]:
    lines = drawing.splitlines()
    return {(r, c) for r, line in enumerate(lines) for c, symbol in enumerate(line) if symbol != "#"}


def flood(places: set[tuple[int, int]], start: tuple[int, int], ends: set[tuple[int, int]]) -> dict:
    """Steps from the start, not beyond an end."""
    steps, front = {start: 0}, [start]
    for place in front:
        for down, right in MOVES if place not in ends else ():
            there = (place[0] + down, place[1] + right)
            if there in places and there not in steps:
                steps[there] = steps[place] + 1
                front.append(there)
    return steps


@given(size=st.integers(2, 9), seed=st.integers(0, 10**6), share=st.floats(0, 1))
def test_generated_mazes(size: int, seed: int, share: float) -> None:
    loops = round(share * (size - 1) ** 2)
    worth = (1.0,) if size < 4 else (0.3, 1.0) if size < 6 else (0.2, 0.5, 1.0)
    drawing = generate(size, seed=seed, loops=loops, goals=worth)
    lines = drawing.splitlines()
    assert [len(line) for line in lines] == [2 * size + 1] * (2 * size + 1)
    assert set(lines[0] + lines[-1] + "".join(line[0] + line[-1] for line in lines)) == {"#"}
    places = floor(drawing)
    assert {(2 * r + 1, 2 * c + 1) for r in range(size) for c in range(size)} <= places
    assert all(r % 2 or c % 2 for r, c in places)
    steps = flood(places, (1, 1), set())
    assert set(steps) == places
    # One way between any two rooms is a tree: as many joins as places but one; each loop adds one.
    joins = sum((r + 1, c) in places for r, c in places) + sum((r, c + 1) in places for r, c in places)
    assert joins - (len(places) - 1) == loops
    assert lines[1][1] == "S"
    assert drawing.count("S") == 1
    marks = {WORTH[lines[r][c]]: (r, c) for r, c in places if lines[r][c] in WORTH}
    assert sorted(marks) == sorted(worth)
    distances = [steps[marks[value]] for value in worth]
    assert distances == sorted(distances)
    assert distances[-1] == max(steps.values())
    # No goal is in the way of another.
    assert set(marks.values()) <= set(flood(places, (1, 1), set(marks.values())))


def test_goals_are_about_as_far_as_they_should_be() -> None:
    for seed in range(5):
        maze = Maze(size=8, seed=seed, goals=(0.2, 0.5, 1.0))
        steps = flood(floor(maze.drawing), (1, 1), set())
        near, middle, far = (
            steps[tuple(maze.cells[cell].tolist())]
            for cell, _ in sorted(maze.goals.items(), key=lambda g: g[1])
        )
        assert near <= middle <= far == max(steps.values())
        # Sorted, goals within a fifth of the way of what each should be stay within it.
        assert abs(near - far / 9) <= far / 5
        assert abs(middle - far * 4 / 9) <= far / 5


def test_mazes_come_from_the_seed() -> None:
    drawings = [generate(6, seed=seed, loops=3, goals=(0.3, 1.0)) for seed in range(20)]
    assert len(set(drawings)) == 20
    assert generate(6, seed=7, loops=3, goals=(0.3, 1.0)) == drawings[7]
    assert Maze().drawing == Maze(size=4, seed=0, loops=0, goals=(0.3, 1.0)).drawing


def test_default_horizon_is_four_times_the_way_to_the_farthest_goal() -> None:
    assert Maze("corridor").horizon == 4 * 7
    assert Maze("corridor", horizon=9).horizon == 9
    assert Maze("S.1.G.2").horizon == 4 * 2  # no way to the others leads past the first
    assert Maze("S#G\n...\nS.2").horizon == 4 * 4  # the nearest start counts


@pytest.mark.parametrize(
    "settings",
    [{}, {"layout": "rooms", "slip": 0.1}, {"layout": TWO_STARTS}, {"size": 3, "loops": 2}],
    ids=["default", "rooms", "two starts", "loops"],
)
@pytest.mark.parametrize("render_mode", [None, "ansi"])
def test_passes_gymnasiums_checker_with_warnings_as_errors(settings: dict, render_mode: str | None) -> None:
    check_in_gymnasium(Maze, settings | {"render_mode": render_mode})


@pytest.mark.parametrize("device", DEVICES)
def test_sampler_and_stepping_have_the_oracles_frequencies(device: str) -> None:
    maze = Maze("cross", slip=0.1)
    levels = maze.levels(maze.theta)
    figures = 3 * len(levels.values)
    rewards, _ = maze.sampler(maze.theta, device)(5000, 8, generator=torch.Generator(device).manual_seed(1))
    check_frequencies(rewards.cpu().numpy(), levels, figures)
    size, rng = 20_000, np.random.default_rng(2)
    vector = TabularVectorEnv(maze, size)
    vector.reset(seed=2)
    total, over = np.zeros(size), np.zeros(size, dtype=bool)
    for _ in range(maze.horizon):
        _, reward, terminated, truncated, _ = vector.step(rng.integers(4, size=size))
        total[~over] += reward[~over]
        over |= terminated | truncated
    assert over.all()
    check_frequencies(total, levels, figures)
    single = np.array([one_episode(maze, rng) for _ in range(1000)])
    check_frequencies(single, levels, figures)


def one_episode(env: gymnasium.Env, rng: np.random.Generator) -> float:
    env.reset(seed=int(rng.integers(2**31)))
    total = 0.0
    while True:
        _, reward, terminated, truncated, _ = env.step(rng.integers(4))
        total += reward
        if terminated or truncated:
            return total


@pytest.mark.parametrize(
    "settings", [{"layout": "corridor"}, {"layout": "3.S.G", "slip": 0.2}, {"size": 3, "goals": (1.0,)}]
)
def test_claimed_unbiased_rules_have_no_bias(settings: dict) -> None:
    maze = Maze(**settings)
    assert check_claims(maze.levels(0.3 * random_theta(maze))) >= 10


def test_gradient_equals_finite_differences() -> None:
    maze = Maze("3.S.G", slip=0.2)
    theta = random_theta(maze)
    # eps / h = 2e-11 of rounding; h^2 = 1e-10 times a third derivative of a few units.
    check_gradient(maze, theta, 3, atol=2e-9)
    assert maze.max_at_k(theta, 3) == ml.max_at_k(maze.levels(theta), 3)


def test_a_field_of_256_places_and_64_steps() -> None:
    rows = [["."] * 16 for _ in range(16)]
    rows[0][0], rows[3][3], rows[15][15] = "S", "3", "G"
    maze = Maze("\n".join(map("".join, rows)), horizon=64, slip=0.1)
    levels = maze.levels(maze.theta)
    assert (maze.theta.size, maze.horizon) == (1024, 64)
    np.testing.assert_array_equal(levels.values, [0.0, 0.3, 1.0])
    # 64 steps, of sums of a few terms each, all positive.
    assert levels.probabilities.sum() == pytest.approx(1, abs=64 * 8 * 2.0**-52)
    assert levels.projected_covariances.shape == (3, 3, 3)
    # Scores average to 0.
    mean = levels.probabilities @ levels.mean_scores
    assert np.abs(mean).max() <= 1e-12 * np.sqrt(levels.score_second_moments.max())


@pytest.mark.parametrize(
    ("settings", "fragments"),
    [
        ({"horizon": 0}, ["horizon=0", "at least one step"]),
        ({"layout": "corridor", "horizon": 1}, ["horizon=1", "2 steps"]),
        ({"layout": "S#G"}, ["no way", "open a wall"]),
        ({"layout": "..G"}, ["no start"]),
        ({"layout": "#.G\n..."}, ["no start", "'S'"]),
        ({"layout": "S..\n..."}, ["no goal", "'G'"]),
        ({"layout": "S..\n..\n..G"}, ["row 1", "2 places", "row 0 has 3"]),
        ({"layout": "S..\n.x.\n..G"}, ["row 1, column 1", "'x'", "'#' wall"]),
        ({"layout": "S.0G"}, ["row 0, column 2", "'0'"]),
        ({"layout": "Spiral"}, ["layout='Spiral'", "or a drawing"]),
        ({"layout": "cros"}, ["layout='cros'", "did you mean cross"]),
        ({"layout": ""}, ["no start"]),
        ({"slip": 1.0}, ["slip=1.0", "below 1"]),
        ({"slip": -0.1}, ["slip=-0.1", "at least 0"]),
        ({"slip": float("nan")}, ["slip=nan"]),
        ({"size": 1}, ["size=1", "at least 2"]),
        ({"size": 3, "loops": 5}, ["loops=5", "0 to (size - 1)^2 = 4"]),
        ({"loops": -1}, ["loops=-1"]),
        ({"seed": -1}, ["seed=-1"]),
        ({"goals": ()}, ["goals are empty"]),
        ({"goals": (0.25, 1.0)}, ["0.25", "0.1, 0.2"]),
        ({"goals": (0.0,)}, ["worth 0.0"]),
        ({"size": 2, "goals": (0.1, 0.2, 1.0)}, ["size=2", "no room for 3", "more loops"]),
        ({"layout": "cross", "size": 5}, ["size=5", "leave out beside a layout"]),
        ({"layout": "cross", "seed": 0, "loops": 2}, ["seed=0, loops=2"]),
        ({"layout": "cross", "goals": (1.0,)}, ["goals=(1.0,)"]),
        ({"render_mode": "human"}, ["render_mode='human'", "'ansi'"]),
    ],
)
def test_bad_parameters_are_refused(settings: dict, fragments: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - fragments are matched below
        Maze(**settings)
    raises_with(fragments, caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 4.0},
        {"seed": 0.5},
        {"loops": True},
        {"horizon": 9.0},
        {"layout": 3},
        {"slip": "a"},
        {"goals": 0.5},
        {"goals": (0.3, None)},
    ],
)
def test_wrong_types_are_refused(settings: dict) -> None:
    with pytest.raises(TypeError, match=next(iter(settings))):
        Maze(**settings)
