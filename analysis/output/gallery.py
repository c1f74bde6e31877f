"""The gallery: one picture of the specimens.

Not a study: no rule is measured. ``python -m analysis gallery`` writes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import FancyBboxPatch, Rectangle

from . import style
from .colours import colour_of
from .gallery_scene import VALUED_K, K, Scene, scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours of a wall, of what pays, of what does not, of right and of wrong.
WALL, GOOD, BAD, RIGHT, WRONG = "#3b4252", "#d55e00", "#9aa5b1", "#009e73", "#cc3311"
#: From the page's white to the blue of visits and probabilities.
SHADES = LinearSegmentedColormap.from_list("visits", ["#ffffff", "#9ecae8", "#0072b2"])
#: Colours of small, middle and large K.
OF_K = dict(zip(VALUED_K, ("#9ecae8", "#0072b2", "#332288"), strict=True))


def draw(shown: Scene) -> Figure:
    """The picture, one panel per specimen."""
    figure, axes = style.subplots(2, 3, figsize=(style.PAGE, 4.55), height_ratios=(1.1, 1.0))
    draw_maze(axes[0, 0], shown)
    draw_lock(axes[0, 1], shown)
    draw_chain(axes[0, 2], shown)
    draw_bandit(axes[1, 0], shown)
    draw_batch(axes[1, 1], shown)
    draw_toy(axes[1, 2], shown)
    for panel in axes[0]:
        panel.set_box_aspect(1)
    names = ("Maze", "CombinationLock", "ChainSum", "SparseBandit", "PromptBandit", "GaussianBandit")
    for letter, name, panel in zip("abcdef", names, axes.flat, strict=True):
        panel.set_title(f"$\\bf{{{letter}}}$  {name}", loc="left", fontsize=8.5)
    return figure


def draw_maze(axes: Axes, shown: Scene) -> None:
    """Walls, how often each place is visited, the start, and the goals with their worth."""
    maze = shown.maze
    grid = np.full(maze.walls.shape, np.nan)
    grid[tuple(maze.cells.T)] = shown.visits
    axes.set_facecolor(WALL)
    axes.imshow(np.ma.masked_invalid(grid), cmap=SHADES, vmin=0, vmax=np.sort(shown.visits)[-2])
    for start in maze.starts:
        row, column = maze.cells[start]
        axes.text(column, row, "S", ha="center", va="center", weight="bold", color="white")
    for cell, worth in maze.goals.items():
        row, column = maze.cells[cell]
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=GOOD, edgecolor="none"))
        axes.text(column, row, f"{worth:g}", ha="center", va="center", color="white", fontsize=7.5)
    ends = ", ".join(f"{maze.goals[cell]:g}: {chance:.0%}" for cell, chance in shown.reached.items())
    _bare(axes, f"visits of each place; goals reached\n{ends}")


def draw_lock(axes: Axes, shown: Scene) -> None:
    """The policy at each wheel, and the code."""
    code = shown.lock.codes[0]
    axes.imshow(shown.turned.T, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    for wheel, row in enumerate(shown.turned):
        for choice, chance in enumerate(row):
            dark = chance > 0.6
            text = f"{chance:.2f}".removeprefix("0")
            axes.text(
                wheel, choice, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "#444"
            )
        axes.add_patch(
            Rectangle(
                (wheel - 0.47, code[wheel] - 0.47), 0.94, 0.94, fill=False, edgecolor=GOOD, linewidth=1.6
            )
        )
    axes.set_xticks(range(len(code)), [str(wheel + 1) for wheel in range(len(code))])
    axes.set_yticks(range(shown.lock.vocabulary))
    axes.set(xlabel="wheel; the code is framed", ylabel="choice")
    axes.grid(visible=False)


def draw_chain(axes: Axes, shown: Scene) -> None:
    """A prompt, a right and a wrong answer to it, token by token, and the verdicts."""
    prompt, right = shown.chain.prompt_tokens[0], shown.answers[0]
    rows = (("prompt", 2.0), ("right", 1.0), ("wrong", 0.0))
    for (_, height), tokens in zip(rows, (prompt, *shown.answers), strict=True):
        for place, token in enumerate(tokens):
            colour = WALL if height == 2 else RIGHT if token == right[place] else WRONG
            _token(axes, place + 0.8 * (place == len(prompt)), height, str(token), colour)
    for place in range(len(prompt)):
        axes.annotate(
            "", (place, 1.34), (place, 1.66), arrowprops={"arrowstyle": "->", "color": WALL, "lw": 0.7}
        )
    for height, verdict in zip((1.0, 0.0), shown.verdicts, strict=True):
        axes.text(4.5, height, f"$r={verdict:g}$", va="center", ha="left", fontsize=8)
    axes.text(-0.75, 2.0, "prompt", va="center", ha="right")
    axes.text(-0.75, 1.0, "rollout 1", va="center", ha="right")
    axes.text(-0.75, 0.0, "rollout 2", va="center", ha="right")
    small: dict[str, Any] = {"ha": "center", "va": "center", "color": WALL, "fontsize": 7}
    axes.text(1.0, 2.55, f"digits in base {shown.chain.base}", **small)
    axes.text(1.0, -0.6, "running sums", **small)
    axes.text(3.8, -0.6, "answer", **small)
    axes.set(xlim=(-2.9, 5.6), ylim=(-0.9, 2.8))
    _bare(axes, "the verifier asks for the answer\nand for every step")
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_bandit(axes: Axes, shown: Scene) -> None:
    """Probabilities of all arms, in falling order, the good ones in colour."""
    order = np.argsort(-shown.pulled, kind="stable")
    good = shown.bandit.rewards[order] > 0
    rank = np.arange(1, len(order) + 1)
    for chosen, colour, label in ((~good, BAD, "reward 0"), (good, GOOD, "reward 1")):
        axes.bar(rank[chosen], shown.pulled[order][chosen], width=1.0, color=colour, label=label, linewidth=0)
    axes.set(yscale="log", xlabel="arm, by rank", ylabel="probability", xlim=(0, len(order) + 1))
    axes.grid(visible=False, axis="x")
    axes.legend(handlelength=1.0, handleheight=0.8)


def draw_batch(axes: Axes, shown: Scene) -> None:
    """Success rate and pass@K of every prompt."""
    prompts = np.arange(1, shown.batch.prompts + 1)
    axes.bar(prompts, shown.batch.success_rates, width=0.8, color=GOOD, linewidth=0, label="success rate")
    axes.plot(prompts, shown.pass_at_k, "o", color=colour_of("maxpo"), label=f"pass@{K}")
    axes.set(yscale="log", xlabel="prompt, hardest first", ylabel="probability", ylim=(5e-4, 9))
    axes.set_yticks([1e-3, 1e-2, 1e-1, 1])
    axes.grid(visible=False, axis="x")
    axes.legend(ncols=2, loc="upper left", handlelength=1.0, handleheight=0.8, columnspacing=1.2)


def draw_toy(axes: Axes, shown: Scene) -> None:
    """The objective as a function of the policy's mean, and where it is best."""
    for k, colour in OF_K.items():
        values, best = shown.values[k], shown.values[k].argmax()
        axes.plot(shown.means, values, color=colour, label=f"$K={k}$")
        axes.plot(shown.means[best], values[best], "o", color=colour)
    reward = np.where(shown.means <= 1, shown.means**2, 0.0)
    axes.plot(shown.means, reward, color=BAD, linewidth=0.9, linestyle=(0, (3, 2)), label="reward")
    axes.set(xlabel="mean of the policy, or action", ylabel="$J_K$, or reward", ylim=(0, 1.42))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xlim(shown.means[0], shown.means[-1])
    axes.legend(ncols=2, loc="upper left", handlelength=1.4, labelspacing=0.3, columnspacing=1.2)


def _bare(axes: Axes, caption: str) -> None:
    """No ticks, a caption below."""
    axes.set(xticks=[], yticks=[], xlabel=caption)
    axes.grid(visible=False)


def _token(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    box = FancyBboxPatch(
        (x - 0.28, y - 0.2), 0.56, 0.4, boxstyle="round,pad=0.06", facecolor="white", edgecolor=colour
    )
    axes.add_patch(box)
    axes.text(x, y - 0.01, text, ha="center", va="center", color=colour, weight="bold", fontsize=8)


def write(results: Path) -> Path:
    """Write ``gallery/figure.png`` and ``.pdf`` below ``results``; the PNG's path."""
    folder = results / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    with style.drawing():
        return style.save({"figure": draw(scene())}, folder)["figure"]
