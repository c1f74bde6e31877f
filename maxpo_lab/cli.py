"""The ``maxpo-lab`` command: the catalogue, advantages of a file of rewards, the audit of a rule."""

from __future__ import annotations

import io
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from .estimators import Estimator, get_estimator, list_estimators
from .estimators.numerals import numeral
from .estimators.registry import parameters
from .groups import as_k
from .outputs import STANDARD, OutputError, settle, write, write_standard
from .references import bibtex
from .reward_files import COMPRESSED, READERS, RewardFile, RewardFileError, read
from .spectrum import Spectrum, pass_at_k_spectrum

app = typer.Typer(
    name="maxpo-lab",
    help="Advantage rules for max@K / pass@K policy gradients.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_SCALE_LAWS = {
    "linear": "advantages x c",
    "invariant": "changes nothing, but for an epsilon",
    "none": "no law",
}
#: Half-width of a spectrum's bars, in characters.
_BAR = 24
#: Largest group whose spectrum fits float64 with its resolution, which grows like 3^n.
_LARGEST = 640
#: Exit status of a fault of this program, which is no verdict and no bad usage (EX_SOFTWARE).
_INTERNAL = 70


@app.command("list")
def list_() -> None:
    """List the estimators: rule, objective and claims."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("rule", ratio=1)
    for column in ("objective", "unbiased", "centered"):
        table.add_column(column, no_wrap=True)
    for rule in map(get_estimator, list_estimators()):
        objective = "its own" if rule.objective == rule.name else rule.objective
        table.add_row(*map(escape, (rule.name, rule.equation, objective, *_claims(rule))))
    _print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="An estimator, e.g. maxpo or grpo:eps=1e-4,ddof=0.")],
    n: Annotated[int, typer.Option("--n", min=1, max=_LARGEST, help="Group size of the spectrum.")] = 8,
    k: Annotated[int, typer.Option("--k", min=1, help="K of the spectrum.")] = 4,
) -> None:
    """Show one estimator: rule, claims, spectrum, where it is defined, citation, BibTeX."""
    try:
        rule = get_estimator(name)
        spectrum = pass_at_k_spectrum(rule, n=n, k=k)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    unbiased, centered = _claims(rule)
    options = parameters(name)
    facts = {
        "name": f"{rule.name} ({rule.title})",
        "rule": rule.equation,
        "objective": rule.objective,
        "uses k": "yes" if rule.uses_k else "no",
        "parameters": ", ".join(f"{key}={numeral(value)}" for key, value in options.items()) or "none",
        "claims": f"unbiased: {unbiased}, centered: {centered}",
        "rewards + c": "changes nothing" if rule.laws.shift_invariant else "changes the advantages",
        "rewards x c": _SCALE_LAWS[rule.laws.scale],
        f"defined, n={n}": _range(rule, n),
        "rewards": {"real": "any", "unit": "in [0, 1]", "binary": "0 or 1"}[rule.domain],
        "degenerate": rule.degenerate,
        "source": rule.citation,
    }
    table = Table.grid(padding=(0, 2))
    for label, text in facts.items():
        table.add_row(f"[bold]{label}[/bold]", escape(text))
    _print(
        table,
        f"\n[bold]spectrum[/bold]  on 0/1 rewards it climbs sum_k lambda_k pass@k  (n={n}, K={k})",
        _bars(spectrum),
    )
    _write(STANDARD, f"\n{bibtex(rule)}\n")


@app.command()
def advantages(
    file: Annotated[Path, typer.Argument(help="Rewards: .csv, .tsv, .jsonl or .parquet.")],
    k: Annotated[int, typer.Option("--k", help="The K of max@K.")],
    estimator: Annotated[str, typer.Option(help="Which rule.")] = "maxpo",
    reward: Annotated[str, typer.Option(help="Column of the rewards.")] = "reward",
    group: Annotated[str, typer.Option(help="Column of the group ids.")] = "group",
    one_group: Annotated[bool, typer.Option("--one-group", help="The whole file is one group.")] = False,
    column: Annotated[str, typer.Option(help="Column to add.")] = "advantage",
    missing: Annotated[
        Literal["raise", "omit"], typer.Option(help="Empty rewards: refuse, or leave out of their group.")
    ] = "raise",
    small_groups: Annotated[
        Literal["raise", "zero"], typer.Option(help="Groups too small for k: refuse, or give 0.")
    ] = "raise",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write; - is standard output, which is the default."),
    ] = None,
) -> None:
    """Add the advantages of each group to a file of rewards, in the file's own format.

    All else stays as it was: byte order mark, line ends, quotes and the spelling of numbers; codecs, row
    groups and metadata of Parquet. A regular file is written whole or not at all; it may be the input itself.
    """
    from .advantages import advantages as compute  # noqa: PLC0415 - the command has the same name

    try:
        content = read(file, reward=reward, group=None if one_group else group)
        _refuse_empty(file, content, missing)
        rule = get_estimator(estimator)
        if small_groups == "raise":
            _refuse_small(file, content, rule, as_k(k))
        if output is not None:
            _check_ending(file, output)
        elif file.suffix.lower() == ".parquet":
            raise RewardFileError(
                "Parquet is not for a terminal: name a file with --output, or - for standard output"
            )
        values = compute(
            content.rewards,
            k,
            estimator=rule,
            group_ids=_codes(content),
            nan_policy=missing,
            small_groups=small_groups,
        )
        rendered = content.render(column, values)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    _write(output or STANDARD, rendered)


@app.command()
def audit(
    rule: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="A callable, or a catalogue name.")],
    n: Annotated[int, typer.Option("--n", help="Group size.")],
    k: Annotated[int, typer.Option("--k", help="The K of max@K.")],
    claim: Annotated[
        list[str] | None,
        typer.Option(
            help="unbiased, centered, equivariant or equals:NAME; may be repeated. [default: unbiased]"
        ),
    ] = None,
    target: Annotated[str, typer.Option(help="max@k, max@n, mean or an l-statistic:<preset>.")] = "max@k",
    rewards: Annotated[
        Literal["auto", "binary", "graded", "continuous"],
        typer.Option(help="What claims are decided on; auto: graded, or binary where a rule refuses those."),
    ] = "auto",
    signature: Annotated[
        Literal["auto", "group", "batch", "verl", "skyrl", "rllm"], typer.Option(help="How it is called.")
    ] = "auto",
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What its config holds beside k.")
    ] = None,
    allow_scale: Annotated[bool, typer.Option("--allow-scale", help="Let a constant factor pass.")] = False,
    seconds: Annotated[float, typer.Option(help="What one call may take.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Also write the report to this Markdown file; - prints Markdown alone."),
    ] = None,
) -> None:
    """Audit an advantage rule, exactly: its objective, bias, centering, variance, edges, nearest rule.

    Exit status 0 where every claim holds, 1 where one fails or the rule misbehaves, 2 for bad usage, 70 for a
    fault of this program.
    """
    from .auditing.apart import audit_apart  # noqa: PLC0415 - scipy's optimisers, for this command alone

    if as_json and markdown == STANDARD:
        raise typer.BadParameter("--json and --markdown - both print on standard output: name a file")
    try:
        report = audit_apart(
            rule,
            n=n,
            k=k,
            claims=tuple(claim or ("unbiased",)),
            target=target,
            rewards=rewards,
            signature=signature,
            settings=_settings(setting or []),
            allow_scale=allow_scale,
            seconds=seconds,
        )
    except (TypeError, ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    if markdown is not None:
        _write(markdown, report.to_markdown())
    if as_json:
        _write(STANDARD, report.to_json() + "\n")
    elif markdown != STANDARD:
        _print(report.panel())
        if report.failing_test:  # as it is, to be copied
            _write(STANDARD, f"\n{report.failing_test}")
    raise typer.Exit(0 if report.passed else 1)


def _print(*renderables: RenderableType) -> None:
    """Print to the terminal, or as plain text, in whatever encoding standard output has."""
    console = Console()
    with console.capture() as captured:
        for each in renderables:
            console.print(each)
    _write(STANDARD, captured.get())


def _write(path: Path, content: bytes | str) -> None:
    """Write an output; bad usage where it cannot be written."""
    try:
        if path == STANDARD:
            write_standard(content)
        else:
            raw = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
            write(path, raw)
    except OutputError as error:
        raise typer.BadParameter(str(error)) from error


def _codes(content: RewardFile) -> npt.NDArray[np.intp]:
    """The number of each row's group: all 0 where the file is one group."""
    return np.zeros(len(content.rewards), dtype=np.intp) if content.groups is None else content.groups.codes


