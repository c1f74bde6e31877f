"""Random batches of tokens, for losses against frameworks' own code."""

from __future__ import annotations

from typing import Any

import torch

#: Groups, rollouts a group, tokens a rollout.
SHAPE = (5, 4, 7)
#: Of errors relative to the largest: log-ratios up to 8 have an error of 8 x 2^-24, which is the relative one
#: of their ratio; a KL penalty weighs two of them by each other. Seen: 3e-6 and 4e-15.
ROUNDED = {torch.float32: 1e-5, torch.float64: 2e-14}


def token_batch(seed: int, dtype: torch.dtype) -> dict[str, Any]:
    """Masks with holes, rollouts without tokens, ratios inside and on both sides of every clip.

    ``log_probs`` is a leaf; ``old``, ``behaviour`` and ``reference`` are log-probabilities too.
    """
    torch.manual_seed(seed)
    mask = torch.rand(SHAPE) < torch.rand(*SHAPE[:2], 1)
    mask[seed % SHAPE[0], 1] = False
    mask[0, 0, 0] = True
    log_probs = (-3 * torch.rand(SHAPE, dtype=torch.float64)).to(dtype)
    spread = torch.tensor([0.0, 0.05, 0.3, 2.0])[torch.randint(4, (*SHAPE[:2], 1))]
    old, behaviour, reference = (log_probs + (spread * torch.randn(SHAPE)).to(dtype) for _ in range(3))
    advantages = torch.randn(SHAPE[:2], dtype=torch.float64).to(dtype)
    advantages[1, 1] = 0
    return {
        "advantages": advantages,
        "mask": mask,
        "log_probs": log_probs.requires_grad_(),
        "old": old,
        "behaviour": behaviour,
        "reference": reference,
    }


def ours(loss: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """A loss of the lab: its value, and the gradient by the log-probabilities that its weights say."""
    log_probs = batch["log_probs"].detach()
    logs = {
        "log_ratios": log_probs - batch["old"],
        "behaviour_log_ratios": batch["old"] - batch["behaviour"],
        "reference_log_ratios": log_probs - batch["reference"],
    }
    given = {"mask": batch["mask"]} | {name: logs[name] for name in loss.needs}
    weights = loss.weights(batch["advantages"], **given)
    value = loss.value(
        batch["advantages"], **given, **({"log_probs": log_probs} if loss.ratio.scores else {})
    )
    return value, -weights / batch["advantages"].numel()


def assert_equal(loss: Any, batch: dict[str, Any], theirs: torch.Tensor) -> None:
    """A framework's loss, value and gradient, is the lab's, to rounding."""
    (gradient,) = torch.autograd.grad(theirs, batch["log_probs"])
    value, expected = ours(loss, batch)
    tolerance = ROUNDED[batch["advantages"].dtype]
    torch.testing.assert_close(gradient, expected, rtol=0, atol=tolerance * float(expected.abs().max()))
    scale = max(1.0, abs(float(value)))
    torch.testing.assert_close(theirs.detach(), value, rtol=0, atol=tolerance * scale)
