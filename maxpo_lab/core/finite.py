"""What is said of a reward that is not finite, and where it is."""

from __future__ import annotations

import array_api_compat
import numpy as np

from .arrays import Array


def not_finite(rewards: Array, bad: Array, what: str | None = None) -> ValueError:
    """The error for the first of the entries marked as bad."""
    xp = array_api_compat.array_namespace(rewards)
    flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int8)))
    where = ", ".join(str(i) for i in np.unravel_index(flat, tuple(rewards.shape)))
    found = what or float(xp.reshape(rewards, (-1,))[flat])
    return ValueError(
        f"rewards[{where}] is {found}: every reward must be finite; leave unscorable rollouts "
        f"out of their group (nan_policy='omit' of advantages and pass_at_k does), or give them a failure's "
        f"reward"
    )
