"""What is known of a training framework: the rules it ships, their calls, and where a user's rule goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from ..conventions import Signature

#: Environments that frameworks are run in: this project's own, verl's, and that of all others.
Environment = Literal["own", "verl", "frameworks"]


class FrameworkVersionError(RuntimeError):
    """The installed package is not the one that the registry's numbers are of."""


@dataclass(frozen=True, kw_only=True)
class ShippedRule:
    """A rule that a framework ships.

    Attributes
    ----------
    name
        What it is called there, with the settings that make it.
    equals
        The rule of the catalogue that it is, as ``get_estimator`` reads it: where responses are equally long,
        if its call tells lengths; flat groups in floats aside.
    formula
        What it computes in words of its own, where the catalogue has no such rule or ``equals`` does not say
        all; else empty.
    equals_of_tokens
        The same where each response has two tokens, as in an audit; None where that is ``equals``.
    target
        The objective that it is meant for.
    call
        Imports the package and gives the function: ``(rewards (B, n)) -> (B, n)``, or what ``signature``
        says. None for a rule that was read and not run.
    signature, settings
        As in ``auditing.adapt``.
    by_id
        Imports the package and gives ``(rewards (N,), ids (N,)) -> (N,)``, for a rule that is told which
        rollouts belong together; None where that is their position.
    afterwards
        What becomes of the advantages between the rule and the loss, by default.
    """

    name: str
    equals: str | None
    formula: str = ""
    equals_of_tokens: str | None = None
    target: str = "mean"
    call: Callable[[], Callable[..., Any]] | None = None
    signature: Signature = "batch"
    settings: tuple[tuple[str, Any], ...] = ()
    by_id: Callable[[], Callable[..., Any]] | None = None
    afterwards: str = ""

    def __post_init__(self) -> None:
        if not (self.equals or self.formula):
            raise ValueError(f"rule {self.name!r}: say which rule of the catalogue it equals, or its formula")


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A training framework.

    Attributes
    ----------
    name
        What people call it.
    package, version
        Its distribution on PyPI, None where there is none, and the version or date that all here is of.
    environment
        Where its rules are run, None where its code was read only.
    others
        Other versions that were looked at, and what is different there.
    reached
        How the package's own code is reached without what it does not use.
    rules
        What it ships, but for those that need a value network or a teacher.
    hook
        How it takes a user's rule; where it does not, how to go about that.
    adapter
        The file of this project for it, or None.
    loss
        The loss by default, as ``losses.get_loss`` reads it; None where none of these is it.
    loss_says
        That loss in words.
    identity
        What names a prompt where advantages are computed.
    lasting
        Whether that names the prompt again in the next epoch, which ``Replay`` needs. None: not looked at.
    metric_at_k
        What the framework calls pass@k or best@k, if it has such a metric.
    """

    name: str
    package: str | None
    version: str
    environment: Environment | None
    others: str = ""
    reached: str
    rules: tuple[ShippedRule, ...]
    hook: str
    adapter: str | None = None
    loss: str | None = None
    loss_says: str
    identity: str
    lasting: bool | None
    metric_at_k: str

    def rule(self, name: str) -> ShippedRule:
        """A rule by its name there. ValueError: it ships none of that name."""
        for each in self.rules:
            if each.name == name:
                return each
        raise ValueError(f"{self.name} ships no {name!r}, only {', '.join(each.name for each in self.rules)}")

    def check(self) -> None:
        """FrameworkVersionError unless the version is the one that the registry's numbers are of."""
        if self.package is None:
            return
        try:
            found = version(self.package)
        except PackageNotFoundError:
            found = "absent"
        if found != self.version:
            raise FrameworkVersionError(
                f"{self.name}: {self.package} {found} is installed, and what the registry says is of "
                f"{self.version}: run that version, or go through its entry anew"
            )
