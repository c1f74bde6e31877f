"""ChainSum for language models: a tiny Qwen2 and its tokenizer made here, a TRL reward, exact success.

Nothing is fetched. The model's vocabulary is the digits and nothing else, so a completion always has the
task's length and a completion's probability is a product of as many softmaxes. ``SequencePolicy`` takes the
same model as a policy, with its exact reward levels. Needs transformers, which comes with TRL.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import tokenizers
import torch
import transformers
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from maxpo_lab.groups import whole_number

from .chain_sum import ChainSum
from .sequence import SequencePolicy

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

#: The token that ends and pads. Its number lies beyond the model's vocabulary: no completion has it.
END = "<end>"
#: The name that transformers knows ``_attend`` by.
_ATTENTION = "maxpo-lab-float64"
#: Rows of a forward pass.
_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Questions:
    """Some prompts of a ChainSum: a ``SequenceTask``, and what a language model reads and writes.

    Attributes
    ----------
    task
        The task.
    chosen
        Its prompts that are asked, by their place in ``task.prompt_tokens``.
    """

    task: ChainSum
    chosen: Int

    @classmethod
    def split(cls, task: ChainSum, *, held_out: int, seed: int = 0) -> tuple[Self, Self]:
        """All prompts of a task in two disjoint parts, drawn by ``seed``: to train on, and ``held_out``."""
        count, every = whole_number(held_out, "held_out"), len(task.prompt_tokens)
        if not 1 <= count < every:
            raise ValueError(
                f"held_out={held_out}: the task has {every} prompts, so hold out 1 to {every - 1} of them"
            )
        order = np.random.default_rng(whole_number(seed, "seed")).permutation(every)
        return cls(task, np.sort(order[count:])), cls(task, np.sort(order[:count]))

    @property
    def vocabulary(self) -> int:
        """Digits."""
        return self.task.base

    @property
    def length(self) -> int:
        """Tokens of a completion."""
        return self.task.length

    @property
    def prompt_tokens(self) -> Int:
        """The digits of each prompt, (prompts, digits)."""
        return np.asarray(self.task.prompt_tokens[self.chosen])

    @property
    def right(self) -> Int:
        """The right chain and answer of each prompt, (prompts, length)."""
        sums = self.task.sums[self.chosen]
        return np.concatenate([sums, sums[:, -1:]], axis=1)

    @property
    def texts(self) -> list[str]:
        """The prompts as text, ``"3 4 2"``."""
        return [" ".join(map(str, digits)) for digits in self.prompt_tokens.tolist()]

    def verify(self, prompt: int, tokens: npt.ArrayLike) -> Float:
        """Rewards (N,) of outputs ``tokens`` (N, length) to a prompt, 0 to ``len(chosen) - 1``."""
        return self.task.verify(int(self.chosen[prompt]), tokens)

    def reward(self, prompts: Sequence[str], completions: Sequence[str], **_columns: Any) -> list[float]:
        """A reward function of TRL: what the verifier gives to completions as text.

        A completion that is not ``length`` digits of the base scores 0. KeyError for an unknown prompt.
        """
        place = {text: index for index, text in enumerate(self.texts)}
        return [
            0.0 if tokens is None else float(self.verify(place[prompt], [tokens])[0])
            for prompt, tokens in zip(prompts, map(self._read, completions), strict=True)
        ]

    def _read(self, completion: str) -> list[int] | None:
        digits = {str(digit): digit for digit in range(self.vocabulary)}
        tokens = [digits.get(word, -1) for word in completion.split()]
        return tokens if len(tokens) == self.length and -1 not in tokens else None


def causal_lm(
    task: ChainSum, *, width: int = 32, layers: int = 2, heads: int = 4, seed: int = 0
) -> transformers.Qwen2ForCausalLM:
    """A Qwen2 with random parameters in float32, by default 21,152 of them for base 5."""
    config = transformers.Qwen2Config(
        vocab_size=task.base,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=task.digits + task.length,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(whole_number(seed, "seed"))
        return transformers.Qwen2ForCausalLM(config)


def digit_tokenizer(task: ChainSum) -> transformers.PreTrainedTokenizerFast:
    """A word a digit, between spaces; token d is digit d, and ``END`` has the number after the last."""
    vocabulary = {str(digit): digit for digit in range(task.base)} | {END: task.base}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token=END))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token=END, eos_token=END, padding_side="left"
    )


def success(model: transformers.PreTrainedModel, questions: Questions) -> Float:
    """Exact pass@1 of each prompt, (prompts,), at temperature 1.

    With the verifier ``"chain"`` one completion is right: its probability. With ``"answer"`` the sum over
    all base^digits chains, each with the right answer after it.

    The forward pass has the model's precision, the rest is float64. Raises ValueError for a task with credit
    for right steps, whose rewards are not 0 or 1. Cost: a row of ``digits + length`` tokens a prompt, or
    base^digits rows of one token and as many keys and values.
    """
    task = questions.task
    if task.credit:
        raise ValueError(f"credit={task.credit}: pass@1 needs rewards of 0 and 1, credit=0")
    prompts, right = torch.tensor(questions.prompt_tokens), torch.tensor(questions.right)
    with torch.no_grad(), _evaluating(model):
        if task.verifier == "chain":
            return np.asarray(log_probability(model, torch.cat([prompts, right], dim=1), task).exp())
        size = max(1, _ROWS // task.base**task.digits)
        parts = [slice(first, first + size) for first in range(0, len(prompts), size)]
        return np.concatenate([_over_chains(model, prompts[part], right[part, -1], task) for part in parts])


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
    model: transformers.PreTrainedModel, prompts: torch.Tensor, answers: torch.Tensor, task: ChainSum
) -> Float:
    """Probability (B,) of each prompt's answer: the tree of all chains, a level in one pass."""
    cache = transformers.DynamicCache(config=model.config)
    read, logs = prompts, torch.zeros(len(prompts), dtype=torch.float64)
    digits = torch.arange(task.base)
    for step in range(task.length):
        logits = model(input_ids=read, past_key_values=cache, use_cache=True).logits[:, -1]
        after = torch.log_softmax(logits.double(), dim=-1)
        if step == task.digits:
            chains = len(logs) // len(answers)
            last = after.gather(1, answers.repeat_interleave(chains)[:, None])[:, 0]
            return np.asarray((logs + last).exp().reshape(-1, chains).sum(dim=1))
        logs = (logs[:, None] + after).reshape(-1)
        cache.batch_repeat_interleave(task.base)
        read = digits.repeat(len(logs) // task.base)[:, None]
    raise AssertionError("a task has at least one digit")


def log_probability(
    model: transformers.PreTrainedModel, tokens: torch.Tensor, task: ChainSum
) -> torch.Tensor:
    """``log pi(completion | prompt)`` of prompts with completions, (B, digits + length) to float64 (B,)."""
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits[:, task.digits - 1 :]
    steps = torch.log_softmax(logits.double(), dim=-1)
    return steps.gather(2, tokens[:, task.digits :, None]).sum(dim=(1, 2))


def supervise(
    model: transformers.PreTrainedModel,
    questions: Questions,
    *,
    until: Callable[[int], bool],
    batch: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> int:
    """Adam on the cross-entropy of right completions, in place; returns the number of steps taken.

    ``until(step)`` is asked before each step, and ends the training when it is true. A step has ``batch``
    prompts, drawn with replacement.
    """
    tokens = torch.tensor(np.concatenate([questions.prompt_tokens, questions.right], axis=1))
    generator = torch.Generator().manual_seed(whole_number(seed, "seed"))
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    step = 0
    while not until(step):
        drawn = tokens[torch.randint(len(tokens), (batch,), generator=generator)]
        optimiser.zero_grad()
        loss = -log_probability(model, drawn, questions.task).mean() / questions.length
        torch.autograd.backward(loss)
        optimiser.step()
        step += 1
    return step


def exact_policy(model: transformers.PreTrainedModel, questions: Questions) -> SequencePolicy:
    """A copy of the model as a policy in float64 throughout: reward levels, gradients, sampler, scores."""
    return SequencePolicy(questions, _Logits(model))


class _Logits(torch.nn.Module):
    """A Qwen2 as the network of a ``SequencePolicy``: tokens (B, S) to logits (B, S, V).

    Transformers' own normalisation and attention compute in float32 whatever the parameters are: too coarse
    for scores that must average to 0.
    """

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        super().__init__()
        # Not a deep copy: a trainer may have put a forward of its own on the model, bound to that one.
        config = copy.deepcopy(model.config)
        config.pad_token_id = None  # a trainer sets it to the number of END, which has no embedding
        with torch.random.fork_rng(devices=[]):
            self.model = type(model)._from_config(config, attn_implementation=_ATTENTION, dtype=torch.float32)
        self.model.load_state_dict(model.state_dict())
        for module in list(self.model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, Qwen2RMSNorm):
                    setattr(module, name, _Norm(child))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.model(input_ids=tokens, use_cache=False).logits)


class _Norm(torch.nn.Module):
    """Root mean square normalisation in the precision of its input."""

    def __init__(self, given: Qwen2RMSNorm) -> None:
        super().__init__()
        self.weight, self.eps = given.weight, given.variance_epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.eps)
        return cast("torch.Tensor", self.weight * x * size)


def _attend(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _attention_mask: torch.Tensor | None,
    scaling: float,
    **_settings: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of (B, heads, S, width) in the precision of its input, as many keys as queries."""
    later = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).triu(1)
    weights = (query @ key.transpose(2, 3) * scaling).masked_fill(later, -torch.inf).softmax(dim=-1)
    return (weights @ value).transpose(1, 2), None


transformers.AttentionInterface.register(_ATTENTION, _attend)