def _refuse_empty(file: Path, content: RewardFile, missing: str) -> None:
    """Refuse missing rewards, by their rows, unless they are to be left out."""
    empty = np.flatnonzero(np.isnan(content.rewards))
    if len(empty) and missing == "raise":
        where = ", ".join(str(content.numbers[row]) for row in empty[:5])
        where += ", ..." if len(empty) > 5 else ""
        raise RewardFileError(
            f"{file}: no reward in {content.place} {where}; --missing omit leaves such rows out of their "
            f"group"
        )


def _refuse_small(file: Path, content: RewardFile, rule: Estimator, k: int) -> None:
    """Refuse a group that the rule is not defined on, by its id and first row."""
    codes = _codes(content)
    sizes = np.bincount(codes[~np.isnan(content.rewards)], minlength=codes.max() + 1)
    for size in np.unique(sizes[sizes > 0]):
        if reason := rule.why_not(int(size), k):
            group = int(np.argmax(sizes == size))
            first = content.numbers[int(np.argmax(codes == group))]
            name = "the file" if content.groups is None else f"group {content.groups.ids[group]!s:.80}"
            raise RewardFileError(
                f"{file}: {name} (from {content.place} {first}) has {size} scored rollouts: {reason}; "
                f"--small-groups zero gives such groups advantage 0"
            )


