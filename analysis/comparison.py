"""``python -m analysis compare``: rules on a prompt of one's own, as numbers and as a figure."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import maxpo_lab as ml

from .measure.one_prompt import REMEMBERING, UNBIASED, Prompt, comparable, compare
from .output import one_prompt as shown

console = Console(soft_wrap=True)


def _completed(incomplete: str) -> list[str]:
    """What ``--rule`` may go on as."""
    return [name for name in comparable() if name.startswith(incomplete)]


def compare_(
    n: Annotated[int, typer.Option("--n", help="Group size: rollouts of the prompt.")],
    k: Annotated[int, typer.Option("--k", help="K of max@K, at most n.")],
    success: Annotated[float, typer.Option("--success", "-p", help="Chance that a rollout is right.")],
    correct: Annotated[int, typer.Option(help="Different right answers.")] = 10,
    outcomes: Annotated[int, typer.Option(help="Different answers in all.")] = 1000,
    history: Annotated[int, typer.Option(help="Earlier rewards of the prompt that are remembered.")] = 0,
    false_positives: Annotated[float, typer.Option(help="Share of wrong rollouts that pass.")] = 0.0,
    false_negatives: Annotated[float, typer.Option(help="Share of right rollouts that fail.")] = 0.0,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            help=f"A rule of a group to compare, or {', '.join(REMEMBERING)}; may be repeated.",
            autocompletion=_completed,
            show_default=f"{', '.join(UNBIASED)}; with a history replay and plug-in-floor too",
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw to this .png, .pdf or .svg.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number as JSON.")] = False,
) -> None:
    """Compare rules on a prompt of your own: exact noise, scale and efficiency, and a figure.

    Rewards are 0 or 1; right answers are alike, and wrong ones too.

    efficiency: the least variance that an unbiased rule can have over the rule's own, at equal scale.

    rollouts: how many times as many the rule needs for the same precision.
    """
    if plot is not None and plot.suffix.lower() not in shown.FORMATS:
        raise typer.BadParameter(f"--plot {plot}: the ending must be one of {', '.join(shown.FORMATS)}")
    try:
        prompt = Prompt(
            n=n,
            k=k,
            success=success,
            correct=correct,
            outcomes=outcomes,
            history=history,
            false_positives=false_positives,
            false_negatives=false_negatives,
        )
        rows = compare(prompt, rule or ())
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    where = f"n = {n}, K = {k}, {correct:,} of {outcomes:,} outcomes right"
    where += f", {history} earlier rewards" if history else ""
    if prompt.flipped:
        where += f", {false_positives:g} of the wrong passed, {false_negatives:g} of the right failed"
    if plot is not None:
        try:
            plot.write_bytes(shown.drawn(rows, where, plot.suffix.lower()))
        except OSError as error:
            raise typer.BadParameter(f"--plot {plot} cannot be written: {error.strerror}") from error
    if as_json:
        records = [
            {
                name: None if isinstance(value, float) and math.isnan(value) else value
                for name, value in row.items()
            }
            for row in rows.to_dict("records")
        ]
        typer.echo(json.dumps(records, indent=1))
        return
    console.print(
        f"{where}, p = {success:g}: pass@{k} is {-math.expm1(k * math.log1p(-success)):.4g}", highlight=False
    )
    if prompt.flipped:
        seen = ml.max_at_k(prompt.seen(success), k)
        console.print(f"the verifier sees a pass@{k} of {seen:.4g}", highlight=False)
    console.print(shown.table(rows))
    console.print(shown.verdict(rows), highlight=False)
    if plot is not None:
        console.print(f"drawn to {plot}", highlight=False)
