"""What each element of a loop does to each rule: angle, scale and noise of the update, weights of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float
from maxpo_lab.losses import list_losses
from maxpo_lab.moments.updates import updates_of

from ...run.presets import Preset
from .subjects import OFF_POLICY, RULES, at_histories
from .weights import Loop, weights
from .words import RIGHT, words

N, K = 8, 4
SUCCESS = (0.05, 0.2)
HARDEST, EASIEST = 1e-3, 0.9
#: Losses of the part on lag; identity takes old rollouts for new ones.
LAGGED = ("ppo", "importance", "identity", "ppo:high=0.28", "dual-clip", "cispo:over=sequence-sum", "gspo")
#: Losses of the part on lengths; the mean over a batch is of 8 prompts.
AGGREGATED = ("sequence-mean", "group-token-mean", "token-mean")
PROMPTS = 8
LONGEST = 5
#: Losses of the part on max@K from old rollouts, and its words: few enough for all pairs of reward and ratio.
OLD_ROLLOUTS, SHORTEST = ("off-policy", "ppo", "identity"), 2
#: Elements of a loop that leave a prompt's direction alone and change its weight.
LOOPS: dict[str, Loop] = {
    "drop dead groups": {"dead_groups": "drop"},
    "redraw dead groups": {"dead_groups": "redraw"},
    "10% duplicates": {"duplicates": 0.1},
    "30% duplicates": {"duplicates": 0.3},
    "10% false negatives": {"false_negatives": 0.1},
    "1% false positives": {"false_positives": 0.01},
    "5% false positives": {"false_positives": 0.05},
}
#: Rules in the table of defaults, and the lag and the lengths they are judged at.
JUDGED, LAG, SHAPE = ("maxpo", "pkpo-loo1", "grpo"), 0.01, "right short"


@dataclass(frozen=True, slots=True)
class Cell:
    """One element of a loop at one setting: ``x`` is a divergence, a bound, a length, or what part asks."""

    part: str
    setting: str
    loss: str
    success: float
    xs: tuple[float, ...]
    n: int = N
    k: int = K


@dataclass(frozen=True, slots=True)
class Row:
    """One rule in one loop.

    ``part``: "lag" (x: KL(old || new), in nats), "clip" (x: the clip range, at the KL of ``setting``),
    "length" (x: the longest word), "weight" (x: the success rate; ``scale`` is the prompt's weight over the
    rule's own without the loop), "batch" (prompts of log-uniform difficulty with such weights), "default"
    (x: the KL; ``loss`` by name) or "off-policy" (x: the KL; maxpo and off-policy max@k, on words of two
    tokens at most). ``angle`` in radians and ``scale`` are of the expected update against
    grad J at the new policy, ``noise`` is ``tr Cov / |scale grad J|^2``; NaN where it is not defined.
    """

    part: str
    setting: str
    rule: str
    loss: str
    n: int
    k: int
    success: float
    x: float
    angle: float
    scale: float
    noise: float


def cells(preset: Preset) -> Sequence[Cell]:
    """All parts; fewer points of each in the smaller presets."""
    some = 1 if preset == "smoke" else None
    few = {"smoke": 2, "standard": 6, "paper": 11}[preset]
    rates = {"smoke": 6, "standard": 14, "paper": 66}[preset]
    success = SUCCESS if preset == "paper" else SUCCESS[-1:]
    lags = tuple(float(f"{x:.3g}") for x in np.geomspace(1e-4, 0.1, few))
    clips = tuple(float(f"{x:.3g}") for x in np.linspace(0.05, 0.5, few))
    longest = tuple(float(x) for x in range(3, {"smoke": 4, "standard": 6, "paper": 8}[preset]))
    grid = tuple(float(f"{x:.3g}") for x in np.geomspace(HARDEST, EASIEST, rates))
    frameworks = [name for name in list_losses() if ":" in name]
    return [
        *(Cell("lag", "", loss, p, lags) for loss in LAGGED[:some] for p in success),
        *(Cell("off-policy", "", loss, p, lags) for loss in OLD_ROLLOUTS[:some] for p in success),
        *(Cell("clip", f"KL {kl:g}", "ppo", p, clips) for kl in (0.01, 0.003, 0.03)[:some] for p in success),
        *(
            Cell("length", shape, loss, p, longest)
            for shape in list(RIGHT)[:some]
            for loss in AGGREGATED
            for p in success
        ),
        *(Cell("weight", loop, "", nan, grid) for loop in list(LOOPS)[:: 3 if some else 1]),
        *(Cell("default", SHAPE, loss, SUCCESS[-1], (0.0, LAG)) for loss in frameworks[:: 4 if some else 1]),
    ]


def measure(cell: Cell) -> list[Row]:
    """Every rule of the part at every x."""
    if cell.part == "weight":
        return _weights(cell)
    rows = []
    for x in cell.xs:
        loss, batch = _loop(cell, x)
        names = {"default": JUDGED, "off-policy": ("maxpo", OFF_POLICY.name)}.get(cell.part, RULES)
        places = [
            (rule, *each) for rule in names for each in at_histories(rule, n=cell.n, success=cell.success)
        ]
        found = updates_of([at for *_, at in places], loss, batch, n=cell.n, k=cell.k)
        for rule in names:
            own = [
                (chance, each) for (name, chance, _), each in zip(places, found, strict=True) if name == rule
            ]
            facts = _facts(own, len(batch))
            rows.append(
                Row(cell.part, cell.setting, rule, cell.loss, cell.n, cell.k, cell.success, x, *facts)
            )
    return rows


def _loop(cell: Cell, x: float) -> tuple[str, list[ml.Outcomes]]:
    """The loss, and the prompts of a batch, all alike."""
    loss, prompts = cell.loss, 1
    shape, longest, lag = "right as long as wrong", LONGEST, 0.0
    if cell.part == "lag":
        lag = x
    elif cell.part == "off-policy":
        longest, lag = SHORTEST, x
    elif cell.part == "clip":
        loss, lag = f"ppo:low={x},high={x}", float(cell.setting.removeprefix("KL "))
    elif cell.part == "length":
        shape, longest = cell.setting, round(x)
        prompts = PROMPTS if loss == "token-mean" else 1
    else:
        shape, lag, prompts = cell.setting, x, PROMPTS
    return loss, [words(longest, shape).lagged(cell.success, lag, cell.k)] * prompts


def _facts(found: Sequence[tuple[float, ml.UpdateMoments]], prompts: int) -> tuple[float, float, float]:
    """Angle, scale and noise of the update, averaged over histories, with their chances."""
    total = sum(chance for chance, _ in found)
    mean = np.sum([chance / total * each.mean for chance, each in found], axis=0)
    second = sum(chance / total * _second_moment(each, prompts) for chance, each in found)
    gradient = found[0][1].gradient
    length = float(gradient @ gradient)
    scale = float(mean @ gradient) / length
    across = float(np.linalg.norm(mean - scale * gradient)) / np.sqrt(length)
    if not mean.any():
        return nan, 0.0, nan
    trace = second - prompts * float(mean @ mean)
    return float(np.arctan2(across, scale)), scale, trace / (scale**2 * length) if scale else nan


def _second_moment(found: ml.UpdateMoments, prompts: int) -> float:
    """Of a group as if it were alone: each prompt has a history of its own."""
    return prompts * (found.trace_covariance + float(found.mean @ found.mean))


def _weights(cell: Cell) -> list[Row]:
    """Weights of prompts over those without the loop, and the angle by which they turn a batch."""
    rows = []
    loop = LOOPS[cell.setting]
    for rule in RULES:
        found, plain = (weights(rule, cell.xs, n=cell.n, k=cell.k, loop=each) for each in (loop, {}))
        for p, scale in zip(cell.xs, (found / plain).tolist(), strict=True):
            rows.append(Row("weight", cell.setting, rule, "", cell.n, cell.k, p, p, 0.0, scale, nan))
        turned = _of_batch(rule, loop, n=cell.n, k=cell.k)
        rows.append(Row("batch", cell.setting, rule, "", cell.n, cell.k, nan, nan, *turned, nan))
    return rows


def _of_batch(rule: str, loop: Loop, *, n: int, k: int) -> tuple[float, float]:
    """Angle and scale of a batch against that without the loop.

    The mean over prompts with parameters of their own, log-uniform in difficulty.
    """
    at, share = np.polynomial.legendre.leggauss(32)
    p = HARDEST * (EASIEST / HARDEST) ** ((1 + at) / 2)
    found, goal = (weights(rule, p.tolist(), n=n, k=k, loop=each) for each in (loop, {}))
    square: Float = share * (p * (1 - p)) ** 2  # |grad p|^2 of a softmax with equal arms, up to a factor
    ideal = float(square @ goal**2)
    scale = float(square @ (found * goal)) / ideal
    across = float(np.sqrt(square @ (found - scale * goal) ** 2 / ideal))
    return float(np.arctan2(across, scale)), scale
