"""ART of OpenPipe: trajectories of a group are tokenised with an advantage each, then packed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..calls import Matrix, by_position
from ..framework import Framework, ShippedRule
from ..loading import compiled

_TOKENS = 3


def _result(row: int, advantage: float, prompt: int = 1) -> SimpleNamespace:
    """A trajectory's tokens: a prompt of one that its group shares, and answers of its own."""
    tokens = [0, *(10 * row + place for place in range(1, _TOKENS + 1))]
    made = SimpleNamespace(
        advantage=advantage,
        token_ids=tokens,
        input_pos=list(range(len(tokens))),
        assistant_mask=[0] * prompt + [1] * _TOKENS,
        logprobs=[math.nan] * prompt + [-1.0] * _TOKENS,
        pixel_values=None,
        image_grid_thw=None,
        row=row,
    )
    made.without_prompt = lambda: made
    return made


def _by_id(packed: bool, scale_rewards: bool) -> Callable[[Matrix, Matrix], Matrix]:
    """Of a batch of groups: each trajectory's advantage as tokenised, or as the packed tensors hold it."""
    import torch  # noqa: PLC0415

    # It shuffles trajectories, and sums in another order then: the same one at each call, to the bit.
    order = random.Random()
    names: dict[str, Any] = {
        "math": math,
        "random": order,
        "takewhile": takewhile,
        "TokenizedResult": SimpleNamespace,
        "History": SimpleNamespace,
        # Chat rendering is no part of a rule: the trajectory's own row stands for its text.
        "tokenize_trajectory": lambda *given, **_: _result(given[5].row, given[3]),
    }
    path = "art/preprocessing/"
    tokenise = compiled("openpipe-art", f"{path}tokenize.py", "tokenize_trajectory_groups", names)
    pack = compiled(
        "openpipe-art",
        f"{path}pack.py",
        "packed_tensors_from_tokenized_results",
        {"torch": torch, "random": order},
    )

    def advantages(rewards: Matrix, ids: Matrix) -> Matrix:
        order.seed(0)
        groups: dict[Any, list[Any]] = {}
        for row, (reward, each) in enumerate(zip(rewards.tolist(), ids.tolist(), strict=True)):
            groups.setdefault(each, []).append(
                SimpleNamespace(
                    row=row, reward=reward, messages_and_choices=[], tools=None, additional_histories=[]
                )
            )
        results = list(tokenise(None, list(groups.values()), False, scale_rewards))
        found = np.zeros(len(rewards))
        if not packed:
            found[[each.row for each in results]] = [each.advantage for each in results]
        elif results:
            tensors = pack(results, _TOKENS + 1, pack_results=False)
            for tokens, row in zip(
                tensors["tokens"][:, 1].tolist(), tensors["advantages"][:, 1], strict=True
            ):
                found[tokens // 10] = float(row)
        return found

    return advantages


def _rule(name: str, equals: str, *, packed: bool, scale_rewards: bool, formula: str = "") -> ShippedRule:
    return ShippedRule(
        name=name,
        equals=equals,
        formula=formula,
        call=partial(by_position, partial(_by_id, packed, scale_rewards)),
        by_id=partial(_by_id, packed, scale_rewards),
        afterwards="as they are" if packed else _PACKING,
    )


_PACKING = (
    "advantages of exactly 0 are dropped; packing divides all by the batch's mean |A|, by tokens' weights"
)

FRAMEWORK = Framework(
    name="ART",
    package="openpipe-art",
    version="0.5.18",
    environment="frameworks",
    others="0.5.23 needs Python 3.12",
    reached="both functions compiled from their files; a chat's rendering replaced by three tokens",
    rules=(
        _rule("tokenised", "grpo:ddof=0", packed=False, scale_rewards=True),
        _rule("tokenised, scale_rewards=False", "batch-mean", packed=False, scale_rewards=False),
        _rule("packed", "art", packed=True, scale_rewards=True),
        _rule("packed, scale_rewards=False", "art:scale=0", packed=True, scale_rewards=False),
    ),
    hook="none: MaxPO's advantages as rewards with scale_rewards=False, up to the batch's factor",
    loss="cispo:over=sequence-mean",
    loss_says="min(r, 5) A log pi at a stopped ratio r (epsilon_high 4.0), mean by weights of 1/tokens",
    identity="the TrajectoryGroup object; metadata by hand",
    lasting=False,
    metric_at_k="none",
)
