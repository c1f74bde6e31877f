"""The fused operator where nothing can run it: shapes are known, and what it refuses is told."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch")

from maxpo_lab.kernels import fused  # noqa: E402

ABOVE, BELOW = torch.zeros(3, 5, dtype=torch.float64), torch.zeros(3, 5, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_shapes_are_known_without_a_card(dtype: torch.dtype) -> None:
    rewards = torch.zeros(7, 6, dtype=dtype, device="meta")
    above, below = ABOVE.to("meta"), BELOW.to("meta")
    found = fused.fused(rewards, above, below)
    assert (found.shape, found.dtype) == ((3, 7, 6), dtype)
    many = torch.func.vmap(lambda groups: fused.fused(groups, above, below))(rewards.expand(2, 7, 6))
    assert many.shape == (2, 3, 7, 6)


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter runs it on the CPU")
def test_the_cpu_is_not_a_card() -> None:
    rewards = torch.zeros(2, 6)
    assert not fused.available(rewards)
    with pytest.raises(
        ValueError, match=r"rewards: torch.float32 \(2, 6\) on cpu; fused takes what is available"
    ):
        fused.fused(rewards, ABOVE, BELOW)
