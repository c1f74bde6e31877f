"""``maxpo-lab advantages``: a column of advantages for a file of rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from ..core.arguments import as_k
from ..core.arrays import Int
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
    try:
        content = read(file, Columns(reward, None if one_group else group))
        _refuse_empty(file, content, missing)
        rule = get_estimator(estimator)
        if isinstance(rule, MemoryEstimator):
            raise RewardFileError(
                f"{rule.name} remembers earlier steps, which a file does not hold: use its update"
            )
        if small_groups == "raise":
            _refuse_small(file, content, rule, as_k(k))
        if output is not None:
            _check_ending(file, output)
        elif file.suffix.lower() == ".parquet":
            raise RewardFileError(
                "Parquet is not for a terminal: name a file with --output, or - for standard output"
            )
        values = compute(
            content.rows.rewards,
            k,
            estimator=rule,
            group_ids=_codes(content),
            nan_policy=missing,
            small_groups=small_groups,
        )
        rendered = content.render(column, values)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    deliver(output or STANDARD, rendered)


def _codes(content: RewardFile) -> Int:
    """The number of each row's group: all 0 where the file is one group."""
    groups = content.rows.groups
    return np.zeros(len(content.numbers), dtype=np.intp) if groups is None else groups.codes


def _refuse_empty(file: Path, content: RewardFile, missing: str) -> None:
    """Refuse missing rewards, by their rows, unless they are to be left out."""
    empty = np.flatnonzero(np.isnan(content.rows.rewards))
    if len(empty) and missing == "raise":
        where = ", ".join(str(content.numbers[row]) for row in empty[:5])
        where += ", ..." if len(empty) > 5 else ""
        raise RewardFileError(
            f"{file}: no reward in {content.place} {where}; --missing omit leaves such rows out of their "
            f"group"
        )


def _refuse_small(file: Path, content: RewardFile, rule: Entry, k: int) -> None:
    """Refuse a group that the rule is not defined on, by its id and first row."""
    codes = _codes(content)
    sizes = np.bincount(codes[~np.isnan(content.rows.rewards)], minlength=codes.max() + 1)
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
