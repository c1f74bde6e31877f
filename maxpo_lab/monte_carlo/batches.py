"""How many groups a batch has and a call draws: enough for a kind of device, not too many for its memory."""

from __future__ import annotations

from dataclasses import dataclass

#: Batches per shard: enough for ``tr Sigma^2`` from their means.
BATCHES = 16
#: Rules up to which a batch on a GPU is as large as for one; for more of them it is smaller.
_RULES = 8


@dataclass(frozen=True, slots=True)
class Load:
    """What a batch is on a kind of device: rollouts about, and groups from a least to a largest number.

    ``together``: batches of a call. ``bounded``: whether many rules share the memory of ``_RULES`` of them.
    """

    rollouts: int
    fewest: int
    most: int
    together: int
    bounded: bool


#: On a CPU a call has enough rollouts to outweigh itself, few enough for a cache with some rules. On a GPU 64
#: MiB of advantages of 8 rules, which fill a card; the 16 batches of a shard, kept for a second look, are 1
#: GiB.
LOADS = {
    "cpu": Load(rollouts=1 << 13, fewest=8, most=1 << 10, together=8, bounded=False),
    "cuda": Load(rollouts=1 << 20, fewest=1, most=1 << 17, together=1, bounded=True),
}


def batch_size(kind: str, n: int, groups: int, *, rules: int) -> int:
    """Groups of a batch on a kind of device, ``"cpu"`` or ``"cuda"``, at most a sixteenth of a sample.

    A function of the settings alone: neither the card nor the number of workers changes a bit. On a CPU 8192
    rollouts for n from 8 to 1024; on a GPU 2^20 for n from 8 on and at most 8 rules, and for more of them as
    many advantages.
    """
    load = LOADS[kind]
    rollouts = load.rollouts * _RULES // max(_RULES, rules) if load.bounded else load.rollouts
    return min(max(load.fewest, min(load.most, rollouts // n)), -(-groups // BATCHES))
