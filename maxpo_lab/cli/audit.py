"""``maxpo-lab audit``: an advantage rule, or a value rule, against what it is said to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .outputs import STANDARD
from .printing import deliver, display


def audit(
    rule: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="A callable, or a catalogue name.")],
    n: Annotated[int, typer.Option("--n", help="Group size.")],
    k: Annotated[int, typer.Option("--k", help="The K of max@K.")],
    kind: Annotated[
        Literal["advantage", "value"],
        typer.Option(help="What it gives: advantages, or the value of a group, an estimate of max@K."),
    ] = "advantage",
    claim: Annotated[
        list[str] | None,
        typer.Option(
            help="unbiased, centered, equivariant or equals:NAME, of a value unbiased, order-free, monotone, "
            "bounded or equals:NAME; may be repeated.",
            show_default="unbiased",
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            help="max@k, max@n, mean or an l-statistic:<preset>; per-reward:max@k of several rewards."
        ),
    ] = "max@k",
    rewards: Annotated[
        Literal["auto", "binary", "graded", "continuous"],
        typer.Option(help="What claims are decided on; auto: graded, or binary where a rule refuses those."),
    ] = "auto",
    signature: Annotated[
        Literal["auto", "group", "batch", "verl", "skyrl", "rllm"], typer.Option(help="How it is called.")
    ] = "auto",
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What its config holds besides k.")
    ] = None,
    allow_scale: Annotated[bool, typer.Option("--allow-scale", help="Let a constant factor pass.")] = False,
    seconds: Annotated[float, typer.Option(help="What one call may take.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Also write the report to this Markdown file; - prints Markdown alone."),
    ] = None,
) -> None:
    """Audit a rule, exactly: an advantage rule's objective, centering, variance; a value rule's bias; edges.

    Exit status 0 where every claim holds, 1 where one fails or the rule misbehaves, 2 for bad usage, 70 for a
    fault of this program.
    """
    # scipy's optimisers, for this command alone
    from ..auditing import AuditReport  # noqa: PLC0415
    from ..auditing.isolated import audit_isolated  # noqa: PLC0415

    if as_json and markdown == STANDARD:
        raise typer.BadParameter("--json and --markdown - both print on standard output: name a file")
    if kind == "value" and (target != "max@k" or allow_scale):
        raise typer.BadParameter(
            f"{'--allow-scale' if allow_scale else f'--target {target}'} is of advantage rules: a value "
            f"rule is an estimate of max@K, to no factor"
        )
    of_its_kind = {} if kind == "value" else {"target": target, "allow_scale": allow_scale}
    try:
        report = audit_isolated(
            rule,
            kind=kind,
            n=n,
            k=k,
            claims=tuple(claim or ("unbiased",)),
            rewards=rewards,
            signature=signature,
            settings=_settings(setting or []),
            seconds=seconds,
            **of_its_kind,
        )
    except (TypeError, ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    if markdown is not None:
        deliver(markdown, report.to_markdown())
    if as_json:
        deliver(STANDARD, report.to_json() + "\n")
    elif markdown != STANDARD:
        display(report.panel())
        if isinstance(report, AuditReport) and report.failing_test:  # as it is, to be copied
            deliver(STANDARD, f"\n{report.failing_test}")
    raise typer.Exit(0 if report.passed else 1)


def _settings(given: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` as a mapping; values are JSON where they can be read as such, else text."""
    found: dict[str, Any] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise ValueError(f"--set {each}: it must be KEY=VALUE, e.g. --set norm_adv_by_std_in_grpo=false")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found
