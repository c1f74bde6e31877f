"""Maze: a grid with goals of different worth, the better ones farther away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from maxpo_lab.core.arguments import real_number, real_numbers, whole_number
from maxpo_lab.core.arrays import Bool, Int

from ..tabular.mdp import TabularMDP
from ..tabular.stepping import TabularEnv
from .drawings import LAYOUTS, Drawing, drawn, generate

#: Rooms per side of a generated maze, and what its goals are worth.
SIZE, WORTH = 4, (0.3, 1.0)
#: Steps for each step of the way to the farthest goal, unless a horizon is given.
PATIENCE = 4


class Maze(TabularEnv):
    """A maze in which an easy goal of little worth lies near, and the best one far.

    ## Description
    The mean reward is raised by going to the near goal, the maximum of K rollouts by exploring for the far
    one. Mazes are generated from a seed, taken by name, or drawn. Places may come up again and again, and the
    policy is the same whenever they do.

    ## Action Space
    ``Discrete(4)``: a move up, right, down or left. A move into a wall or out of the drawing leaves the
    agent where it is. With probability ``slip`` a move goes to one of its two sides instead, both alike.

    ## Observation Space
    ``Discrete(cells)``: the place, counted row by row without the walls; ``cells`` (cells, 2) has the row and
    column of each, ``walls`` (rows, columns) the grid, ``starts`` and ``goals`` the places of that kind,
    goals with their worth. There is one prompt.

    ## Rewards
    0, and the worth of a goal when it is reached.

    ## Episode End
    At a goal; cut after ``horizon`` steps, by default four times those of the shortest way from a start to
    the farthest goal.

    ## Exact Oracle
    A softmax policy over moves at each place, with logits ``theta`` (cells, 4), zeros at the start.
    ``levels(theta)`` is exact for any revisits; ``occupancy(theta)`` gives the expected number of decisions
    at each place.

    ## Arguments
    ``gymnasium.make("maxpo/Maze-v0", layout=None, size=4, seed=0, loops=0, goals=(0.3, 1.0), horizon=None,
    slip=0.0)``

    ``layout``: ``"corridor"``, ``"cross"``, ``"rooms"``, ``"fork"``, or a drawing with ``#`` walls, ``.``
    floor, ``S`` start (of several, each is as likely), ``G`` a goal worth 1, ``1`` to ``9`` goals worth 0.1
    to 0.9. Without one, a maze of ``size`` x ``size`` rooms is generated, on a grid of 2 size + 1 rows: one
    way leads from each room to each other, ``loops`` of its walls are opened for as many ways round, and
    ``goals``, near to far, are placed; with a layout these four are refused. ``drawing`` is the maze as a
    drawing. ``render_mode="ansi"`` shows it with the agent as ``@``.

    ## References
    Sutton, Precup, Singh, Between MDPs and Semi-MDPs, Artificial Intelligence 112, 1999 (rooms). On Advantage
    Estimates for Max@K Policy Gradients, arXiv 2606.06080.

    ## Version History
    * v0: initial version.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 - as Gymnasium does

    def __init__(
        self,
        layout: str | None = None,
        size: int | None = None,
        seed: int | None = None,
        horizon: int | None = None,
        slip: float = 0.0,
        loops: int | None = None,
        goals: Sequence[float] | None = None,
        render_mode: str | None = None,
    ) -> None:
        made = {"size": size, "seed": seed, "loops": loops, "goals": goals}
        self.drawing = _drawing(layout, made)
        self._drawing = Drawing.of(self.drawing)
        if not 0 <= real_number(slip, "slip") < 1:
            raise ValueError(f"slip={slip}: a probability of at least 0 and below 1 is needed")
        self.slip = float(slip)
        self.walls: Bool = self._drawing.walls
        self.cells: Int = self._drawing.cells
        for grid in (self.walls, self.cells):
            grid.setflags(write=False)
        #: Worth of the goals by their cells.
        self.goals = dict(self._drawing.goals)
        self.starts = self._drawing.starts
        mdp = _process(self._drawing, self.slip, _horizon(self._drawing, horizon))
        super().__init__(mdp, np.zeros((len(self.cells), 4)), render_mode)

    def render(self) -> str:
        """The maze as text, with the agent as ``@``."""
        if self.render_mode is None:
            raise ValueError("render_mode=None: make the maze with render_mode='ansi' to render it")
        if self._walk.unstarted:
            raise RuntimeError("no episode has begun: call reset() before render()")
        places = [list(line) for line in self.drawing.splitlines()]
        row, column = self.cells[self.state]
        places[row][column] = "@"
        return "\n".join("".join(line) for line in places) + "\n"


def _drawing(layout: str | None, made: dict[str, Any]) -> str:
    """The drawing of a layout, or of a maze made from size, seed, loops and goals."""
    given = [f"{name}={value!r}" for name, value in made.items() if value is not None]
    if layout is not None:
        if not isinstance(layout, str):
            raise TypeError(
                f"layout={layout!r}: must be a drawing or a name, {', '.join(map(repr, LAYOUTS))}"
            )
        if given:
            raise ValueError(f"{', '.join(given)}: of use to generate a maze only; leave out beside a layout")
        return drawn(layout)
    numbers = {"size": SIZE, "seed": 0, "loops": 0}
    for name in numbers:
        if made[name] is not None:
            numbers[name] = whole_number(made[name], name)
    if numbers["seed"] < 0:
        raise ValueError(f"seed={numbers['seed']}: must be at least 0")
    goals = WORTH if made["goals"] is None else real_numbers(made["goals"], "goals")
    return generate(**numbers, goals=goals)


def _horizon(maze: Drawing, horizon: int | None) -> int:
    """Steps at most, checked to reach a goal."""
    distance = maze.distances()[list(maze.goals)]
    nearest = distance.min()
    if np.isinf(nearest):
        raise ValueError("no way leads from a start of the maze to a goal: open a wall between them")
    if horizon is None:
        return PATIENCE * int(distance[np.isfinite(distance)].max())
    steps = whole_number(horizon, "horizon")
    if steps < 1:
        raise ValueError(f"horizon={steps}: an episode needs at least one step")
    if steps < nearest:
        raise ValueError(
            f"horizon={steps}: the nearest goal is {int(nearest)} steps from a start; allow them"
        )
    return steps


def _process(maze: Drawing, slip: float, horizon: int) -> TabularMDP:
    """The process of a maze: one state per cell; goals are left by no action."""
    moves = maze.moves()
    worth = np.zeros(len(moves))
    worth[list(maze.goals)] = list(maze.goals.values())
    source, action = (index.ravel() for index in np.indices(moves.shape))
    inside = worth[source] == 0
    source, action = source[inside], action[inside]
    parts = [(1 - slip, action), (slip / 2, (action - 1) % 4), (slip / 2, (action + 1) % 4)]
    if not slip:
        parts = parts[:1]
    target = np.concatenate([moves[source, direction] for _, direction in parts])
    return TabularMDP(
        source=np.tile(source, len(parts)),
        action=np.tile(action, len(parts)),
        target=target,
        probability=np.repeat([chance for chance, _ in parts], len(source)),
        reward=worth[target],
        terminated=worth[target] > 0,
        observation=np.arange(len(moves)),
        starts=({cell: 1.0 / len(maze.starts) for cell in maze.starts},),
        horizon=horizon,
        observations=len(moves),
        actions=4,
    )
