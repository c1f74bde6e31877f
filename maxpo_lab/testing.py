"""Assertions for test suites of other projects: what a rule is said to be, or the smallest counterexample.

Plain functions, for pytest or unittest; the core install suffices:

    from maxpo_lab.testing import assert_centered, assert_matches, assert_unbiased


    def test_our_rule() -> None:
        assert_unbiased(our_rule, n=8, k=4)
        assert_centered(our_rule, n=8, k=4)
        assert_matches(our_rule, "maxpo", n=8, k=4)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .auditing.audit_rule import decide
from .integrations.conventions import Signature

__all__ = ["assert_centered", "assert_equivariant", "assert_matches", "assert_unbiased"]


def assert_unbiased(
    rule: Any,
    *,
    n: int,
    k: int,
    target: str = "max@k",
    rewards: str = "auto",
    allow_scale: bool = False,
    signature: Signature = "auto",
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Assert that the mean of a rule's gradient estimate is the objective's gradient, under every policy.

    Decided exactly, see ``auditing.audit``, whose arguments these are; ``allow_scale`` accepts a constant
    factor.

    Raises
    ------
    AssertionError
        With the objective that the rule climbs and the smallest pair of groups that shows the bias, or with
        what keeps the rule from being judged: it raises, hangs, is random, mixes groups.
    TypeError, ValueError
        Bad arguments.
    """
    _assert(
        "unbiased",
        rule,
        n=n,
        k=k,
        target=target,
        rewards=rewards,
        allow_scale=allow_scale,
        signature=signature,
        settings=settings,
    )


def assert_centered(
    rule: Any,
    *,
    n: int,
    k: int,
    rewards: str = "auto",
    signature: Signature = "auto",
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Assert that the advantages of every group sum to 0; the message shows the smallest group where not.

    Arguments and errors as ``assert_unbiased``.
    """
    _assert("centered", rule, n=n, k=k, rewards=rewards, signature=signature, settings=settings)


def assert_equivariant(
    rule: Any,
    *,
    n: int,
    k: int,
    rewards: str = "auto",
    signature: Signature = "auto",
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Assert that permuted rewards get permuted advantages, but for who of equals gets what.

    Arguments and errors as ``assert_unbiased``.
    """
    _assert("equivariant", rule, n=n, k=k, rewards=rewards, signature=signature, settings=settings)


def assert_matches(
    rule: Any,
    name: str,
    *,
    n: int,
    k: int,
    rewards: str = "auto",
    allow_scale: bool = False,
    signature: Signature = "auto",
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Assert that a rule gives the numbers of an estimator; the message shows the first other group.

    Compared on groups of K to n rollouts, those of 0/1 rewards first. Arguments and errors as
    ``assert_unbiased``.
    """
    _assert(
        f"equals:{name}",
        rule,
        n=n,
        k=k,
        rewards=rewards,
        allow_scale=allow_scale,
        signature=signature,
        settings=settings,
    )


def _assert(claim: str, rule: Any, **options: Any) -> None:
    found = decide(rule, claims=(claim,), **options)
    if found.passed:
        return
    said = [f"{verdict.claim}: {verdict.detail}" for verdict in found.claims if not verdict.holds]
    said += [f"{each.kind}: {each.detail}" for each in found.misbehaviours]
    raise AssertionError(f"{found.rule} at n={found.n}, K={found.k}\n" + "\n".join(said))
