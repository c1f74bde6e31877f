"""``maxpo_lab.testing``: what holds passes in silence, what does not shows the smallest counterexample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from faulty_rules import baseline_with_self, hanging, max_over_n, off_by_one_k, random_dithering, wrong_ddof

import maxpo_lab as ml
from maxpo_lab.testing import assert_centered, assert_equivariant, assert_matches, assert_unbiased

SIZE: dict[str, Any] = {"n": 8, "k": 4}


def test_what_holds_passes() -> None:
    rule, size = ml.get_estimator("maxpo"), {"n": 5, "k": 2}
    assert_unbiased(rule, **size)
    assert_centered(rule, **size)
    assert_equivariant(rule, **size)
    assert_matches(rule, "canonical", **size)
    assert_unbiased(baseline_with_self, **size, allow_scale=True)
    assert_matches(baseline_with_self, "maxpo", **size, allow_scale=True)
    assert_unbiased("rloo", **size, target="mean")
    assert_unbiased(max_over_n, n=4, k=2, target="max@n", rewards="continuous")


def rolled(rewards: Any, k: int) -> Any:
    return rewards - rewards[:, [*range(1, rewards.shape[1]), 0]]


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (
            lambda: assert_unbiased(off_by_one_k, **SIZE),
            r"unbiased for max@5; n=6, K=4: with the others at \[0, 0, 0, 0, 0\], raising",
        ),
        (
            lambda: assert_unbiased(baseline_with_self, **SIZE),
            r"n=4, K=4: .* leaves its advantage as it is; an unbiased rule for max@4 raises it by 4",
        ),
        (lambda: assert_centered("pkpo-loo1", **SIZE), r"n=4, K=4: the advantages of \[0, 0, 0, 1\]"),
        (lambda: assert_matches(wrong_ddof, "grpo", **SIZE), r"n=4, K=4: \[0, 0, 0, 1\] gets .* grpo gives"),
        (lambda: assert_equivariant(rolled, n=3, k=1), "n=[23]"),
        (lambda: assert_unbiased(random_dithering, **SIZE), "random: random_dithering gave two answers"),
        (lambda: assert_unbiased("maxpo", **SIZE, target="mean"), "unbiased for max@4"),
    ],
)
def test_what_does_not_hold_is_shown(check: Callable[[], None], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check()


def test_a_hanging_rule_is_no_counterexample_but_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import maxpo_lab.testing
    from maxpo_lab.auditing.audit_rule import decide

    monkeypatch.setattr(
        maxpo_lab.testing, "decide", lambda *args, **options: decide(*args, **options, seconds=0.2)
    )
    with pytest.raises(AssertionError, match="hangs: hanging did not return"):
        assert_centered(hanging, **SIZE)
