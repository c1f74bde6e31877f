"""The update that a loss makes of batches and their advantages: weights of tokens times their scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import array_api_compat
import numpy as np

from ...core.arrays import Float, Int
from ...losses import Aggregation, Loss
from ...policies.rollouts import RolloutTokens
from .drawing import Batches

_NUMPY = array_api_compat.array_namespace(np.empty(0))


@dataclass(frozen=True, eq=False)
class Weighing:
    """A loss on batches of P groups of n, whose factors are taken batch by batch."""

    loss: Loss
    n: int
    prompts: int

    def of(self, batches: Batches) -> Callable[[Float], Float]:
        """Of advantages (U P, n), the updates (U, d). What does not depend on advantages is done once.

        Raises
        ------
        TypeError
            No reference where the loss has a penalty against one.
        ValueError
            Lengths that the loss refuses; see ``Loss.weights``.
        """
        for part in batches.parts:
            self._check(part.tokens)
        factors = self._factors(batches) * batches.kept[:, None]
        alone = replace(self.loss, aggregation=Aggregation())

        def updates(advantages: Float) -> Float:
            total = np.zeros((len(batches.kept) // self.prompts, batches.parts[0].policy.parameters))
            for part in batches.parts:
                each = part.tokens
                shape = (len(part.place), self.n, each.mask.shape[1])
                weights = alone.weights(
                    advantages[part.place],
                    mask=each.mask.reshape(shape),
                    **{name: each.log_ratios[name].reshape(shape) for name in self.loss.needs},
                )
                weights = (weights * factors[part.place][..., None]).reshape(-1, shape[-1])
                sums = np.asarray(part.policy.weighted_scores(part.drawn, weights, self.n))
                if sums.shape != (expected := (len(part.place), total.shape[1])):
                    raise ValueError(
                        f"{type(part.policy).__name__}.weighted_scores gave shape {sums.shape}: expected "
                        f"{expected}, a sum of every group and d parameters"
                    )
                np.add.at(total, part.place // self.prompts, sums)
            return total / (self.n * self.prompts)

        return updates

    def _check(self, tokens: RolloutTokens) -> None:
        if "reference_log_ratios" in self.loss.needs - set(tokens.log_ratios):
            raise TypeError(
                f"{self.loss.name} has a KL penalty: the policy needs a reference, Outcomes(reference=...)"
            )
        if self.loss.ratio.level == "geometric" and (tokens.lengths != tokens.mask.sum(axis=1)).any():
            raise ValueError(
                f"{self.loss.name} takes a root of a rollout's ratio by its length: give probabilities "
                f"(M, T), one a token"
            )

    def _factors(self, batches: Batches) -> Float:
        """What multiplies the weights of each rollout, (U P, n), so that the update is a mean over them."""
        mean = self.loss.aggregation
        factors, lengths = np.zeros((2, len(batches.kept), self.n))
        for part in batches.parts:
            own = part.tokens.lengths.reshape(-1, self.n).astype(np.float64)
            lengths[part.place] = own
            kept = batches.kept[part.place]
            if kept.any() and not self._couples:
                factors[part.place[kept]] = mean.factors(_NUMPY, own[kept], width=part.tokens.width)
        if self._couples:
            self._batch_by_batch(factors, lengths, batches, max(part.tokens.width for part in batches.parts))
        return factors

    @property
    def _couples(self) -> bool:
        """Whether a factor depends on the batch: on its lengths, or on how many rollouts it has."""
        return self.loss.aggregation.couples == "batch" or self.loss.aggregation.kind == "token-sum"

    def _batch_by_batch(self, factors: Float, lengths: Float, batches: Batches, width: int) -> None:
        mean = self.loss.aggregation
        sums = mean.kind in ("token-mean", "token-sum")  # over what there is, not a mean over the prompts
        places: Int = np.arange(len(lengths)).reshape(-1, self.prompts)
        for place, kept in zip(places, batches.kept.reshape(places.shape), strict=True):
            if kept.any():
                found = mean.factors(_NUMPY, lengths[place[kept]], width=width)
                factors[place[kept]] = found * (self.prompts / kept.sum() if sums else 1.0)
