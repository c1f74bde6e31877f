"""Sums by an index: what a GPU multiplies equals what a CPU adds up one by one."""

from __future__ import annotations

import numpy as np
import pytest
from backends import DEVICES

torch = pytest.importorskip("torch")

from envs.base import one_hot  # noqa: E402


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [1, 2, 128, 129, 300, 1024, 5000])
@pytest.mark.parametrize("leading", [(), (3,), (2, 2)], ids=str)
def test_products_and_scatters_are_the_sums(
    size: int, leading: tuple[int, ...], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(size)
    index, values = rng.integers(0, size, 700), rng.normal(size=(*leading, 700))
    index[:2] = 0, size - 1
    expected = np.zeros((*leading, size))
    np.add.at(expected, (..., index), values)
    given = torch.tensor(index, device=device), torch.tensor(values, device=device)
    # Blocks of some dozen members and more, the last one not full.
    monkeypatch.setattr(one_hot, "BLOCK", 1 << 14)
    for sums in (one_hot.sums_by, one_hot.by_products):
        found = sums(*given, size)
        assert found.shape == expected.shape
        # Sums of at most 700 terms of size 4.
        np.testing.assert_allclose(found.cpu(), expected, rtol=0, atol=700 * 4 * 2.0**-52 * 8)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [1, 3, 128, 130, 289, 290, 1000])
def test_counts_leave_out_what_is_beyond(size: int, device: str) -> None:
    index = np.random.default_rng(size).integers(0, size + 1, (4, 3, 9))
    index[0, 0, :4] = 0, size - 1, size, size
    expected = (index[..., None] == np.arange(size)).sum(axis=-2)
    found = one_hot.counts(torch.tensor(index, device=device), size)
    np.testing.assert_array_equal(found.cpu(), expected)
