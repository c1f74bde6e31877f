"""Rank-linear rules on a card in one launch: rewards are read once, and sorted and summed in registers.

Optional: needs Triton, which comes with torch for CUDA. This module imports torch; Triton is imported by the
first call that may use it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, cast

import torch

#: Rewards of a group, at most: a thread holds 4, and 32 threads share what they hold without memory.
LARGEST = 128
#: What the kernels ask for: Triton with a gather, cards with bfloat16.
LEAST_TRITON, LEAST_CAPABILITY = (3, 3), (8, 0)
#: Rewards of a tile, 4 a thread: with 8 each, several rules of float64 fill a thread's registers.
_TILE, _WARPS = 512, 4
_DTYPES = frozenset({torch.float64, torch.float32, torch.bfloat16, torch.float16})


def available(rewards: torch.Tensor) -> bool:
    """Whether ``fused`` takes these rewards: by their device, dtype and group size, never by their values.

    They are on a CUDA device of capability 8.0 or more, with Triton 3.3 or newer beside torch, or on the CPU
    where ``TRITON_INTERPRET=1`` was set before Triton was first used. float16 to float64, 1 <= n <= 128.
    """
    if rewards.ndim == 0 or not 1 <= rewards.shape[-1] <= LARGEST or rewards.dtype not in _DTYPES:
        return False
    return _runs_on(rewards.device.type, rewards.device.index)


def fused(rewards: torch.Tensor, above: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    r"""Advantages of rules without an offset, all from one sort.

    .. math:: A_{(r)} = \sum_{m<r} \text{gap}_m\, \text{above}_m
              + \sum_{m \ge r} \text{gap}_m\, \text{below}_m

    Parameters
    ----------
    rewards
        Groups (B, n) that are ``available``; those that are not contiguous are copied first.
    above, below
        float64 tables (rules, n-1) on their device, as ``Coefficients`` has them.

    Returns
    -------
    tensor (rules, B, n), contiguous, of the dtype and on the device of ``rewards``
        Constants for autograd. Sums are in float64 and rounded once; to 16 bits by way of float32, as torch
        rounds. Tied rewards get the same bits, groups without gaps 0, and a group's bits depend on it alone.
        A group with a NaN is NaN; the others are what they are without it.

    Notes
    -----
    Never waits for the card and picks nothing by the clock: it may be captured in a CUDA graph, and in
    ``torch.compile`` and ``torch.func.vmap`` (over rewards) it is one operator. The first call of a dtype and
    a group size compiles for seconds. Memory traffic: what rewards and result take, once.
    """
    return _OPERATOR(rewards.detach(), [above, below])


def fused_from_zero(
    rewards: torch.Tensor,
    *,
    up: torch.Tensor,
    down: torch.Tensor,
    over: torch.Tensor,
    under: torch.Tensor,
    own: torch.Tensor,
    cost: torch.Tensor,
) -> torch.Tensor:
    """Advantages of rules with an offset, whose sums are counted from reward 0; as ``fused`` otherwise.

    The tables are those of ``FromZero``: (rules, n), and (rules, 1) for ``own`` and ``cost``.
    """
    return _OPERATOR(rewards.detach(), [up, down, over, under, own, cost])


def _launch(rewards: torch.Tensor, tables: Sequence[torch.Tensor]) -> torch.Tensor:
    groups, n = rewards.shape
    rules = len(tables[0])
    _check(rewards, tables, [(rules, n - 1)] * 2 if len(tables) == 2 else [(rules, n)] * 4 + [(rules, 1)] * 2)
    result = rewards.new_empty((rules, groups, n))
    if not result.numel():
        return result
    depth = max(1, (n - 1).bit_length())
    rows = max(1, _TILE >> depth)
    kernels = _kernels()
    kernel = kernels.from_lowest if len(tables) == 2 else kernels.from_zero
    with cast("Any", torch.cuda).device_of(rewards):  # nothing, on the CPU
        kernel[(-(-groups // rows),)](
            rewards.contiguous(),
            *(table.contiguous() for table in tables),
            result,
            groups,
            rules,
            groups * n,
            n=n,
            rows=rows,
            depth=depth,
            num_warps=_WARPS,
            num_stages=1,
            enable_fp_fusion=False,
        )
    return result


def _check(rewards: torch.Tensor, tables: Sequence[torch.Tensor], shapes: Sequence[tuple[int, int]]) -> None:
    """What a kernel would read beyond, or read as something else."""
    if not available(rewards):
        raise ValueError(
            f"rewards: {rewards.dtype} {tuple(rewards.shape)} on {rewards.device}; "
            f"fused takes what is available(): groups of 1 to {LARGEST} on a card with Triton"
        )
    for table, shape in zip(tables, shapes, strict=True):
        if (table.dtype, table.shape, table.device) != (torch.float64, shape, rewards.device):
            raise ValueError(
                f"table {table.dtype} {tuple(table.shape)} on {table.device}: "
                f"needs to be torch.float64 {shape} on {rewards.device}"
            )


def _shaped(rewards: torch.Tensor, tables: Sequence[torch.Tensor]) -> torch.Tensor:
    return rewards.new_empty((tables[0].shape[0], *rewards.shape))


def _batched(
    _: Any,
    in_dims: tuple[int | None, list[int | None]],
    rewards: torch.Tensor,
    tables: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, int]:
    at, of_tables = in_dims
    if at is None or any(each is not None for each in of_tables):
        raise NotImplementedError("maxpo_lab::fused: vmap over tables; stack them as rules")
    groups = rewards.movedim(at, 0)
    found = _OPERATOR(groups.flatten(0, 1), list(tables))
    return found.reshape(-1, *groups.shape), 1


def _runs_on(device: str, index: int | None) -> bool:
    """Whether the kernels run on a device, or on this process' CPU in Triton's interpreter."""
    return _found(device, index)


# What torch.compiler.assume_constant_result does, which imports the compiler for it: 2 s.
_runs_on._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def _found(device: str, index: int | None) -> bool:
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if not (device == "cuda" or (device == "cpu" and interpreted)) or find_spec("triton") is None:
        return False
    if device == "cuda" and (torch.version.hip or torch.cuda.get_device_capability(index) < LEAST_CAPABILITY):
        return False
    import triton  # noqa: PLC0415 - seconds, and optional

    version: str = triton.__version__
    return tuple(map(int, version.split(".")[:2])) >= LEAST_TRITON


@cache
def _kernels() -> Any:
    from . import fused_kernels  # noqa: PLC0415 - imports Triton

    return fused_kernels


# Not an operator of torch.library.triton_op, which torch's compiler launches with fused multiplications, nor
# of custom_op, which takes 20 us more on the host: as long as a card is busy with a million rewards.
_LIBRARY: Any = cast("Any", torch.library.Library)("maxpo_lab", "FRAGMENT")  # torch gives it no types
_LIBRARY.define("fused(Tensor rewards, Tensor[] tables) -> Tensor")
for _device in ("CPU", "CUDA"):
    _LIBRARY.impl("fused", _launch, _device)
torch.library.register_fake("maxpo_lab::fused", _shaped, lib=_LIBRARY)
torch.library.register_vmap("maxpo_lab::fused", _batched, lib=_LIBRARY)
_OPERATOR: Callable[[torch.Tensor, list[torch.Tensor]], torch.Tensor] = torch.ops.maxpo_lab.fused.default
