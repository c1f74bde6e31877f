"""Validation of arguments: K, group sizes and numbers, named in the message where they are wrong."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any

import numpy as np


def as_k(k: Any, *, n: int | None = None) -> int:
    """Check the K of max@K: a whole number, ``1 <= k``, and ``k <= n`` where a group size is given.

    Raises
    ------
    TypeError
        A float, a bool or anything else that is not an integer.
    ValueError
        ``k < 1``, or ``k > n``.
    """
    whole = whole_number(k, "k")
    if whole < 1 or (n is not None and whole > n):
        rule = "k >= 1" if n is None else f"1 <= k <= n = {n}"
        nearest = 1 if whole < 1 else n
        raise ValueError(f"k={whole}: max@k needs {rule}; the nearest valid choice is k={nearest}")
    return whole


def as_group_size(n: Any) -> int:
    """Check a group size: a whole number of at least 1. Raises as ``as_k`` does."""
    whole = whole_number(n, "n")
    if whole < 1:
        raise ValueError(f"n={whole}: a group needs at least one rollout, n >= 1")
    return whole


def whole_number(value: Any, name: str) -> int:
    """Check an integer argument; TypeError names it where it is a float, a bool or anything else."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={value!r} is a bool: it must be an int, e.g. {name}={int(value)}")
    try:
        return int(operator.index(value))
    except TypeError:
        raise TypeError(
            f"{name}={value!r} is a {type(value).__name__}: it must be an int, e.g. {name}=4"
        ) from None


def real_number(value: Any, name: str) -> float:
    """Check a real argument; TypeError names it where it is a bool, text or anything else."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(
            f"{name}={value!r} is a {type(value).__name__}: it must be a real number, e.g. {name}=0.5"
        )
    return float(value)


def finite_number(value: Any, name: str) -> float:
    """Check a finite real argument: TypeError as ``real_number``, ValueError for a NaN or an infinity."""
    number = real_number(value, name)
    if not np.isfinite(number):
        raise ValueError(f"{name}={value!r}: must be finite, e.g. {name}=0.5")
    return number


def real_numbers(values: Any, name: str) -> tuple[float, ...]:
    """Check an argument that is a sequence of real numbers; TypeError names it, or the one that is none."""
    try:
        given = list(values)
    except TypeError:
        raise TypeError(
            f"{name}={values!r} is a {type(values).__name__}: it must be a sequence of real numbers, e.g. "
            f"{name}=(0.5, 1.0)"
        ) from None
    return tuple(real_number(value, f"{name}[{index}]") for index, value in enumerate(given))


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse, by the argument's name, a value that is none of the choices: ValueError."""
    if value not in choices:
        raise ValueError(f"{name}={value!r}: must be {' or '.join(map(repr, choices))}")
