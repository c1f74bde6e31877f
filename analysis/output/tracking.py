"""Sending a study's results to Weights & Biases.

A run is always written to disk first, and uploaded from there by ``wandb sync`` in a process of its own. So
a dead network, a bad key or a crash of W&B's service costs the upload and never the run, the wait ends with
a kill, and a run that was not uploaded is complete on disk.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from ..run.curves import Curves
from . import wandb_runs
from .uploading import upload
from .wandb_session import Mode, preferred, session


@dataclass(frozen=True)
class Tracked:
    """What became of a run: what was really done, one line for the terminal, and the run's folder."""

    mode: Mode
    message: str
    directory: Path | None


def log_study(
    study: str,
    *,
    preset: str,
    rows: pd.DataFrame,
    figures: Mapping[str, Path],
    manifest: Mapping[str, Any],
    curves: Sequence[Curves] = (),
    mode: Mode | None = None,
    directory: Path,
) -> Tracked:
    """Log the rows, figures and manifest of a finished study as one run of the W&B project maxpo-lab.

    Learning curves go to runs of their own, one per contestant and seed group, in the study's group.

    No other W&B run may be active in this process.

    Parameters
    ----------
    study, preset
        Group and job type of the run, which is named ``<study>-<preset>``.
    rows
        The table ``rows``, cell by cell, as Python scalars; a missing value (None, NaN) is null. W&B
        shows 10 000 rows of a table and drops the others in silence: more rows are tables of so many at most,
        ``rows/1``, ``rows/2`` and so on, in order.
    figures
        PNG files, logged as ``figures/<name>``.
    manifest
        The run's config, and its file ``manifest.json``.
    curves
        Runs of job type ``curves``, named ``<study>-<preset>-<name>``, with a history by step and the
        manifest, ``rule`` and ``seed_group`` as config.
    mode
        None asks W&B's own settings (WANDB_MODE, ``wandb offline``) and, where these do not object, takes
        ``"online"`` with an API key configured, else ``"offline"``.
    directory
        W&B writes to ``<directory>/wandb``, or where WANDB_DATA_DIR and WANDB_CACHE_DIR say. Keep all of
        it until the run is uploaded: the artifacts are staged there.

    W&B's environment variables hold where they name an account, a server, a mode, tags, notes or the folders
    above, and not where they are of one run (WANDB_RUN_ID, WANDB_RESUME, WANDB_SWEEP_ID and the like), as
    several runs would be one.

    Returns
    -------
    What was done. No failure of W&B raises: without the package nothing is logged. Runs are uploaded one
    after the other, 20 s at most each; the first that fails or takes longer ends the uploads, and it and
    those after it stay offline runs. The message names the reason, and what is left for ``wandb sync``.
    """
    if mode == "disabled":
        return Tracked("disabled", "W&B: disabled, nothing logged", None)
    if find_spec("wandb") is None:
        hint = "wandb is not installed, nothing logged; `pip install 'maxpo-lab[lab]'` brings it"
        return Tracked("disabled", f"W&B: {hint}", None)
    directory = directory.resolve()
    try:
        with session(directory) as user:
            mode, reason = (mode, "") if mode else preferred(user)
            if mode == "disabled":
                return Tracked("disabled", f"W&B: {reason}, nothing logged", None)
            names = {"run_name": f"{study}-{preset}", "run_group": study, "run_job_type": preset}
            run = wandb_runs.write(rows, figures, manifest, directory, names)
            beside = [
                wandb_runs.write_curves(
                    each,
                    manifest,
                    directory,
                    names | {"run_name": f"{study}-{preset}-{each.name}", "run_job_type": "curves"},
                )
                for each in curves
            ]
    except (Exception, SystemExit) as error:  # W&B exits the process where its service has crashed
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return Tracked("disabled", f"W&B: nothing logged ({why})", None)
    left = [run, *beside]
    if mode == "online":
        try:
            url = upload(left[0], directory)
            left.pop(0)
            while left:
                upload(left[0], directory)
                left.pop(0)
            return Tracked("online", f"W&B: logged to {url}{_and(beside)}", run)
        except OSError as error:
            reason = f"upload failed ({error}), "
    # By name: runs of other studies lie in the same folder.
    by_hand = f"upload with `wandb sync {' '.join(shlex.quote(str(each)) for each in left)}`"
    return Tracked("offline", f"W&B: {reason}logged offline to {run}{_and(beside)}; {by_hand}", run)


def _and(beside: Sequence[Path]) -> str:
    return f" and {len(beside)} runs of curves beside it" if beside else ""
