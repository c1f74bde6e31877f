"""Mazes as drawings: hand-drawn ones, generated ones, and what a drawing says."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from maxpo_lab.core.arrays import Bool, Float, Int
from maxpo_lab.core.registry import hint

Places = npt.NDArray[np.str_]

WALL, FLOOR, START, BEST = "#.SG"
#: What a goal of each symbol is worth.
GOALS = {BEST: 1.0} | {str(tenths): tenths / 10 for tenths in range(1, 10)}
#: Rows and columns that each action moves by: up, right, down, left.
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))
#: Mazes drawn until the goals have room, at most.
_TRIES = 100
#: How far from its wanted distance a goal may lie, as a share of the longest way.
_NEAR = 0.2

LAYOUTS = {
    "corridor": """
        ############
        #2.S......G#
        ############
    """,
    "cross": """
        #############
        #####1#######
        #####.#######
        ##3..S.....G#
        #####.#######
        #####.#######
        #####.#######
        #####5#######
        #############
    """,
    "rooms": """
        #############
        #S....#.....#
        #.....#.....#
        #...........#
        #.....#....4#
        #.....#.....#
        ##.####.....#
        #.....###.###
        #.....#.....#
        #.....#.....#
        #...........#
        #2....#....G#
        #############
    """,
    "fork": """
        ###########
        #3...S....#
        #####.###.#
        #...#.#...#
        #.#.#.#.###
        #.#...#...#
        #.#######.#
        #.......#6#
        #######.###
        #G......###
        ###########
    """,
}


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a drawing says.

    Attributes
    ----------
    walls
        Where there are walls, shape (rows, columns).
    cells
        Row and column of every place that is not a wall, row by row, shape (cells, 2).
    starts
        Cells that an episode may start in.
    goals
        Cells that end it, and what they are worth.
    """

    walls: Bool
    cells: Int
    starts: tuple[int, ...]
    goals: dict[int, float]

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a drawing: its rows, of ``#`` walls, ``.`` floor, ``S`` starts and goals ``1``..``9``, ``G``.

        Raises ValueError where it is ragged, has another symbol, no start or no goal.
        """
        lines = inspect.cleandoc(text).splitlines()
        for row, line in enumerate(lines):
            for column, symbol in enumerate(line):
                if symbol not in {WALL, FLOOR, START, *GOALS}:
                    raise ValueError(
                        f"row {row}, column {column} of the maze is {symbol!r}: must be '#' wall, '.' floor, "
                        f"'S' start, 'G' a goal worth 1, or '1' to '9', a goal worth 0.1 to 0.9"
                    )
            if len(line) != len(lines[0]):
                raise ValueError(
                    f"row {row} of the maze has {len(line)} places where row 0 has {len(lines[0])}: all rows "
                    f"must be of one length"
                )
        places = np.array([list(line) for line in lines])
        cells = np.argwhere(places != WALL)
        symbols = [str(places[row, column]) for row, column in cells]
        starts = tuple(cell for cell, symbol in enumerate(symbols) if symbol == START)
        goals = {cell: GOALS[symbol] for cell, symbol in enumerate(symbols) if symbol in GOALS}
        if not starts:
            raise ValueError("the maze has no start: mark a place, or several, by 'S'")
        if not goals:
            raise ValueError("the maze has no goal: mark a place by 'G' (worth 1) or '1' to '9' (0.1 to 0.9)")
        return cls(places == WALL, cells, starts, goals)

    def moves(self) -> Int:
        """The cell that each action leads to, (cells, 4): the same one where a wall is in the way."""
        index = np.full(np.add(self.walls.shape, 2), -1)
        row, column = (self.cells + 1).T
        index[row, column] = np.arange(len(self.cells))
        there = np.column_stack([index[row + down, column + right] for down, right in STEPS])
        return np.where(there < 0, np.arange(len(self.cells))[:, None], there)

    def distances(self) -> Float:
        """Steps from the nearest start to each cell, (cells,); infinite where there is no way.

        Goals end an episode: no way leads through them.
        """
        return _distances(self.moves(), self.starts, tuple(self.goals))


def _distances(moves: Int, starts: Sequence[int], ends: Sequence[int]) -> Float:
    """Steps from the nearest start to each cell, on ways that do not pass an end."""
    steps = np.full(len(moves), np.inf)
    front = np.array(starts)
    steps[front] = 0
    while front.size:
        reached = np.unique(moves[np.setdiff1d(front, ends)])
        reached = reached[np.isinf(steps[reached])]
        steps[reached] = steps[front[0]] + 1
        front = reached
    return steps


def drawn(layout: str) -> str:
    """The drawing that is meant: one of ``LAYOUTS`` by its name, or the layout itself."""
    if layout in LAYOUTS:
        return inspect.cleandoc(LAYOUTS[layout])
    text = inspect.cleandoc(layout)
    drawing = "\n" in text or bool(set(text) & {WALL, FLOOR}) or set(text) <= {START, *GOALS}
    if not drawing:
        raise ValueError(f"layout={layout!r}: must be a name or a drawing; {hint(layout, LAYOUTS)}")
    return text


def generate(size: int, *, seed: int, loops: int, goals: Sequence[float]) -> str:
    """Draw a maze of ``size`` x ``size`` rooms in the squares of a grid of 2 size + 1 rows.

    A depth-first search from the start, in the upper left corner, joins any two rooms by one way; then
    ``loops`` of the walls that are left between two rooms are opened, each for one way round more. The last
    goal lies farthest from the start, goal j of m (j / m)^2 as far, give or take a fifth of the longest way,
    and none is in the way of another: mazes are drawn until there are such places.

    Parameters
    ----------
    size
        At least 2.
    seed
        Seed of the ways, the openings and the places of goals.
    loops
        0 to ``(size - 1)**2``.
    goals
        What they are worth, near to far, multiples of 0.1 up to 1.

    Raises
    ------
    ValueError
        Arguments out of these bounds; more goals than 100 mazes have room for.
    """
    if size < 2:
        raise ValueError(f"size={size}: a maze has at least 2 rooms per side")
    if not 0 <= loops <= (size - 1) ** 2:
        raise ValueError(
            f"loops={loops}: {size} x {size} rooms joined by one way each leave 0 to (size - 1)^2 = "
            f"{(size - 1) ** 2} walls to open"
        )
    symbols = [goal_symbol(goal) for goal in goals]
    if not symbols:
        raise ValueError("goals are empty: a maze needs at least one, e.g. goals=(0.3, 1.0)")
    rng = np.random.default_rng(seed)
    for _ in range(_TRIES):
        places = _ways(size, loops, rng)
        found = _goal_places(places, len(symbols), rng)
        if found is not None:
            break
    else:
        raise ValueError(
            f"goals={tuple(goals)}: {_TRIES} mazes of size={size} with loops={loops} have no room for "
            f"{len(symbols)} goals off each other's ways; use a larger size, more loops or fewer goals"
        )
    places[1, 1] = START
    for symbol, (row, column) in zip(symbols, found, strict=True):
        places[row, column] = symbol
    return "\n".join("".join(row) for row in places)


def goal_symbol(worth: float) -> str:
    """The symbol of a goal; ValueError where there is none."""
    for symbol, value in GOALS.items():
        if worth == value:
            return symbol
    raise ValueError(f"a goal worth {worth}: must be 0.1, 0.2, ... 0.9 or 1.0, as drawings have a symbol for")


def _ways(size: int, loops: int, rng: np.random.Generator) -> Places:
    """Walls and floor of a maze."""
    places = np.full((2 * size + 1, 2 * size + 1), WALL)
    places[1::2, 1::2] = FLOOR
    for wall in _tree(size, rng):
        places[wall] = FLOOR
    between = np.argwhere(places == WALL)
    # Walls between two rooms have one odd coordinate; the border is kept.
    inside = (between > 0).all(axis=1) & (between < 2 * size).all(axis=1)
    between = between[inside & (between.sum(axis=1) % 2 == 1)]
    for row, column in between[rng.permutation(len(between))[:loops]]:
        places[row, column] = FLOOR
    return places


def _tree(size: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """The places to open so that one way joins any two rooms, by depth-first search."""
    opened: list[tuple[int, int]] = []
    seen = {(0, 0)}
    way = [(0, 0)]
    while way:
        row, column = way[-1]
        near = [(row + down, column + right) for down, right in STEPS]
        near = [room for room in near if room not in seen and min(room) >= 0 and max(room) < size]
        if not near:
            way.pop()
            continue
        room = near[int(rng.integers(len(near)))]
        opened.append((row + room[0] + 1, column + room[1] + 1))
        seen.add(room)
        way.append(room)
    return opened


def _goal_places(places: Places, count: int, rng: np.random.Generator) -> Int | None:
    """Rows and columns for goals near to far, (count, 2), none in the way of another; None without room."""
    walls = places == WALL
    cells = np.argwhere(~walls)
    maze = Drawing(walls, cells, (0,), {})  # the start is the first cell, row by row
    moves, distance = maze.moves(), maze.distances()
    farthest = np.flatnonzero(distance == distance.max())
    chosen = [int(rng.choice(farthest))]
    for goal in range(count - 1, 0, -1):
        wanted = distance.max() * (goal / count) ** 2
        # Nearest to the wanted distance first, those alike in an order by chance.
        order = rng.permutation(len(cells))
        off = np.abs(distance[order] - wanted)
        near = order[np.argsort(off, kind="stable")][: (off <= distance.max() * _NEAR).sum()]
        for cell in near.tolist():
            there = [*chosen, cell]
            if cell and cell not in chosen and np.isfinite(_distances(moves, (0,), there)[there]).all():
                chosen.append(cell)
                break
        else:
            return None
    return np.asarray(cells[sorted(chosen, key=lambda cell: float(distance[cell]))])
