"""The audit of a rule by its path, in a process of its own.

A stranger's code may end its process, crash it, or write to standard output past Python: none of that may
look like a verdict. The process has the caller's folder, environment and import path; what it prints goes to
standard error, and its report comes back in a file.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..estimators import get_estimator, list_estimators
from .audit_rule import audit
from .decide.claims import Verdict, check_claims
from .guard import Misbehaviour
from .report.audit_report import AuditReport

_REQUEST, _ANSWER = "request", "answer"
#: Names that a module of the same name does not hide: ``grpo:eps=1e-4`` is a rule with a parameter.
_CATALOGUE = {name.partition(":")[0] for name in list_estimators()}


def audit_isolated(path: str, **options: Any) -> AuditReport:
    """``audit`` of what ``package.module:function``, or a name of the catalogue, names from this folder.

    A rule that ends the process misbehaves. Raises TypeError and ValueError as ``audit``, and ValueError
    where the module cannot be imported or has no such function; RuntimeError, with its traceback, for a fault
    of the audit itself.
    """
    with TemporaryDirectory(prefix="maxpo-lab-audit-") as folder:
        request, answer = Path(folder, _REQUEST), Path(folder, _ANSWER)
        request.write_bytes(pickle.dumps((path, options, sys.path)))
        code = f"from {__name__} import answer; answer({folder!r})"
        done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, check=False)  # noqa: S603
        if not answer.exists():
            return _ended(path, done.returncode, options)
        found = pickle.loads(answer.read_bytes())  # noqa: S301 - written by the process above
    if isinstance(found, Exception):
        raise found
    report: AuditReport = found
    return report


def answer(folder: str) -> None:
    """Audit as requested in a folder, and leave the report, or the error, there."""
    os.dup2(2, 1)
    path, options, sys.path[:] = pickle.loads(Path(folder, _REQUEST).read_bytes())  # noqa: S301
    found: AuditReport | Exception
    try:
        found = audit(named(path), **options)
    except (TypeError, ValueError) as error:
        found = type(error)(str(error)) if type(error) in (TypeError, ValueError) else ValueError(str(error))
    except Exception as error:  # a fault of the audit, which is no misbehaviour of the rule
        found = RuntimeError("".join(traceback.format_exception(error)))
    written = Path(folder, _ANSWER + ".part")
    written.write_bytes(pickle.dumps(found))
    written.replace(Path(folder, _ANSWER))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # not waiting for calls that hang


def named(name: str) -> Any:
    """An estimator, or what ``package.module:function`` names from the working directory."""
    try:
        return get_estimator(name)
    except ValueError:
        module, colon, path = name.partition(":")
        sys.path.insert(0, str(Path.cwd()))
        if not colon or (find_spec(module.partition(".")[0]) is None and module in _CATALOGUE):
            raise
    try:
        found = import_module(module)
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises when it is imported
        raise ValueError(f"{name}: importing {module} raised {type(error).__name__}: {error}") from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise ValueError(f"{name}: {error}") from error
    return found


def _ended(path: str, status: int, options: dict[str, Any]) -> AuditReport:
    """The report of a rule that ended its process."""
    how = f"with status {status}" if status >= 0 else f"by signal {_signal(-status)}"
    claims = check_claims(options.get("claims", ("unbiased",)))
    return AuditReport.without_moments(
        rule=path.rpartition(":")[2],
        signature=options.get("signature", "auto"),
        n=options["n"],
        k=options["k"],
        target=options.get("target", "max@k"),
        rewards=options.get("rewards", "auto"),
        misbehaviours=[Misbehaviour("ends", f"{path} ended the process {how}, so that there is no report")],
        claims=tuple(Verdict(claim, None, "not decided: the rule ends the process") for claim in claims),
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
