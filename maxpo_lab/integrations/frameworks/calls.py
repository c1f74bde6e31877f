"""Ways of calling that several frameworks share: positions, ids, tensors of float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]


def of_flat(function: Callable[[Any, int], Any]) -> Callable[[Matrix], Matrix]:
    """A function of all rewards, a float32 tensor (B n,) in which groups follow each other, and of n."""
    import torch  # noqa: PLC0415 - where a framework is, torch is

    def rule(rewards: Matrix) -> Matrix:
        flat = torch.from_numpy(np.asarray(rewards, dtype=np.float32)).reshape(-1)
        found = function(flat, rewards.shape[-1])
        return np.asarray(found.detach().cpu().numpy()).reshape(rewards.shape)

    return rule


def of_lists(function: Callable[[list[float]], Any]) -> Callable[[Matrix], Matrix]:
    """A function of one group's rewards, as Python's floats."""

    def rule(rewards: Matrix) -> Matrix:
        return np.array([[float(each) for each in function(row.tolist())] for row in rewards])

    return rule


def by_position(made: Callable[[], Callable[[Matrix, Matrix], Matrix]]) -> Callable[[Matrix], Matrix]:
    """A function of rewards and ids, on groups (B, n) by their place."""
    called = made()

    def advantages(rewards: Matrix) -> Matrix:
        ids = np.arange(len(rewards)).repeat(rewards.shape[-1])
        return called(rewards.reshape(-1), ids).reshape(rewards.shape)

    return advantages


def with_ids(function: Callable[..., Any], **settings: Any) -> Callable[[Matrix, Matrix], Matrix]:
    """A function of token-level rewards, called with an id per row: one token a response."""
    import torch  # noqa: PLC0415

    from ..call_parameters import taken  # noqa: PLC0415
    from ..conventions import Settings  # noqa: PLC0415

    def rule(rewards: Matrix, ids: Matrix) -> Matrix:
        tokens = torch.from_numpy(np.asarray(rewards, dtype=np.float32))[:, None]
        arguments = {
            "token_level_rewards": tokens.clone(),
            "response_mask": torch.ones_like(tokens),
            "index": np.array([str(each) for each in ids], dtype=object),
            "config": Settings(settings),
            **settings,
        }
        return np.asarray(function(**taken(function, arguments))[0][:, 0].numpy())

    return rule
