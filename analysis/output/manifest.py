"""What a result was made from: commit, versions, machine, time."""

from __future__ import annotations

import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib

import analysis

ROOT = Path(analysis.__path__[0]).resolve().parent
_PACKAGES = (
    "maxpo-lab",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "gymnasium",
    "torch",
    "transformers",
    "trl",
    "wandb",
)


def describe(*, seed: int | None, device: str, wall_seconds: float, **facts: Any) -> dict[str, Any]:
    """The manifest of a finished run.

    ``commit`` and ``dirty`` describe the checkout without ``results/``, which the run itself rewrites; both
    are None outside a git checkout. ``seed`` is None where nothing was random.
    """
    status = _git("status", "--porcelain", "--", ".", ":(exclude)results")
    return facts | {
        "seed": seed,
        "device": device,
        "wall_seconds": round(wall_seconds, 3),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": joblib.cpu_count(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _git(*arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run(  # noqa: S603 - fixed arguments
        [git, "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
