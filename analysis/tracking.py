"""Sending a study's results to Weights & Biases.

A run is always written to disk first, and uploaded from there by ``wandb sync`` in a process of its own. So
a dead network, a bad key or a crash of W&B's service costs the upload and never the run, the wait ends with
a kill, and a run that was not uploaded is complete on disk.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from .curves import Curves

if TYPE_CHECKING:
    from wandb import Run, Settings

Mode = Literal["disabled", "offline", "online"]

#: An upload of one run that takes longer is given up.
_UPLOAD_SECONDS = 20
#: What these say is of one run, and a study has several, whose names, groups and configs are its own. Each
#: may be set for another program: by a sweep's agent, a launcher, or a shell in which a run was resumed.
_OF_ONE_RUN = (
    "WANDB_RUN_ID",
    "WANDB_NAME",
    "WANDB_RUN_NAME",
    "WANDB_RUN_GROUP",
    "WANDB_JOB_TYPE",
    "WANDB_RUN_JOB_TYPE",
    "WANDB_PROJECT",
    "WANDB_DIR",
    "WANDB_RESUME",
    "WANDB_RESUMED",
    "WANDB_RESUME_FROM",
    "WANDB_FORK_FROM",
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
    "WANDB_LAUNCH",
    "WANDB_LAUNCH_CONFIG_PATH",
    "WANDB_CONFIG",
    "WANDB_CONFIG_PATHS",
)


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

    Learning curves go to runs of their own, one a contestant and seed group, in the study's group.

    No other W&B run may be active in this process.

    Parameters
    ----------
    study, preset
        Group and job type of the run, which is named ``<study>-<preset>``.
    rows
        The table ``rows``, cell by cell, as Python scalars; a missing value (None, NaN) is null. Of a table
        W&B shows 10 000 rows and drops the others in silence: more rows are tables of so many at most,
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
        with _session(directory) as user:
            mode, reason = (mode, "") if mode else _preferred(user)
            if mode == "disabled":
                return Tracked("disabled", f"W&B: {reason}, nothing logged", None)
            names = {"run_name": f"{study}-{preset}", "run_group": study, "run_job_type": preset}
            run = _write(rows, figures, manifest, directory, names)
            beside = [
                _write_curves(
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
            url = _upload(left[0], directory)
            left.pop(0)
            while left:
                _upload(left[0], directory)
                left.pop(0)
            return Tracked("online", f"W&B: logged to {url}{_and(beside)}", run)
        except OSError as error:
            reason = f"upload failed ({error}), "
    # By name: runs of other studies lie in the same folder.
    upload = f"upload with `wandb sync {' '.join(shlex.quote(str(each)) for each in left)}`"
    return Tracked("offline", f"W&B: {reason}logged offline to {run}{_and(beside)}; {upload}", run)


def _and(beside: Sequence[Path]) -> str:
    return f" and {len(beside)} runs of curves beside it" if beside else ""


def _defaults(directory: Path) -> dict[str, str]:
    """Environment variables for W&B, where the user has not set them."""
    return {
        "WANDB_DATA_DIR": str(directory / "wandb"),
        "WANDB_CACHE_DIR": str(directory / "wandb" / "cache"),
        # Sent from offline runs too, and waited for at exit: 10 s and more where the server is silent.
        "WANDB_ERROR_REPORTING": "false",
    }


@contextmanager
def _session(directory: Path) -> Iterator[Settings]:
    """W&B in this process, silent; yields the user's settings, and leaves nothing running."""
    import wandb  # noqa: PLC0415 - takes a second

    before = dict(os.environ)
    hidden = {name: before[name] for name in _OF_ONE_RUN if name in before}
    for name in hidden:
        del os.environ[name]
    os.environ.update(_defaults(directory) | os.environ)
    try:
        _check_writable(directory)
        yield wandb.setup(wandb.Settings(silent=True)).settings
    finally:
        for name in _defaults(directory).keys() - before.keys():
            del os.environ[name]
        os.environ.update(hidden)
        wandb.teardown()  # waits until the files are closed, which run.finish() does not


