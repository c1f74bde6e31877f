"""The audit of a framework's rule in the environment that its package is in.

As a program (``main``) this file runs there, where of this project ``maxpo_lab`` alone is installed; so it
imports nothing else, and what the audit finds is its output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from maxpo_lab.auditing import audit
from maxpo_lab.integrations.frameworks import Framework, get_framework
from maxpo_lab.integrations.frameworks.numbers import numbers

_ROOT = Path(__file__).resolve().parents[3]
#: The environments beside this project's own: ``make .venv-verl/.installed .venv-frameworks/.installed``.
HOMES = {"verl": _ROOT / ".venv-verl", "frameworks": _ROOT / ".venv-frameworks"}
#: What rules compute with, beside their package.
_PACKAGES = ("torch", "numpy", "tensordict")


@cache
def _found(home: Path | None) -> dict[str, str]:
    path = sys.path if home is None else [str(folder) for folder in home.glob("lib/python*/site-packages")]
    return {
        each.metadata["Name"].replace("_", "-"): each.version for each in metadata.distributions(path=path)
    }


def installed(framework: Framework) -> dict[str, str]:
    """Versions of a framework's package and of what it computes with, where it is run; empty without it."""
    if framework.environment is None or framework.package is None:
        return {}
    found = _found(HOMES.get(framework.environment))
    if framework.package not in found:
        return {}
    return {name: found[name] for name in sorted((framework.package, *_PACKAGES)) if name in found}


def audited(framework: str, rule: str, **arguments: Any) -> dict[str, Any]:
    """What is found of a rule that was run: ``audit`` and ``numbers``, as plain values.

    ``arguments`` are of ``audit``. RuntimeError: its environment is not there, holds another version, or the
    program ends with an error.
    """
    of = get_framework(framework)
    if of.environment == "own":
        return _report(framework, rule, arguments)
    home = HOMES[str(of.environment)]
    if not installed(of):
        raise RuntimeError(f"{home} holds no {of.package}: `make {home.name}/.installed` makes it")
    # -P: the modules next to this file are none of a framework's.
    command = [str(home / "bin" / "python"), "-P", __file__, framework, rule, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _report(framework: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    of = get_framework(framework)
    of.check()
    rule = of.rule(name)
    if rule.call is None:
        raise ValueError(f"{framework}: {name} was read, and not run")
    settings = dict(rule.settings)
    report = audit(rule.call(), signature=rule.signature, settings=settings, **arguments)
    return {"audit": json.loads(report.to_json()), "numbers": numbers(of, rule)}


def main(framework: str, rule: str, arguments: str) -> None:
    """Print what is found as JSON; what a package prints goes to the other stream."""
    with redirect_stdout(sys.stderr):
        found = json.dumps(_report(framework, rule, json.loads(arguments)))
    sys.stdout.write(found + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
