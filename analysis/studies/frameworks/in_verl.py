"""The audit of a rule of verl's, in verl's environment, which pins versions of its own.

As a program (``main``) this file runs there, where of this project ``maxpo_lab`` alone is installed; so it
imports nothing else, and what the audit finds is its output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from maxpo_lab.auditing import audit

#: The environment of verl: ``make .venv-verl/.installed``.
HOME = Path(__file__).resolve().parents[3] / ".venv-verl"
#: What a rule of verl's computes with.
_PACKAGES = ("verl", "torch", "numpy", "tensordict")


def installed() -> dict[str, str]:
    """Versions of what is installed in verl's environment; empty where there is none."""
    folders = [str(folder) for folder in HOME.glob("lib/python*/site-packages")]
    found = ((each.metadata["Name"], each.version) for each in metadata.distributions(path=folders))
    return {name: version for name, version in sorted(found) if name in _PACKAGES}


def audited(rule: str, **arguments: Any) -> dict[str, Any]:
    """The report of the audit of ``module:function``, with these arguments of ``audit``, as plain values."""
    python = HOME / "bin" / "python"
    if "verl" not in installed():
        raise RuntimeError(f"{HOME} holds no verl: `make .venv-verl/.installed` makes it")
    # -P: the modules next to this file are none of verl's.
    command = [str(python), "-P", __file__, rule, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def main(rule: str, arguments: str) -> None:
    """Print the report of the audit as JSON; what verl prints goes to the other stream."""
    with redirect_stdout(sys.stderr):
        module, _, function = rule.partition(":")
        report = audit(getattr(import_module(module), function), **json.loads(arguments))
    sys.stdout.write(report.to_json() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
