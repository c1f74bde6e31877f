"""What a step is made of: dead groups, over-long rollouts, duplicates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import maxpo_lab as ml
from maxpo_lab.losses import filtering
from maxpo_lab.losses.filtering import FILTERINGS

REWARDS = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.7, 0.7, 0.7], [0.0, 0.0, 1.0]])
MASK = np.ones((4, 3, 2), dtype=bool)


def test_a_group_of_equal_rewards_is_dead() -> None:
    np.testing.assert_array_equal(filtering.alive(REWARDS), [True, False, False, True])
    assert filtering.alive(torch.tensor(REWARDS)).tolist() == [True, False, False, True]
    masked = filtering.drop_dead(REWARDS, MASK)
    np.testing.assert_array_equal(masked.any(axis=(1, 2)), [True, False, False, True])


def test_dropped_groups_count_or_do_not() -> None:
    """Half of the groups are dead: skipping them doubles the step, and turns it nowhere."""
    advantages = ml.advantages(REWARDS, 2)
    masked = filtering.drop_dead(REWARDS, MASK)
    counted, skipped = (
        ml.get_loss(f"verl:seq-mean-token-mean:empty={how}").weights(advantages, mask=masked)
        for how in ("count", "skip")
    )
    np.testing.assert_allclose(skipped, 2 * counted, rtol=1e-15)


def test_dead_groups_make_way() -> None:
    np.testing.assert_array_equal(filtering.replace_dead(REWARDS, groups=2), [0, 3])
    np.testing.assert_array_equal(filtering.replace_dead(REWARDS, groups=1), [0])
    with pytest.raises(ValueError, match="groups=3: 2 of the 4 groups drawn are alive; draw more"):
        filtering.replace_dead(REWARDS, groups=3)


def test_a_prompt_is_drawn_until_its_group_lives() -> None:
    """The mean number of successes given 0 < c < n, n = 3, p = 1/4."""
    rng = np.random.default_rng(0)
    prompts, n, p = 40_000, 3, 0.25
    rewards, tries = filtering.redraw_dead(
        lambda which: (rng.random((len(which), n)) < p).astype(float), prompts=prompts
    )
    assert filtering.alive(rewards).all()
    living = 1 - p**n - (1 - p) ** n
    expected = (n * p - n * p**n) / living
    deviation = rewards.sum(axis=1).std() / np.sqrt(prompts)
    assert abs(rewards.sum(axis=1).mean() - expected) < 5 * deviation
    assert abs(tries.mean() - 1 / living) < 5 * tries.std() / np.sqrt(prompts)


def test_a_prompt_that_never_lives_is_named() -> None:
    with pytest.raises(ValueError, match="limit=7: prompt 1 and 0 others had no live group"):
        filtering.redraw_dead(lambda which: np.outer(which != 1, [0.0, 1.0]), prompts=3, limit=7)


def test_truncated_rollouts_are_masked() -> None:
    truncated = np.zeros((4, 3), dtype=bool)
    truncated[1, 2] = True
    masked = filtering.mask_overlong(MASK, truncated)
    assert masked.sum() == MASK.sum() - 2
    assert not masked[1, 2].any()


def test_the_soft_punishment_is_daposs() -> None:
    """Equation 13 at L = 20, B = 4: nothing to 16, a ramp to 20, -1 beyond."""
    lengths = np.array([[1, 16, 17, 18, 20, 25]])
    found = filtering.overlong_penalty(lengths, longest=20, buffer=4)
    np.testing.assert_allclose(found, [[0, 0, -0.25, -0.5, -1, -1]], rtol=1e-15)
    with pytest.raises(ValueError, match="buffer=0, longest=20: must have 0 < buffer"):
        filtering.overlong_penalty(lengths, longest=20, buffer=0)


def test_copies_of_an_earlier_rollout() -> None:
    answers = [["a", "b", "a", "a"], ["b", "b", "c", "a"]]
    expected = [[True, True, False, False], [True, False, True, True]]
    np.testing.assert_array_equal(filtering.first_of_duplicates(answers), expected)
    np.testing.assert_array_equal(filtering.first_of_duplicates(np.array([3, 3, 1])), [True, False, True])
    with pytest.raises(ValueError, match="answers are a scalar"):
        filtering.first_of_duplicates(3)


def test_each_says_what_it_is() -> None:
    assert list(FILTERINGS) == [
        "drop-dead",
        "replace-dead",
        "redraw-dead",
        "mask-overlong",
        "drop-duplicates",
    ]
    for name, each in FILTERINGS.items():
        assert each.name == name
        assert each.title
        assert each.citation
        assert (each.draws == "nothing") == (name in {"drop-dead", "mask-overlong", "drop-duplicates"})
