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
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from ..estimators import get_estimator, list_estimators
from ..evaluation import get_value_rule, list_value_rules
from .audit_rule import audit
from .audit_value_rule import audit_value
from .decide.claims import Verdict, check_claims
from .guard import Misbehaviour
from .report.audit_report import AuditReport
from .values.claims import check_value_claims
from .values.report import ValueAuditReport

Kind = Literal["advantage", "value"]
Report = AuditReport | ValueAuditReport

_REQUEST, _ANSWER = "request", "answer"
#: Names that a module of the same name does not hide: ``grpo:eps=1e-4`` is a rule with a parameter.
_CATALOGUE: Mapping[Kind, set[str]] = {
    "advantage": {name.partition(":")[0] for name in list_estimators("all")},
    "value": {*list_value_rules()},
}
_AUDITS: Mapping[Kind, Callable[..., Report]] = {"advantage": audit, "value": audit_value}
_RULES: Mapping[Kind, Callable[[str], Any]] = {"advantage": get_estimator, "value": get_value_rule}


def audit_isolated(path: str, *, kind: Kind = "advantage", **options: Any) -> Report:
    """``audit`` of what ``package.module:function``, or a registered name, names from this folder.

    Of a value rule, ``kind="value"``, it is ``audit_value``. A rule that ends the process misbehaves. Raises
    TypeError and ValueError as ``audit``, and ValueError where the module cannot be imported or has no such
    function; RuntimeError, with its traceback, for a fault of the audit itself.
    """
    with TemporaryDirectory(prefix="maxpo-lab-audit-") as folder:
        request, answer = Path(folder, _REQUEST), Path(folder, _ANSWER)
        request.write_bytes(pickle.dumps((path, kind, options, sys.path)))
        code = f"from {__name__} import answer; answer({folder!r})"
        done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, check=False)  # noqa: S603
        if not answer.exists():
            return _ended(path, kind, done.returncode, options)
        found = pickle.loads(answer.read_bytes())  # noqa: S301 - written by the process above
    if isinstance(found, Exception):
        raise found
    report: Report = found
    return report


def answer(folder: str) -> None:
    """Audit as requested in a folder, and leave the report, or the error, there."""
    os.dup2(2, 1)
    path, kind, options, sys.path[:] = pickle.loads(Path(folder, _REQUEST).read_bytes())  # noqa: S301
    found: Report | Exception
    try:
        found = _AUDITS[kind](named(path, kind), **options)
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


def named(name: str, kind: Kind = "advantage") -> Any:
    """A registered rule of a kind, or what ``package.module:function`` names from the working directory."""
    try:
        return _RULES[kind](name)
    except ValueError:
        module, colon, path = name.partition(":")
        sys.path.insert(0, str(Path.cwd()))
        if not colon or (find_spec(module.partition(".")[0]) is None and module in _CATALOGUE[kind]):
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


def _ended(path: str, kind: Kind, status: int, options: dict[str, Any]) -> Report:
    """The report of a rule that ended its process."""
    how = f"with status {status}" if status >= 0 else f"by signal {_signal(-status)}"
    check = check_claims if kind == "advantage" else check_value_claims
    claims = check(options.get("claims", ("unbiased",)))
    facts: dict[str, Any] = {
        "rule": path.rpartition(":")[2],
        "signature": options.get("signature", "auto"),
        "n": options["n"],
        "k": options["k"],
        "rewards": options.get("rewards", "auto"),
        "misbehaviours": [
            Misbehaviour("ends", f"{path} ended the process {how}, so that there is no report")
        ],
        "claims": tuple(Verdict(claim, None, "not decided: the rule ends the process") for claim in claims),
    }
    if kind == "value":
        return ValueAuditReport.without_moments(**facts)
    return AuditReport.without_moments(**facts, target=options.get("target", "max@k"))


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
