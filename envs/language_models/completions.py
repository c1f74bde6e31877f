"""Exact probabilities of a language model's completions: of given ones, and of success."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import torch
import transformers
from scipy.special import xlogy

from maxpo_lab.core.arrays import Float

from ..worlds.chain_sum import ChainSum
from .questions import Questions, Task

#: Tokens of a forward pass, as far as one prompt's chains allow.
_TOKENS = 8192
#: Digits of a chain that branch inside a row: with more the tokens that do not see each other take over.
_BRANCHING = 2


def success(model: transformers.PreTrainedModel, questions: Questions) -> Float:
    """Exact pass@1 of each prompt, (prompts,), at temperature 1: what the right completions sum to."""
    return np.asarray(right_probabilities(model, questions).sum(axis=1))


def right_probabilities(model: transformers.PreTrainedModel, questions: Questions) -> Float:
    """Probability of every completion that the verifier pays, (prompts, M), at temperature 1.

    With the verifier ``"chain"`` one completion is right. With ``"answer"`` all base^digits chains are, each
    with the right answer after it. Of an ``AnyOrderSum`` the derivations are, in their order there.

    The forward pass has the model's precision and device, the rest is float64. Raises ValueError for a task
    with credit for right steps, whose rewards are not 0 or 1. Cost: M rows of ``digits + length`` tokens per
    prompt, or for ``"answer"`` base^(digits - 2) rows of ``2 digits - 2 + base + base^2`` tokens.
    """
    task = questions.task
    if isinstance(task, ChainSum) and task.credit:
        raise ValueError(f"credit={task.credit}: pass@1 needs rewards of 0 and 1, credit=0")
    prompts = torch.tensor(questions.prompt_tokens, device=model.device)
    right = torch.tensor(questions.derivations, device=model.device)
    with torch.no_grad(), _evaluating(model):
        if not (isinstance(task, ChainSum) and task.verifier == "answer"):
            rows = torch.cat([prompts[:, None].expand(*right.shape[:2], -1), right], dim=2)
            parts = torch.split(rows.flatten(end_dim=1), max(1, _TOKENS // rows.shape[2]))
            found = torch.cat([log_probability(model, part, task) for part in parts])
            return np.asarray(found.exp().reshape(right.shape[:2]).cpu())
        tree = _Tree.of(task).to(model.device)
        size = max(1, _TOKENS // (len(tree.stems) * len(tree.positions)))
        chunks = [slice(first, first + size) for first in range(0, len(prompts), size)]
        return np.concatenate(
            [_over_chains(model, prompts[part], right[part, 0, -1], tree) for part in chunks]
        )


def diversity(probabilities: Float) -> Float:
    """``exp`` of the entropy among the right completions: how many there are in effect, (..., M) to (...).

    1 where one has all of their probability, M where all are alike likely. Of a prompt whose right
    completions have none it is NaN.
    """
    total = probabilities.sum(axis=-1, keepdims=True)
    share = np.divide(probabilities, total, out=np.full_like(probabilities, np.nan), where=total > 0)
    return np.asarray(np.exp(-xlogy(share, share).sum(axis=-1)))


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode for a while: in training a model that recomputes activations keeps no cache."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _over_chains(
    model: transformers.PreTrainedModel, prompts: torch.Tensor, answers: torch.Tensor, tree: _Tree
) -> Float:
    """Probability (B, base^digits) of each chain with the prompt's answer: one pass, a tree in every row."""
    stems, stem = len(tree.stems), tree.stems.shape[1]
    rows = torch.cat(
        [
            prompts.repeat_interleave(stems, dim=0),
            tree.stems.repeat(len(prompts), 1),
            tree.tokens.expand(len(prompts) * stems, -1),
        ],
        dim=1,
    )
    logits = model(
        input_ids=rows,
        attention_mask=tree.seen[None, None],
        position_ids=tree.positions[None],
        use_cache=False,
    ).logits
    steps = torch.log_softmax(logits.double(), dim=-1)
    first = prompts.shape[1]
    written = steps[:, first - 1 : first + stem - 1].gather(2, rows[:, first : first + stem, None])
    logs = written.sum(dim=(1, 2))[:, None]
    for nodes in tree.generations[:-1]:
        logs = (logs[..., None] + steps[:, nodes]).flatten(1)
    last = steps[:, tree.generations[-1]]
    asked = answers.repeat_interleave(stems)[:, None, None].expand(*last.shape[:2], 1)
    return np.asarray((logs + last.gather(2, asked)[..., 0]).exp().reshape(len(prompts), -1).cpu())


@dataclass(frozen=True, eq=False)
class _Tree:
    """All chains of a task as rows: a prompt, the first digits of a chain, and the tree of its last ones.

    Chains that begin alike share a row, and a node of its tree sees the prompt, the stem and its ancestors:
    a network's arithmetic for a token is done once for all chains with these tokens, or a few times.

    Attributes
    ----------
    stems
        First digits of the rows of a prompt, (rows, digits of a stem).
    tokens
        Digits of the tree, level by level, (nodes,).
    generations
        Places in a row of the last token before the tree, then of the nodes of each level.
    positions, seen
        Position of each token of a row in its sequence, (S,), and which tokens it sees, (S, S).
    """

    stems: torch.Tensor
    tokens: torch.Tensor
    generations: tuple[torch.Tensor, ...]
    positions: torch.Tensor
    seen: torch.Tensor

    @classmethod
    def of(cls, task: ChainSum) -> Self:
        """The tree of a task, its last two digits branching where it has as many."""
        levels = min(_BRANCHING, task.digits)
        stem = task.digits - levels
        before = 2 * task.digits - levels  # tokens of the prompt and the stem
        digits = torch.arange(task.base)
        number = torch.arange(task.base**stem)[:, None]
        sizes = [task.base ** (level + 1) for level in range(levels)]
        ends = [before + sum(sizes[:level]) for level in range(levels + 1)]
        generations = [torch.tensor([before - 1])]
        generations += [torch.arange(start, stop) for start, stop in pairwise(ends)]
        seen = torch.eye(ends[-1], dtype=torch.bool)
        seen[:before, :before] = seen.new_ones(before, before).tril()
        for parents, nodes in pairwise(generations):
            seen[nodes] |= seen[parents].repeat_interleave(task.base, dim=0)
        return cls(
            stems=number // task.base ** torch.arange(stem).flip(0) % task.base,
            tokens=torch.cat([digits.repeat(size // task.base) for size in sizes]),
            generations=tuple(generations),
            positions=torch.cat(
                [torch.arange(before), *(torch.full((size,), before + i) for i, size in enumerate(sizes))]
            ),
            seen=seen,
        )

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return type(self)(
            stems=self.stems.to(device),
            tokens=self.tokens.to(device),
            generations=tuple(each.to(device) for each in self.generations),
            positions=self.positions.to(device),
            seen=self.seen.to(device),
        )


def log_probability(model: transformers.PreTrainedModel, tokens: torch.Tensor, task: Task) -> torch.Tensor:
    """``log pi(completion | prompt)`` of prompts with completions, (B, digits + length) to float64 (B,)."""
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits[:, task.digits - 1 :]
    steps = torch.log_softmax(logits.double(), dim=-1)
    return steps.gather(2, tokens[:, task.digits :, None]).sum(dim=(1, 2))