def _check_writable(directory: Path) -> None:
    """PermissionError where W&B could not write: it would go to the system's temporary folder instead."""
    places = {str(directory): directory}
    for variable in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        place = Path(os.environ[variable])
        if not place.is_relative_to(directory):  # the user's
            places[f"{variable}={place}"] = place
    for said, place in places.items():
        # Nothing is made yet, as the mode may turn out to be disabled.
        found = next(each for each in (place, *place.absolute().parents) if each.exists())
        if not found.is_dir() or not os.access(found, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(f"{said} cannot be written, as {found} cannot: name another folder")


def _preferred(user: Settings) -> tuple[Mode, str]:
    """The mode that the user's settings and keys ask for, and how the message begins because of it."""
    import wandb  # noqa: PLC0415

    if user.mode == "disabled":
        return "disabled", "disabled by W&B's settings"
    if user.mode in ("offline", "dryrun"):
        return "offline", ""
    try:
        return ("online", "") if wandb.login(prompt=False, verify=False) else ("offline", "no API key, ")
    except wandb.Error as error:
        return "offline", f"bad API key ({error}), "


def _write(
    rows: pd.DataFrame,
    figures: Mapping[str, Path],
    manifest: Mapping[str, Any],
    directory: Path,
    names: dict[str, Any],
) -> Path:
    """Write a run to disk and return its folder."""
    import wandb  # noqa: PLC0415

    images = {f"figures/{name}": wandb.Image(str(path)) for name, path in figures.items()}
    with _offline_run(manifest, directory, names) as run:
        run.log({**_tables(rows), **images})
        file = Path(run.dir, "manifest.json")
        file.write_text(json.dumps(manifest, indent=2) + "\n")
        run.save(str(file), base_path=run.dir, policy="now")
    return file.parent.parent


def _tables(rows: pd.DataFrame) -> dict[str, Any]:
    """The rows as tables that W&B shows whole."""
    import wandb  # noqa: PLC0415

    columns: list[str | int] = [str(column) for column in rows]
    most = wandb.Table.MAX_ROWS
    cells: list[Any] = rows.astype(object).where(rows.notna(), None).to_numpy().tolist()
    if len(cells) <= most:
        return {"rows": wandb.Table(columns=columns, data=cells)}
    starts = range(0, len(cells), most)
    digits = len(str(len(starts)))  # as the page orders them by name
    return {
        f"rows/{number:0{digits}}": wandb.Table(columns=columns, data=cells[start : start + most])
        for number, start in enumerate(starts, start=1)
    }


def _write_curves(
    curves: Curves, manifest: Mapping[str, Any], directory: Path, names: dict[str, Any]
) -> Path:
    """Write a run of curves to disk and return its folder."""
    config = {**manifest, "rule": curves.name, "seed_group": curves.seed_group}
    with _offline_run(config, directory, names) as run:
        for step, values in sorted(curves.points.items()):
            run.log({name: value for name, value in values.items() if value is not None}, step=step)
    return Path(run.dir).parent


@contextmanager
def _offline_run(config: Mapping[str, Any], directory: Path, names: dict[str, Any]) -> Iterator[Run]:
    """A run that is written to disk and finished at the end, without W&B's printing of an error."""
    import wandb  # noqa: PLC0415

    settings = wandb.Settings(
        project="maxpo-lab",
        root_dir=str(directory),
        mode="offline",
        reinit="create_new",  # else a run whose service has crashed stays the run of this process
        console="off",
        disable_code=True,
        disable_git=True,
        x_disable_meta=True,
        x_disable_stats=True,
        **names,
    )
    run = wandb.init(config=dict(config), settings=settings)
    try:
        yield run
    finally:
        run.finish()


def _upload(run: Path, directory: Path) -> str:
    """Upload a run on disk and return its URL; an OSError says why that failed."""
    environment = _defaults(directory) | {k: v for k, v in os.environ.items() if k not in _OF_ONE_RUN}
    environment |= {"WANDB_DIR": str(directory), "WANDB_SILENT": "false"}
    # Without this limit W&B retries without end and never says why; three attempts take 7 s.
    environment["WANDB__GRAPHQL_RETRY_MAX"] = "2"
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [sys.executable, "-m", "wandb", "sync", str(run)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_UPLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"not finished within {_UPLOAD_SECONDS} s") from error
    said = done.stdout + done.stderr
    url = re.search(r"https?://\S+/runs/\S+", said)
    errors = re.findall(r"^(?:wandb: ERROR|Error:|panic:) (?!Find detailed)(.+)", said, re.MULTILINE)
    marks = list(run.glob("*.wandb.synced"))
    if url and marks and not errors and done.returncode == 0:
        return url[0]
    # `wandb sync` exits with 0 on most errors, and marks as synced even a run whose files were refused.
    for mark in marks:
        mark.unlink()
    raise ConnectionError(errors[0] if errors else "W&B gave no reason")
