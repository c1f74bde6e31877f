"""The studies by name: the folders under ``analysis/studies``, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import analysis
from maxpo_lab.core.registry import Registry

from .study import Study

_FOLDER = Path(analysis.__path__[0]) / "studies"
#: Their modules.
_STUDIES: Registry[str] = Registry(
    "study",
    {
        module.name.replace("_", "-"): f"{analysis.__name__}.{_FOLDER.name}.{module.name}"
        for module in sorted(iter_modules([str(_FOLDER)]), key=lambda module: module.name)
    },
)


def list_studies() -> tuple[str, ...]:
    """Names of all studies."""
    return tuple(_STUDIES)


def get_study(name: str) -> Study:
    """The study of this name; TypeError for what is none, ValueError with the nearest or all names."""
    study: Study = import_module(_STUDIES[name]).STUDY
    return study
