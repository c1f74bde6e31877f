"""A ready-made test for the first claim that fails."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from ... import rules
from ...estimators import BatchEstimator, Estimator, VectorBatchEstimator, VectorEstimator
from ...integrations.conventions import Adapted
from ..decide.claims import EQUALS, Verdict, Where

#: Columns of a terminal in which a test is not wrapped.
_WIDTH = 78


def failing_test(rule: Any, verdicts: Sequence[Verdict], setting: Where) -> str | None:
    """Source of a pytest test that fails as the first broken claim does; None where all hold."""
    broken = next((verdict for verdict in verdicts if verdict.holds is False), None)
    if broken is None:
        return None
    called, head = _reference(rule)
    options = [f"n={setting.n}", f"k={setting.k}"]
    if broken.claim == "unbiased" and setting.target != "max@k":
        options.append(f'target="{setting.target}"')
    if setting.rewards != "graded":
        options.append(f'rewards="{setting.rewards}"')
    if isinstance(rule, Adapted) and rule.signature != "batch":
        options.append(f'signature="{rule.signature}"')
    if setting.allow_scale and not broken.claim.startswith(("centered", "equivariant")):
        options.append("allow_scale=True")
    if isinstance(rule, Adapted) and rule.settings:
        options.append(f"settings={dict(rule.settings)!r}")
    if broken.claim.startswith(EQUALS):
        what, call = "matches", f'{called}, "{broken.claim.removeprefix(EQUALS)}"'
    else:
        what, call = broken.claim, called
    assertion = [f"    assert_{what}({call}, {', '.join(options)})"]
    if len(assertion[0]) > _WIDTH:
        assertion = [f"    assert_{what}(", *(f"        {each}," for each in [call, *options]), "    )"]
    lines = [
        f"from maxpo_lab.testing import assert_{what}",
        "",
        head,
        "",
        "",
        f"def test_{_identifier(rules.describe(rule))}_{_claimed(broken.claim)}() -> None:",
        fill(broken.detail, _WIDTH, initial_indent="    # ", subsequent_indent="    # "),
        *assertion,
    ]
    return "\n".join(lines) + "\n"


def _reference(rule: Any) -> tuple[str, str]:
    """What to write for the rule in code, and the line that imports it."""
    if isinstance(rule, Estimator | BatchEstimator):
        return f'get_estimator("{rule.name}")', "from maxpo_lab import get_estimator"
    if isinstance(rule, VectorEstimator | VectorBatchEstimator):
        weighted = f".weighted({rule.reward_weights})" if {*(rule.reward_weights or ())} - {1.0} else ""
        return f'get_estimator("{rule.name}"){weighted}', "from maxpo_lab import get_estimator"
    if isinstance(rule, rules.VectorRule):
        called, head = _reference(rule.function)
        options = f", reward_weights={rule.reward_weights}" if rule.reward_weights else ""
        options += ", takes_lengths=True" if rule.takes_lengths else ""
        return f"vector_rule({called}{options})", f"from maxpo_lab import vector_rule\n{head}"
    function = rule.function if isinstance(rule, Adapted) else rule
    module, name = getattr(function, "__module__", None), rules.describe(function)
    if not name.isidentifier():
        return "rule", "# import the rule here"
    if module in (None, "__main__", "builtins") or getattr(function, "__qualname__", name) != name:
        return name, f"# import {name} here"
    return name, f"from {module} import {name}"


def _identifier(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text)


def _claimed(claim: str) -> str:
    return _identifier(claim) if claim.startswith(EQUALS) else f"is_{_identifier(claim)}"
