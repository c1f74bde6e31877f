"""A ``Replay`` beside a trainer's checkpoint: one file, written whole or not at all, without pickles."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from ..memory.replay import Replay

#: Its name in the folder of a checkpoint.
NAME = "maxpo_replay.npz"


def save(memory: Replay, folder: str | Path) -> Path:
    """Write the state of a memory into a folder, which is made if need be; the path of the file."""
    path = Path(folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, **memory.state_dict())  # type: ignore[arg-type]  # names are not an option's
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def load(memory: Replay, folder: str | Path) -> None:
    """Go on from the state in a folder.

    Raises
    ------
    FileNotFoundError
        There is none: the run that wrote the folder had no memory.
    ValueError
        It is damaged, or of another kind; the memory stays what it was.
    """
    path = Path(folder) / NAME
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist: this checkpoint was written without a memory of prompts; to go on from "
            f"it with an empty one, write that there: maxpo_lab.integrations.replay_files.save(memory, "
            f"folder)"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            state = dict(file)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zipfile.error) as error:
        raise ValueError(f"{path} is damaged: {error}; resume from another checkpoint") from error
    try:
        memory.load_state_dict(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
