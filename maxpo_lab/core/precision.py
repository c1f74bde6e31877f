r"""In which floating type a rule computes, told from its behaviour, and what rounding in that type may do.

The error that rounding leaves in an advantage is at most ``share(n)`` times the largest of ``K * range`` of
the rewards, the size of the signals that rules subtract from each other, and the advantages of the same
group: a group's rounding knows nothing of other groups. With u half the type's epsilon,

- float64: ``64 n`` epsilons;
- float32: ``8 log(n!) + 4 n`` epsilons: binomial weights are often exponentials of log-gammas, three of them
  above and three below the line, each rounded to ``u log(n!)``, and a signal sums n terms;
- float16, bfloat16: ``2.4 sqrt(n)`` epsilons, some roundings a term that do not conspire. Correct rules in
  gap form stay below ``0.26 sqrt(n)`` for n <= 12, those that subtract K v from K q, both rounded, below
  ``2.2 sqrt(n)``; a K off by one, or n/K for 1, is ``3.4 sqrt(n)`` off at least.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import Float

#: Groups on which a rule's type is looked for, and the share of them that a step must change.
_GROUPS, _CHANGED = 32, 0.5
#: Digits that an advantage must have for its being short to say anything: 1, -1 and 3/4 are in every type.
_TELLING_BITS = 5


@dataclass(frozen=True, slots=True, order=True)
class Precision:
    """A floating type: its name, and the bits of its significand."""

    bits: int
    name: str

    @property
    def eps(self) -> float:
        """Distance from 1 to the next number."""
        return 2.0 ** (1 - self.bits)

    @property
    def narrow(self) -> bool:
        """Whether biases of some percent hide in its rounding."""
        return self.bits < FLOAT32.bits

    def share(self, n: int) -> float:
        """What rounding may do to the advantages of a group of n, relative to their scale: see the module."""
        if self.narrow:
            return 2.4 * sqrt(n) * self.eps
        growth = 64 * n if self == FLOAT64 else 8 * lgamma(n + 1) + 4 * n
        return float(growth) * self.eps


FLOAT64 = Precision(53, "float64")
FLOAT32 = Precision(24, "float32")
FLOAT16 = Precision(11, "float16")
BFLOAT16 = Precision(8, "bfloat16")
#: From the finest.
TYPES = (FLOAT64, FLOAT32, FLOAT16, BFLOAT16)


def ladder(found: Precision) -> tuple[Precision, ...]:
    """Types to judge a rule by that computes in ``found``, from the finest.

    float32 is always one of them: no call shows that some weights inside were rounded to it.
    """
    return (FLOAT64, FLOAT32, found) if found.narrow else (FLOAT64, FLOAT32)


def allowed(made: Precision, found: Precision, size: Float, unit: float, n: int) -> Float:
    """What rounding in a type may do to the advantages of groups whose largest one is ``size`` (B,).

    ``found`` is the type that the rule computes in. Where float32 is only supposed, below float64, the unit
    alone is the scale: large advantages excuse no more than float64 does.
    """
    own = made.share(n) * np.maximum(size, unit)
    if (found, made) != (FLOAT64, FLOAT32):
        return own
    return np.maximum(made.share(n) * unit, FLOAT64.share(n) * np.maximum(size, unit))


def finest(off: Float, found: Precision, size: Float, unit: float, n: int) -> Precision | None:
    """The finest type whose rounding explains errors ``off`` (B,) or (B, n); None where none does.

    The rest as in ``allowed``.
    """
    worst = np.abs(off).reshape(len(off), -1).max(axis=1)
    fits = (made for made in ladder(found) if (worst <= allowed(made, found, size, unit, n)).all())
    return next(fits, None)


def recognise(rule: Callable[[Any, int], Any], n: int, k: int) -> Precision:
    """The coarsest type that the rule's calls show; the rule must answer or raise.

    That of its answers; that whose numbers its answers all are, though float32 or float64 holds them; or
    that to which it rounds its rewards: less than half a last bit changes nothing, a bit or two changes most
    groups.
    """
    seen = [FLOAT64]
    free = np.random.default_rng(6).random((_GROUPS, n))
    for rewards in (free, np.round(free)):
        answer = _answer(rule, rewards, k)
        if answer is not None and answer.dtype.kind == "f":
            seen += [_of_dtype(answer), _of_values(answer)]
            break
    for each in TYPES[1:]:
        if _rounds_rewards(rule, each, n, k):
            seen.append(each)
    return min(seen)


def as_numpy(values: Any) -> npt.NDArray[Any]:
    """What a rule returned as NumPy, from any device; bfloat16, which NumPy lacks, as float32."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if str(values.dtype).endswith("bfloat16") else values
    first = values
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if first is not values and hasattr(first, "detach"):
        return np.stack([as_numpy(each) for each in values])
    found = np.asarray(values)
    return found.astype(np.float32) if found.dtype.name == "bfloat16" else found


def as_real(values: Any, name: str) -> Float:
    """An argument of real numbers as a float64 copy, whatever array or tensor it came in.

    TypeError names it where it holds none (complex numbers, text, a tensor without data), ValueError where
    its rows differ in length.
    """
    try:
        dense = values.to_dense() if str(getattr(values, "layout", "")).startswith("torch.sparse") else values
        array = as_numpy(dense)
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{name} cannot be read as real numbers: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name} must be an array of real numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: dtype {array.dtype}: must be real numbers")
    return array.astype(np.float64)


def _answer(rule: Callable[[Any, int], Any], rewards: Float, k: int) -> npt.NDArray[Any] | None:
    try:
        return as_numpy(rule(rewards.copy(), k))
    except Exception:  # of a stranger's rule that refuses such rewards
        return None


def _of_dtype(answer: npt.NDArray[Any]) -> Precision:
    bits = np.finfo(answer.dtype).nmant + 1
    return max(each for each in TYPES if each.bits <= max(bits, BFLOAT16.bits))


def _of_values(answer: npt.NDArray[Any]) -> Precision:
    """The coarsest type that holds every answer, where one at least needs nearly all of its digits."""
    mantissas = np.frexp(np.abs(answer[np.isfinite(answer) & (answer != 0)]).astype(np.float64))[0]
    for each in reversed(TYPES):
        digits = np.ldexp(mantissas, each.bits)
        if (digits == np.round(digits)).all():
            odd = digits[np.ldexp(mantissas, _TELLING_BITS) % 1 != 0]
            return each if len(odd) else FLOAT64
    return FLOAT64


def _rounds_rewards(rule: Callable[[Any, int], Any], made: Precision, n: int, k: int) -> bool:
    """Whether the rule takes rewards for the nearest numbers of a type, and tells those from the next."""
    rng = np.random.default_rng(made.bits)
    step = 2.0**-made.bits  # of the numbers from 1/2 to 1
    grid = np.round((0.55 + 0.4 * rng.random((_GROUPS, n))) / step) * step
    below_half = grid + 0.45 * step * rng.uniform(-1, 1, grid.shape)
    moved = grid + step * rng.choice([-2, -1, 1, 2], grid.shape)
    there, same, other = (_answer(rule, each, k) for each in (grid, below_half, moved))
    if there is None or same is None or other is None or there.shape not in (grid.shape, grid.shape[:1]):
        return False
    if not np.array_equal(there, same) or other.shape != there.shape:
        return False
    return bool((there != other).reshape(len(grid), -1).any(axis=1).mean() >= _CHANGED)
