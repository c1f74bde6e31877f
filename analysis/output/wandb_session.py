"""W&B in this process, silent: the user's settings, and what they set for other runs left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wandb import Settings

Mode = Literal["disabled", "offline", "online"]

#: What these say is of one run, and a study has several, whose names, groups and configs are its own. Each
#: may be set for another program: by a sweep's agent, a launcher, or a shell in which a run was resumed.
OF_ONE_RUN = (
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


def defaults(directory: Path) -> dict[str, str]:
    """Environment variables for W&B, where the user has not set them."""
    return {
        "WANDB_DATA_DIR": str(directory / "wandb"),
        "WANDB_CACHE_DIR": str(directory / "wandb" / "cache"),
        # Sent from offline runs too, and waited for at exit, long where the server is silent.
        "WANDB_ERROR_REPORTING": "false",
    }


@contextmanager
def session(directory: Path) -> Iterator[Settings]:
    """W&B in this process, silent; yields the user's settings, and leaves nothing running."""
    import wandb  # noqa: PLC0415 - heavy to import

    before = dict(os.environ)
    hidden = {name: before[name] for name in OF_ONE_RUN if name in before}
    for name in hidden:
        del os.environ[name]
    os.environ.update(defaults(directory) | os.environ)
    try:
        _check_writable(directory)
        yield wandb.setup(wandb.Settings(silent=True)).settings
    finally:
        for name in defaults(directory).keys() - before.keys():
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


def preferred(user: Settings) -> tuple[Mode, str]:
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
