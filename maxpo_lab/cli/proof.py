"""``maxpo-lab show --proof``: a rule's claims, decided at one (n, K), next to what the catalogue says."""

from __future__ import annotations

from fractions import Fraction

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from ..estimators import Estimator, RankLinear
from ..theory import Decision, Proof, decide_by_moments, prove

#: Largest group whose proof is a table that somebody reads.
_LARGEST = 64
#: Characters of a fraction that is written out.
_WRITTEN = 14
_MEANING = (
    "wanted, got: the advantage of a success less that of a failure in its place, where m of the others "
    "fail; sum A: of all advantages, where m of the group fail"
)


def decided(rule: Estimator, *, n: int, k: int) -> tuple[RenderableType, ...]:
    """The decision of a rule's claims, to be printed: with its proof where the rule is rank-linear.

    Raises ValueError where the rule is undefined at (n, k), or n above 64.
    """
    if n > _LARGEST:
        raise ValueError(
            f"n={n}: --proof prints n exact rows, up to n={_LARGEST}; maxpo_lab.theory.decide takes any n"
        )
    if isinstance(rule, RankLinear):
        proof = prove(rule, n=n, k=k)
        how = "proved: both sides are exact, and decide for every policy on any rewards"
        return _head(rule, n, k), _equations(proof), _MEANING, *_verdicts(rule, proof.decision, n, k, how)
    found = decide_by_moments(rule, n=n, k=k)
    target = "" if rule.objective == "max@k" else f" --target {rule.objective}"
    how = (
        f"measured: the rule is not linear in its sorted rewards, so that no coefficients prove anything. "
        f"These are its exact moments on random policies: what fails there fails, what holds there is no "
        f"proof. All groups of a few reward levels decide: "
        f"maxpo-lab audit {rule.name} --n {n} --k {k}{target} --claim unbiased --claim centered"
    )
    return _head(rule, n, k), *_verdicts(rule, found, n, k, how)


def _head(rule: Estimator, n: int, k: int) -> str:
    return f"[bold]{escape(rule.name)}[/bold]  {escape(rule.equation)}  (n={n}, K={k})\n"


def _equations(proof: Proof) -> Table:
    """A row for each m; what is not as an unbiased, or a centered, rule has it is red."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("m", "wanted", "got", "got / wanted", "sum A"):
        table.add_column(name, justify="right", no_wrap=True)
    for m, (wanted, got, total) in enumerate(zip(proof.wanted, proof.got, proof.sums, strict=True)):
        ratio = _written(got / wanted) if wanted else "-" if not got else "none"
        table.add_row(
            str(m),
            _written(wanted),
            _marked(_written(got), got == wanted),
            _marked(ratio, got == wanted),
            _marked(_written(total), not total),
        )
    return table


def _verdicts(rule: Estimator, found: Decision, n: int, k: int, how: str) -> tuple[Table, str]:
    """The claims of the catalogue, which are for every (n, K), next to what holds here."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("claim", "catalogue, at every (n, K)", f"here, at n={n}, K={k}"):
        table.add_column(name)
    says = {True: "yes", False: "no"}
    unbiased = says[found.unbiased] + f": {_scale(found.scale, rule.objective)}"
    centered = says[found.centered] + f": advantages {'' if found.centered else 'do not '}sum to 0"
    table.add_row("unbiased", says[rule.claims.unbiased], _marked(unbiased, found.unbiased))
    table.add_row("centered", says[rule.claims.centered], _marked(centered, found.centered))
    return table, escape(how)


def _scale(scale: Fraction | float | None, objective: str) -> str:
    if scale is None:
        return f"E\\[g] is no constant times the gradient of {escape(objective)}"
    factor = "" if scale == 1 else f"{_written(scale)} x "
    return f"E\\[g] = {factor}the gradient of {escape(objective)}"


def _marked(text: str, fine: bool) -> str:
    return text if fine else f"[red]{text}[/red]"


def _written(number: Fraction | float) -> str:
    text = str(number) if isinstance(number, Fraction) else f"{number:.6g}"
    return text if len(text) <= _WRITTEN else f"{float(number):.6g}"
