"""``maxpo-lab list`` and ``show``: the catalogue, and one rule of it, of any kind, or one loss."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from ..core.numerals import numeral
from ..estimators import (
    BatchEstimator,
    Estimator,
    VectorBatchEstimator,
    VectorEstimator,
    get_estimator,
    group_estimator,
    list_estimators,
)
from ..estimators.entry import KINDS, Entry
from ..estimators.references import bibtex
from ..estimators.registry import parameters
from ..losses.registry import get_loss, is_loss, list_losses
from ..losses.registry import parameters as options_of
from ..spectrum import ORDERED_UP_TO, Spectrum, pass_at_k_spectrum
from . import values
from .outputs import STANDARD
from .printing import deliver, display

_SCALE_LAWS = {
    "linear": "advantages x c",
    "invariant": "changes nothing, but for an epsilon",
    "none": "no law",
}
_KINDS = {
    "group": "of a group alone",
    "batch": "of a batch: its groups are coupled",
    "memory": "with memory of earlier steps",
    "vector": "of a group, of several rewards or a length",
    "vector-batch": "of a batch, of several rewards",
}
_STATISTICS = {
    "reward_sum": "the sum of the batch's rewards",
    "advantage_rms": "the root mean square of a group rule's advantages",
    None: "more than one number",
}
_DEAD = {
    "none": "0 on groups that all succeed or all fail",
    "all-correct": "pays groups that all succeed: do not drop them",
    "all-fail": "pays groups that all fail: do not drop them",
    "both": "pays groups that all succeed or all fail: do not drop them",
}
#: Of a rule for which the places of a group matter: whether it is equivariant, and whether equals are.
_ORDER = {
    (True, False): "changes nothing, but who of equal rewards gets which advantage",
    (False, False): "changes the advantages: means are over all orders of a group",
}
_COUPLINGS = {
    "none": "a rollout's own",
    "group": "those of its group: the prompts stay apart",
    "batch": "those of the batch: its groups are coupled",
}
_EMPTY = {
    "count": "a rollout without tokens counts as 0",
    "skip": "a rollout without tokens does not count",
    "refuse": "a rollout without tokens is an error where its length divides",
}
#: Half-width of a spectrum's bars, in characters.
_BAR = 24
#: Largest group whose spectrum fits float64 with its resolution, which grows like 3^n.
_LARGEST = 640


def list_(
    losses: Annotated[bool, typer.Option("--losses", help="List the losses instead.")] = False,
    of_values: Annotated[
        bool,
        typer.Option("--values", help="List the estimates of J_K, and what evaluation tools print, instead."),
    ] = False,
) -> None:
    """List the estimators, kind by kind: rule, objective and claims; or losses, or value rules."""
    if losses and of_values:
        raise typer.BadParameter("--losses and --values are two lists: give one of them")
    if of_values:
        display(*values.listed())
        return
    if losses:
        display(_losses())
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("rule", ratio=1)
    for column in ("objective", "unbiased", "centered"):
        table.add_column(column, no_wrap=True)
    for kind in KINDS:
        if kind != "group":
            table.add_row()
            table.add_row("", f"[dim]{_KINDS[kind]}[/dim]")
        for rule in map(get_estimator, list_estimators(kind)):
            objective = "its own" if rule.objective == rule.name else rule.objective
            table.add_row(*map(escape, (rule.name, rule.equation, objective, *_claims(rule))))
    display(table)


def show(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="An estimator, e.g. maxpo or grpo:eps=1e-4,ddof=0; a loss, e.g. trl:dapo; a value rule, "
            "e.g. plug-in; or what an evaluation tool prints, e.g. verl:best@N."
        ),
    ],
    n: Annotated[int, typer.Option("--n", min=1, max=_LARGEST, help="Group size of the spectrum.")] = 8,
    k: Annotated[int, typer.Option("--k", min=1, help="K of the spectrum.")] = 4,
    proof: Annotated[
        bool, typer.Option("--proof", help="Decide its claims at n and K instead, from its coefficients.")
    ] = False,
) -> None:
    """Show one estimator: rule, claims, spectrum, where defined, BibTeX; or one loss or value rule."""
    kind = "loss" if is_loss(name) else values.kind_of(name)
    if kind is not None:
        given = [key for key in ("n", "k", "proof") if _is_given(context, key)]
        if given:
            raise typer.BadParameter(f"{name} is a {kind}, which takes no --{given[0]}")
        if kind == "loss":
            _show_loss(name)
        else:
            display(values.shown(name))
        return
    try:
        rule = get_estimator(name)
        if proof:
            from .proof import decided  # noqa: PLC0415 - the theorems, for this option alone

            display(*decided(group_estimator(name), n=n, k=k))
            return
        spectrum = None
        if isinstance(rule, Estimator) and (rule.claims.equivariant or n <= ORDERED_UP_TO):
            spectrum = pass_at_k_spectrum(rule, n=n, k=k)
    except ValueError as error:
        near = values.near(name)
        of_values = f"; of value rules and tools' numbers: {' or '.join(near)}" if near else ""
        raise typer.BadParameter(f"{error}{of_values}") from error
    unbiased, centered = _claims(rule)
    options = parameters(name)
    facts = {
        "name": f"{rule.name} ({rule.title})",
        "rule": rule.equation,
        "kind": _KINDS[rule.kind],
        "objective": rule.objective,
        "uses k": "yes" if rule.uses_k else "no",
        "parameters": ", ".join(
            f"{key}={value if isinstance(value, str) else numeral(value)}" for key, value in options.items()
        )
        or "none",
        "claims": f"unbiased: {unbiased}, centered: {centered}",
        "rewards + c": "changes nothing" if rule.laws.shift_invariant else "changes the advantages",
        "rewards x c": _SCALE_LAWS[rule.laws.scale],
        f"defined, n={n}": _range(rule, n),
        "rewards": {"real": "any", "unit": "in [0, 1]", "binary": "0 or 1"}[rule.domain],
        "degenerate": rule.degenerate,
        "dead groups": _DEAD[rule.dead_groups],
        "source": rule.citation,
    }
    if order := _ORDER.get((rule.claims.equivariant, rule.laws.equal_ties)):
        facts["order"] = order
    if isinstance(rule, BatchEstimator):
        facts["prompts meet in"] = _STATISTICS[rule.statistic]
        facts["prompts"] = f"{rule.smallest_batch} at least"
    if isinstance(rule, VectorEstimator | VectorBatchEstimator):
        facts["a rollout carries"] = "its rewards and its length" if rule.takes_lengths else "its rewards"
    table = Table.grid(padding=(0, 2))
    for label, text in facts.items():
        table.add_row(f"[bold]{label}[/bold]", escape(text))
    display(table)
    if spectrum is not None:
        display(
            f"\n[bold]spectrum[/bold]  on 0/1 rewards it climbs sum_k lambda_k pass@k  (n={n}, K={k})",
            _bars(spectrum),
        )
    deliver(STANDARD, f"\n{bibtex(rule)}\n")


def _losses() -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("weight of a token", ratio=3)
    table.add_column("source", ratio=2)
    before = ""
    for loss in map(get_loss, list_losses()):
        family = loss.name.partition(":")[0] if ":" in loss.name else ""
        if family != before:
            table.add_row()
            before = family
        table.add_row(*map(escape, (loss.name, loss.equation, loss.citation)))
    return table


def _is_given(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _show_loss(name: str) -> None:
    try:
        loss = get_loss(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    options = ", ".join(f"{key}={value}" for key, value in options_of(name).items())
    factor = loss.aggregation.equation
    if loss.aggregation.length is not None:
        factor = factor.replace("L", f"{loss.aggregation.length:g}")
    facts = {
        "name": f"{loss.name} ({loss.title})",
        "weight": loss.equation,
        "update": "(1/N) sum over tokens of w_it grad log pi, N rollouts",
        "f_i": factor.removeprefix("f_i = "),
        "lengths": _COUPLINGS[loss.aggregation.couples],
        "no tokens": _EMPTY[loss.aggregation.empty],
        "looks at": ", ".join(sorted(loss.needs)) or "advantages alone",
        "options": options or "none",
        "source": loss.citation,
    }
    table = Table.grid(padding=(0, 2))
    for label, text in facts.items():
        table.add_row(f"[bold]{label}[/bold]", escape(text))
    display(table)
    deliver(STANDARD, f"\n{bibtex(loss)}\n")


def _claims(rule: Entry) -> tuple[str, str]:
    claims = rule.claims
    return ("yes" if claims.unbiased else "no", "yes" if claims.centered else "no")


def _range(rule: Entry, n: int) -> str:
    """The valid K at group size n, which are consecutive for every rule; why there is none where so."""
    valid = [k for k in range(1, rule.largest_k(n) + 1) if rule.why_not(n, k) is None]
    if not valid:
        return f"no: {rule.why_not(n, 1)}"
    return f"{valid[0]} <= K <= {valid[-1]}"


def _bars(spectrum: Spectrum) -> Table:
    """One bar per weight, to the left of the axis where it is negative."""
    weights = spectrum.weights.astype(float)
    weights[np.abs(weights) <= spectrum.resolution] = 0.0
    largest = max(np.abs(weights).max(), np.finfo(float).tiny)
    left = _BAR if (weights < 0).any() else 0
    table = Table.grid(padding=(0, 1))
    for order, weight in enumerate(weights, start=1):
        length = round(_BAR * abs(weight) / largest)
        bar = "█" * length
        row = f"[red]{bar:>{left}}[/red]│" if weight < 0 else f"{'':{left}}│[blue]{bar}[/blue]"
        exact = str(spectrum.weights[order - 1]) if spectrum.exact else f"{weight:.4g}"
        table.add_row(f"pass@{order}", row, exact)
    return table
