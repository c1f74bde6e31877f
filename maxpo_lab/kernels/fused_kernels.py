"""Triton kernels of rank-linear rules: a tile of groups a program, sorted and summed in registers.

A tile (rows, N), N = 2^depth >= n, is a cube (rows, 2, ..., 2) where ranks meet in pairs: they differ in one
bit. What Triton adds or multiplies must not be fused: launch with ``enable_fp_fusion=False``.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _other(x, axis: tl.constexpr):
    """Of each two along an axis of 2, the other one, as it is."""
    if x.dtype.is_floating():
        bits = x.to(tl.int64, bitcast=True)
        other = (tl.sum(bits, axis, keep_dims=True) - bits).to(tl.float64, bitcast=True)
    else:
        other = (
            tl.sum(x, axis, keep_dims=True) - x
        )  # modulo 2^32 or 2^64; the compiler moves, and adds nothing
    return other


@triton.jit
def _bit(i: tl.constexpr, depth: tl.constexpr):
    """Bit i of the rank, on a cube."""
    return tl.reshape(tl.arange(0, 2), [1] * (depth - i) + [2] + [1] * i)


@triton.jit
def _exchanged(keys, places, i: tl.constexpr, stage: tl.constexpr, depth: tl.constexpr):
    """The smaller of each two that differ in bit i comes first, or last where bit ``stage`` is set."""
    key, place = _other(keys, depth - i), _other(places, depth - i)
    greater = (keys > key) | ((keys == key) & (places > place))  # never both of two: none is lost
    last = _bit(i, depth)
    if stage < depth:
        last = last ^ _bit(stage, depth)
    swap = greater != (last != 0)
    return tl.where(swap, key, keys), tl.where(swap, place, places)


@triton.jit
def _sorted(keys, places, depth: tl.constexpr):
    """Keys in ascending order, and the place of each: a bitonic network on a cube."""
    for stage in tl.static_range(1, depth + 1):
        for step in tl.static_range(stage):
            keys, places = _exchanged(keys, places, stage - 1 - step, stage, depth)
    return keys, places


@triton.jit
def _both_ways(credit, debit, depth: tl.constexpr):
    """Sums of ``credit`` up to each rank and of ``debit`` from it, on a cube.

    By halves: what lies beyond the middle adds the sum of the half before it. So the sums at two ranks with 0
    between them are equal to the bit, which they are not in a scan that groups the terms from each rank anew.
    """
    up, down = credit, debit
    for i in tl.static_range(depth):
        lower, upper = _other(credit, depth - i), _other(debit, depth - i)
        last = _bit(i, depth) != 0
        up = tl.where(last, lower + up, up)
        down = tl.where(last, down, down + upper)
        credit, debit = credit + lower, debit + upper
    return up + down


@triton.jit
def _key(reward):
    """A whole number in the order of the rewards, int64 for float64 ones, else int32; NaNs at the ends."""
    if reward.dtype == tl.float64:
        bits = reward.to(tl.int64, bitcast=True)
        key = bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)
    else:
        narrow = reward.to(tl.float32).to(tl.int32, bitcast=True)
        key = narrow ^ ((narrow >> 31) & 0x7FFFFFFF)
    return key


@triton.jit
def _value(key):
    """The reward that has this key, in float64."""
    if key.dtype == tl.int64:
        reward = (key ^ ((key >> 63) & 0x7FFFFFFFFFFFFFFF)).to(tl.float64, bitcast=True)
    else:
        reward = (key ^ ((key >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True).to(tl.float64)
    return reward


@triton.jit
def _ranked(rewards, row, rank, inside, n: tl.constexpr, rows: tl.constexpr, depth: tl.constexpr):
    """Of each rank the reward before it, its own and the one after it, and the place that it had."""
    shape: tl.constexpr = [rows, 2**depth]
    cube: tl.constexpr = [rows] + [2] * depth
    key = _key(tl.load(rewards + row * n + rank, mask=inside, other=0.0))
    beyond: tl.constexpr = 0x7FFFFFFFFFFFFFFF if key.dtype == tl.int64 else 0x7FFFFFFF
    key = tl.where(rank < n, key, beyond)
    key, place = _sorted(tl.reshape(key, cube), tl.reshape(rank, cube), depth)
    key, place = tl.reshape(key, shape), tl.reshape(place, shape)
    before = tl.gather(key, tl.maximum(rank - 1, 0), 1)
    after = tl.gather(key, tl.minimum(rank + 1, n - 1), 1)
    return _value(before), _value(key), _value(after), place


@triton.jit
def _summed(credit, debit, rows: tl.constexpr, depth: tl.constexpr):
    """``_both_ways`` on a tile."""
    cube: tl.constexpr = [rows] + [2] * depth
    return tl.reshape(_both_ways(tl.reshape(credit, cube), tl.reshape(debit, cube), depth), [rows, 2**depth])


@triton.jit
def _stored(at, advantages, mask):
    """Advantages, rounded to the type of the result as torch rounds them: by way of float32."""
    advantages += 0.0  # no zero is negative, that of one of two ties least of all
    if at.dtype.element_ty == tl.float64:
        tl.store(at, advantages, mask=mask)
    else:
        tl.store(at, advantages.to(tl.float32).to(at.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["groups", "rules", "size"])  # else up to 27 variants, seconds each
def from_lowest(
    rewards,
    above,
    below,
    result,
    groups,
    rules,
    size,
    n: tl.constexpr,
    rows: tl.constexpr,
    depth: tl.constexpr,
):
    """Rules without an offset: ``above`` and ``below`` (rules, n-1)."""
    row = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)[:, None]
    rank = tl.broadcast_to(tl.arange(0, 2**depth)[None, :], [rows, 2**depth])
    before, value, after, place = _ranked(rewards, row, rank, (row < groups) & (rank < n), n, rows, depth)
    rising = tl.where(rank < n, value - before, 0.0)
    falling = tl.where(rank < n, after - value, 0.0)
    at = result + row * n + place
    for _ in range(rules):
        credit = rising * tl.load(above + rank - 1, mask=(rank > 0) & (rank < n), other=0.0)
        debit = falling * tl.load(below + rank, mask=rank < n - 1, other=0.0)
        _stored(at, _summed(credit, debit, rows, depth), (row < groups) & (place < n))
        above += n - 1
        below += n - 1
        at += size


@triton.jit(do_not_specialize=["groups", "rules", "size"])
def from_zero(
    rewards,
    up,
    down,
    over,
    under,
    own,
    cost,
    result,
    groups,
    rules,
    size,
    n: tl.constexpr,
    rows: tl.constexpr,
    depth: tl.constexpr,
):
    """Rules with an offset, their sums counted from reward 0: tables (rules, n), own shares (rules, 1)."""
    row = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)[:, None]
    rank = tl.broadcast_to(tl.arange(0, 2**depth)[None, :], [rows, 2**depth])
    before, value, after, place = _ranked(rewards, row, rank, (row < groups) & (rank < n), n, rows, depth)
    before = tl.where((rank > 0) & (rank < n), before, 0.0)
    after = tl.where(rank < n - 1, after, 0.0)
    value = tl.where(rank < n, value, 0.0)
    # Not maximum and minimum, which drop a NaN.
    high, low = tl.where(value < 0, 0.0, value), tl.where(value > 0, 0.0, value)
    high_before, low_before = tl.where(before < 0, 0.0, before), tl.where(before > 0, 0.0, before)
    high_after, low_after = tl.where(after < 0, 0.0, after), tl.where(after > 0, 0.0, after)
    at = result + row * n + place
    for _ in range(rules):
        credit = (high - high_before) * tl.load(up + rank, mask=rank < n, other=0.0)
        credit += (low - low_before) * tl.load(over + rank, mask=rank < n, other=0.0)
        debit = (low_after - low) * tl.load(under + rank, mask=rank < n, other=0.0)
        debit += (high_after - high) * tl.load(down + rank, mask=rank < n, other=0.0)
        advantages = _summed(credit, debit, rows, depth) + (tl.load(own) * high + tl.load(cost) * low)
        _stored(at, advantages, (row < groups) & (place < n))
        up += n
        down += n
        over += n
        under += n
        own += 1
        cost += 1
        at += size