def _check_ending(file: Path, output: Path) -> None:
    """Refuse an output whose ending promises another format than the file's own."""
    promised = output.suffix.lower()
    alike = {promised, file.suffix.lower()}
    if len(alike) > 1 and alike != {".jsonl", ".ndjson"} and promised in (*READERS, *COMPRESSED):
        raise RewardFileError(
            f"--output {output}: what is written has the format of {file}; end it in {file.suffix}"
        )


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


def _claims(rule: Estimator) -> tuple[str, str]:
    claims = rule.claims
    return ("yes" if claims.unbiased else "no", "yes" if claims.centered else "no")


def _range(rule: Estimator, n: int) -> str:
    """The valid K at group size n; they are consecutive for every rule."""
    valid = [k for k in range(1, n + 1) if rule.why_not(n, k) is None]
    return f"{valid[0]} <= K <= {valid[-1]}"


def _bars(spectrum: Spectrum) -> Table:
    """One bar a weight, to the left of the axis where it is negative."""
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


def main() -> None:
    """Run the command line.

    Bad input is a message and exit status 2, a fault of this program a traceback and 70: 1 is the status of a
    claim that fails, and of nothing else.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except (Exception, SystemExit) as end:
        sys.exit(_status(end))
    finally:
        for stream in (sys.stdout, sys.stderr):
            settle(stream)


def _status(end: BaseException) -> int | str | None:
    """The exit status that what ended the command stands for, told on standard error where typer has not.

    typer and rich end with 1, that of a claim that fails, where a reader has gone or a file ended early, and
    raise where a stream is full. Whatever was to be printed then, bad usage stays that; a reader that has
    gone is fine otherwise, and a stream that does not take the help is bad usage.
    """
    lost: OSError | None = None
    for error in _behind(end):
        if isinstance(error, OSError) and error.filename is None:
            lost = error
        status = getattr(error, "exit_code", None)
        if isinstance(status, int) and (lost or isinstance(end, SystemExit)):
            return status
        if isinstance(error, EOFError):
            end = error
    if lost is None and isinstance(end, SystemExit):
        return end.code
    if isinstance(lost, BrokenPipeError):
        return 0
    with suppress(OSError):  # where nobody can be told, the status still tells
        if lost is None:
            traceback.print_exception(end)
            sys.stderr.write("maxpo-lab: this is a fault of the program, not of its input\n")
        else:
            sys.stderr.write(f"maxpo-lab: cannot print: {lost.strerror or lost}\n")
    return _INTERNAL if lost is None else 2


def _behind(error: BaseException) -> Iterator[BaseException]:
    """An exception, the one that was being handled when it was raised, and so on."""
    behind: BaseException | None = error
    while behind is not None:
        yield behind
        behind = behind.__context__
