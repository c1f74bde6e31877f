"""What a CPU does by NumPy: equal pairs are all found, or too many, and sums are those of torch."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from envs import PromptBandit, SparseBandit
from envs.bandits import categorical_scores
from envs.bandits.categorical_host import FEW, equal_pairs


@pytest.mark.parametrize("kinds", [200, 256, 257, 70_000])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_every_equal_pair_is_found_once(n: int, kinds: int) -> None:
    rng = np.random.default_rng(n)
    outcomes = kinds - 1 - 256 * rng.integers(0, -(-kinds // 256), (50, n))  # equal in their last 8 bits
    outcomes[3:20] = rng.permuted(np.arange(17 * n)).reshape(17, n)
    outcomes = np.maximum(outcomes, 0)
    places = np.arange(50 * n).reshape(50, n)
    expected = {
        (int(places[g, i]), int(places[g, j]))
        for g in range(50)
        for i, j in combinations(range(n), 2)
        if outcomes[g, i] == outcomes[g, j]
    }
    found = equal_pairs(outcomes, kinds)
    if len(expected) > FEW * 50 * n * (n - 1) / 2:
        assert found is None
        return
    assert found is not None
    pairs = list(zip(*(side.tolist() for side in found), strict=True))
    assert len(pairs) == len(expected)
    assert set(pairs) == expected


@pytest.mark.parametrize("leading", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("specimen", [SparseBandit(arms=60, good=9), PromptBandit(arms=60)], ids=type)
def test_numpy_and_torch_give_the_same_sums(
    specimen: SparseBandit | PromptBandit, leading: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, scores = specimen.sampler(specimen.theta)(40, 8, generator=torch.Generator().manual_seed(0))
    assert equal_pairs(scores.outcomes.numpy(), scores.policy.numel()) is not None
    generator = torch.Generator().manual_seed(1)
    advantages = torch.randn(*leading, 40, 8, dtype=torch.float64, generator=generator)
    directions = torch.randn(*leading, scores.policy.numel(), dtype=torch.float64, generator=generator)
    norm, dot = scores.squared_norm(advantages), scores.dot(advantages, directions)
    # For autograd torch is needed, and stays.
    given = advantages.clone().requires_grad_()
    (slope,) = torch.autograd.grad(scores.squared_norm(given).sum(), given)
    # 64 terms of size |A|^2 <= 20, and 8 of |A v| <= 20, in another order; norms are quadratic in A.
    close = {"rtol": 0, "atol": 64 * 20 * 2.0**-52}
    torch.testing.assert_close((slope * advantages).sum(dim=-1) / 2, norm, **close)
    monkeypatch.setitem(categorical_scores.LISTED, "cpu", False)
    torch.testing.assert_close(scores.squared_norm(advantages), norm, **close)
    torch.testing.assert_close(scores.dot(advantages, directions), dot, **close)
