"""A tiny Qwen2 and its tokenizer for sums of digits, made here: nothing is fetched.

The model's vocabulary is the digits and nothing else, so a completion always has the task's length and a
completion's probability is a product of as many softmaxes. ``completions`` gives these and the exact success,
``supervised`` a start, ``exact_lm`` the same model as a ``SequencePolicy``. Needs transformers, which comes
with TRL.
"""

from __future__ import annotations

import tokenizers
import torch
import transformers

from maxpo_lab.core.arguments import whole_number

from .questions import Task

#: The token that ends and pads. Its number lies beyond the model's vocabulary: no completion has it.
END = "<end>"


def causal_lm(
    task: Task, *, width: int = 32, layers: int = 2, heads: int = 4, seed: int = 0
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


def digit_tokenizer(task: Task) -> transformers.PreTrainedTokenizerFast:
    """One word per digit, between spaces; token d is digit d, and ``END`` has the number after the last."""
    vocabulary = {str(digit): digit for digit in range(task.base)} | {END: task.base}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token=END))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token=END, eos_token=END, padding_side="left"
    )
