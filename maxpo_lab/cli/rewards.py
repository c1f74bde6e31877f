"""``maxpo-lab advantages``: a column of advantages for a file of rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from ..core.arguments import as_k
from ..core.arrays import Float, Int
from ..estimators import MemoryEstimator, get_estimator
from ..estimators.entry import Entry
from ..training import advantages as compute
from .outputs import STANDARD
from .printing import deliver
from .reward_files import COMPRESSED, READERS, Columns, RewardFile, RewardFileError, read


def advantages(
    file: Annotated[Path, typer.Argument(help="Rewards: .csv, .tsv, .jsonl or .parquet.")],
    k: Annotated[int, typer.Option("--k", help="The K of max@K.")],
    estimator: Annotated[str, typer.Option(help="Which rule.")] = "maxpo",
    reward: Annotated[
        list[str] | None,
        typer.Option(help="Column of the rewards, by default reward; several times for a rule of several."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--reward-weights", help="Their weights, e.g. 1,0.5; 1 each unless told.")
    ] = None,
    length: Annotated[str | None, typer.Option(help="Column of the lengths, for a rule of them.")] = None,
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
    try:
        rule = get_estimator(estimator)
        first, *more = reward or ["reward"]
        columns = Columns(first, None if one_group else group, more_rewards=tuple(more), length=length)
        content = read(file, columns)
        rewards = _rewards(content, rule, several=len(more) > 0)
        _refuse_empty(file, content, rewards, missing)
        if isinstance(rule, MemoryEstimator):
            raise RewardFileError(
                f"{rule.name} remembers earlier steps, which a file does not hold: use its update"
            )
        if small_groups == "raise":
            _refuse_small(file, content, rewards, rule=rule, k=as_k(k))
        if output is not None:
            _check_ending(file, output)
        elif file.suffix.lower() == ".parquet":
            raise RewardFileError(
                "Parquet is not for a terminal: name a file with --output, or - for standard output"
            )
        values = compute(
            rewards,
            k,
            estimator=rule,
            group_ids=_codes(content),
            nan_policy=missing,
            small_groups=small_groups,
            reward_weights=None if weights is None else _numbers(weights),
            lengths=content.rows.lengths,
        )
        rendered = content.render(column, values)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    deliver(output or STANDARD, rendered)


def _codes(content: RewardFile) -> Int:
    """The number of each row's group: all 0 where the file is one group."""
    groups = content.rows.groups
    return np.zeros(len(content.numbers), dtype=np.intp) if groups is None else groups.codes


def _rewards(content: RewardFile, rule: Entry, *, several: bool) -> Float:
    """Rewards (B,), or (B, d) of a rule of several; refuses several of a rule of one."""
    if rule.kind in ("vector", "vector-batch"):
        return content.rows.all_rewards()
    if several:
        raise RewardFileError(
            f"--reward is given several times, and {rule.name} takes one reward: take summed:{rule.name} or "
            f"per-reward:{rule.name}"
        )
    return content.rows.rewards


def _numbers(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise RewardFileError(f"--reward-weights {text}: numbers with commas between, e.g. 1,0.5") from None


def _refuse_empty(file: Path, content: RewardFile, rewards: Float, missing: str) -> None:
    """Refuse missing rewards, by their rows, unless they are to be left out."""
    empty = np.flatnonzero(np.isnan(rewards.reshape(len(rewards), -1)).any(axis=1))
    if len(empty) and missing == "raise":
        where = ", ".join(str(content.numbers[row]) for row in empty[:5])
        where += ", ..." if len(empty) > 5 else ""
        raise RewardFileError(
            f"{file}: no reward in {content.place} {where}; --missing omit leaves such rows out of their "
            f"group"
        )


def _refuse_small(file: Path, content: RewardFile, rewards: Float, *, rule: Entry, k: int) -> None:
    """Refuse a group that the rule is not defined on, by its id and first row."""
    codes = _codes(content)
    scored = ~np.isnan(rewards.reshape(len(rewards), -1)).all(axis=1)
    sizes = np.bincount(codes[scored], minlength=codes.max() + 1)
    for size in np.unique(sizes[sizes > 0]):
        if reason := rule.why_not(int(size), k):
            group = int(np.argmax(sizes == size))
            first = content.numbers[int(np.argmax(codes == group))]
            name = (
                "the file" if content.rows.groups is None else f"group {content.rows.groups.ids[group]!s:.80}"
            )
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
