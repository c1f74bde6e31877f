"""The environments that hold evaluation tools, and calls of what is in them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from maxpo_lab.evaluation.as_reported import get_report

from .tools import INTERVALS, NUMBERS, Groups

_ROOT = Path(__file__).resolve().parents[3]
#: The environments, by what they are called in ``make``.
EVALUATION, VERL = ".venv-evaluation", ".venv-verl"
#: What is run in verl's; the rest has one of its own.
_IN_VERL = ("verl:best@N", "skyrl:pass_at_n")
#: What a tool computes with.
_BESIDE = ("numpy", "scipy")


def home(name: str) -> Path:
    """The environment of a report."""
    return _ROOT / (VERL if name in _IN_VERL else EVALUATION)


@cache
def _installed(folder: Path) -> dict[str, str]:
    folders = [str(each) for each in folder.glob("lib/python*/site-packages")]
    return {
        each.metadata["Name"].lower().replace("-", "_"): each.version
        for each in metadata.distributions(path=folders)
    }


def installed(name: str) -> str | None:
    """The installed version of a report's package; None where it is not installed."""
    return _installed(home(name)).get(get_report(name).package.replace("-", "_"))


def inside(name: str) -> str | None:
    """Versions that a report's numbers depend on, ``"verl 0.9.1, numpy 2.4.6"``; None without the package."""
    if (found := installed(name)) is None:
        return None
    beside = (f"{each} {version}" for each in _BESIDE if (version := _installed(home(name)).get(each)))
    return ", ".join([f"{get_report(name).package} {found}", *beside])


def check_version(name: str) -> None:
    """Refuse a package that is missing, or of another version than the report was read in."""
    report, found = get_report(name), installed(name)
    if found is None:
        folder = home(name)
        raise RuntimeError(f"{folder} holds no {report.package}: `make {folder.name}/.installed` makes it")
    if found != report.version:
        raise RuntimeError(
            f"{report.package} is {found} in {home(name)}, and {name} is of {report.version}: read it again"
        )


def answers(
    name: str, calls: Sequence[tuple[Groups, int]], *, kind: str = "number"
) -> tuple[list[dict[str, Any]], bool]:
    """What a tool answers to ``(groups, k)``, and whether it changed NumPy's global random state."""
    check_version(name)
    known = NUMBERS if kind == "number" else INTERVALS
    if name not in known:
        raise ValueError(f"{name}: there is no {kind} of it; choose from {', '.join(known)}")
    # -P: the modules next to this file are none of the tools'.
    command = [
        str(home(name) / "bin" / "python"),
        "-P",
        str(Path(__file__).with_name("tools.py")),
        kind,
        name,
    ]
    done = subprocess.run(  # noqa: S603
        command, input=json.dumps(list(calls)), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    return found["answers"], found["touched"]
