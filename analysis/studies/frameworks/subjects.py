"""What is audited: rules of public frameworks, from the package where one is run, and of papers' code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from maxpo_lab.estimators import Estimator, get_estimator
from maxpo_lab.integrations.frameworks import get_framework, list_frameworks

from .defects import EASYR1_ISSUE_585

#: Where the numbers come from: the package itself, or this project's rule made after the code.
Origin = Literal["package", "as coded"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A rule of a framework, or of a paper's code.

    Attributes
    ----------
    framework, name
        Whose it is, and what it is called there.
    origin
        See ``Origin``.
    rule
        The rule of the catalogue that it equals, or of this project that is made after it.
    target
        The objective that it is meant for.
    k
        None: the study's; 0: the group size.
    """

    framework: str
    name: str
    origin: Origin
    rule: str
    target: str
    k: int | None = None


def _coded(framework: str, name: str, rule: str, target: str, k: int | None = None) -> Subject:
    return Subject(framework=framework, name=name, origin="as coded", rule=rule, target=target, k=k)


def _of_registry(*, run: bool) -> tuple[Subject, ...]:
    return tuple(
        Subject(
            framework=name,
            name=rule.name,
            origin="package" if run else "as coded",
            rule=rule.equals or rule.name,
            target=rule.target,
        )
        for name in list_frameworks()
        for rule in get_framework(name).rules
        if (rule.call is not None) == run
    )


#: Every rule that a framework ships and that is run from its package.
FROM_PACKAGES = _of_registry(run=True)
_PAPERS = (
    _coded("tajwarfahim/maxrl", "vr_cond", "maxrl-keep-failures", "mean"),
    _coded("tajwarfahim/maxrl", "pkpo", "maxrl-pkpo", "max@k"),
    _coded("rLLM", "pull request 743, K = n", "pkpo-mean-centered", "max@k", k=0),
    _coded("PKPO", "s_loo-1", "pkpo-loo1", "max@k"),
    _coded("PKPO", "s_loo-1 in a mean-type loss", "pkpo-sum-scale", "max@k"),
    _coded("MaxPO", "Leave-Two-Out", "maxpo", "max@k"),
    _coded("OrderGrad", 'lstat_advantage("ReMax")', "canonical / K", "max@k"),
    _coded("Passk_Training", "analytical", "passk-training", "max@k"),
    _coded("Passk_Training", "analytical, K = n", "passk-training", "max@k", k=0),
    _coded("EasyR1", "issue 585", "easyr1-issue-585", "max@n"),
    _coded("TTT-Discover", "entropic", "entropic", "max@n"),
    _coded("Leader Reward", "leader", "leader", "max@n"),
    _coded("TailRL", "tailrl", "tailrl", "mean"),
    _coded("JSPO", "jspo", "jspo", "mean"),
    _coded("JSPO", "jspo++", "jspo-plus-plus", "mean"),
    _coded("MaxPO", "whitened over the batch", "whitened:maxpo", "max@k"),
)
#: Rules made after code that was read: of frameworks that were not run, and of papers.
AS_CODED = (*_of_registry(run=False), *_PAPERS)


def coded_rule(name: str) -> Any:
    """A rule made after a framework's code."""
    if name == EASYR1_ISSUE_585.name:
        return EASYR1_ISSUE_585
    base, over_k, _ = name.partition(" / K")
    rule = get_estimator(base)
    if not (over_k and isinstance(rule, Estimator)):
        return rule

    def per_subset(rewards: Any, k: int) -> Any:
        return rule(rewards, k) / k

    per_subset.__name__ = name
    return per_subset
