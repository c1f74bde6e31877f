"""What calls of a rule do to NumPy's global random state, which is not theirs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np

from ... import rules
from ...core.arrays import Float
from ..worker import RaisedError

#: Left alone; moved on by draws from it; or the same after every call, whatever it was before.
RandomState = Literal["untouched", "consumed", "reset"]


@contextmanager
def kept() -> Iterator[None]:
    """Give NumPy's global random state back as it was."""
    before = np.random.get_state(legacy=False)  # noqa: NPY002 - the global one is meant
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def random_state(rule: rules.Rule, groups: Float, k: int) -> RandomState | None:
    """What a call does to the global state; None where the rule refuses the groups (B, n)."""
    after, touched = [], False
    with kept():
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            before = _state()
            try:
                rule(groups.copy(), k)
            except RaisedError:
                return None
            after.append(_state())
            touched |= after[-1] != before
    if not touched:
        return "untouched"
    return "reset" if after[0] == after[1] else "consumed"


def _state() -> bytes:
    return pickle.dumps(np.random.get_state(legacy=False))  # noqa: NPY002
