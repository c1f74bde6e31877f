"""Small next-token networks: a gated recurrent unit and a causal transformer.

Both map tokens (B, S) to logits (B, S, V), the logits at position t from the tokens up to t. They are written
out in plain tensor operations: their scores are taken by vectorised reverse mode, and by differentiating a
backward pass once more, which torch's fused kernels do not all allow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class GRUConfig:
    """Settings of a ``GRU``.

    Attributes
    ----------
    vocabulary
        Tokens it writes, V. It reads V + 1: the last one is the start token.
    width
        Units of the state.
    """

    vocabulary: int
    width: int = 40

    def __post_init__(self) -> None:
        _at_least_one(self, "vocabulary", "width")


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Settings of a ``Transformer``.

    Attributes
    ----------
    vocabulary
        Tokens it writes, V. It reads V + 1: the last one is the start token.
    positions
        Longest input, S.
    width, heads, layers
        Width of the residual stream, attention heads (a divisor of the width), and blocks. The hidden layer
        of a block's perceptron is twice as wide.
    """

    vocabulary: int
    positions: int
    width: int = 32
    heads: int = 4
    layers: int = 2

    def __post_init__(self) -> None:
        _at_least_one(self, "vocabulary", "positions", "width", "heads", "layers")
        if self.width % self.heads:
            raise ValueError(f"width={self.width}, heads={self.heads}: the heads must divide the width")


class GRU(nn.Module):
    r"""A gated recurrent unit and a linear read-out of its state.

    With x the embedded token and h the state: ``r, z = sigmoid(W x + U h + b)``,
    ``c = tanh(V x + v + r (Q h + q))``, ``h' = (1 - z) c + z h``.
    Source: arXiv 1406.1078, in the form of arXiv 1412.3555.
    """

    def __init__(self, config: GRUConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary + 1, config.width)
        self.reading = nn.Linear(config.width, 3 * config.width)
        self.recurrence = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.vocabulary)
        initialise(self, generator)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits (B, S, V) of the token that follows each position of ``tokens`` (B, S)."""
        read = self.reading(self.embedding(tokens))
        state = read.new_zeros(len(tokens), self.config.width)
        states = []
        for position in range(tokens.shape[1]):
            reset, update, content = read[:, position].chunk(3, dim=-1)
            reset_state, update_state, content_state = self.recurrence(state).chunk(3, dim=-1)
            candidate = torch.tanh(content + torch.sigmoid(reset + reset_state) * content_state)
            kept = torch.sigmoid(update + update_state)
            state = (1 - kept) * candidate + kept * state
            states.append(state)
        logits: torch.Tensor = self.output(torch.stack(states, dim=1))
        return logits


class Transformer(nn.Module):
    """A causal transformer with learned positions and normalisation before each sublayer.

    Source: arXiv 1706.03762, in the pre-norm form of arXiv 2002.04745.
    """

    def __init__(self, config: TransformerConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary + 1, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.output = nn.Linear(config.width, config.vocabulary)
        initialise(self, generator)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits (B, S, V) of the token that follows each position of ``tokens`` (B, S)."""
        length = tokens.shape[1]
        if length > self.config.positions:
            raise ValueError(
                f"tokens have {length} positions: this network has positions={self.config.positions}"
            )
        stream = self.embedding(tokens) + self.positions(torch.arange(length, device=tokens.device))
        for block in self.blocks:
            stream = block(stream)
        logits: torch.Tensor = self.output(self.norm(stream))
        return logits


class _Block(nn.Module):
    """Causal self-attention, then a perceptron, each added to the stream."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.before_attention = nn.LayerNorm(width)
        self.mixing = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.before_perceptron = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, 2 * width)
        self.perceived = nn.Linear(2 * width, width)

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        stream = stream + self.attended(self._attention(self.before_attention(stream)))
        hidden = nn.functional.gelu(self.hidden(self.before_perceptron(stream)), approximate="tanh")
        added: torch.Tensor = self.perceived(hidden)
        return stream + added

    def _attention(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        mixed = self.mixing(x).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        match = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        share = torch.softmax(match.masked_fill(later, -math.inf), dim=-1)
        attended: torch.Tensor = (share @ value).transpose(1, 2).reshape(batch, length, width)
        return attended


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Set a module's parameters, in float64, from the generator (on the CPU) alone.

    Matrices are normal with variance one over their number of inputs, embeddings normal with variance one,
    biases 0, and normalisations the identity. Other kinds of layers raise TypeError.
    """
    module.to(torch.float64)
    for layer in module.modules():
        own = dict(layer.named_parameters(recurse=False))
        if not own:
            continue
        if not isinstance(layer, nn.Linear | nn.Embedding | nn.LayerNorm):
            raise TypeError(
                f"{type(layer).__name__} has parameters that initialise does not know: it sets nn.Linear, "
                f"nn.Embedding and nn.LayerNorm"
            )
        with torch.no_grad():
            if isinstance(layer, nn.LayerNorm):
                layer.reset_parameters()
                continue
            scale = 1.0 if isinstance(layer, nn.Embedding) else layer.in_features**-0.5
            layer.weight.normal_(0.0, scale, generator=generator)
            if isinstance(layer, nn.Linear) and layer.bias is not None:
                layer.bias.zero_()


def _at_least_one(config: GRUConfig | TransformerConfig, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r}: a whole number of at least 1 is needed")
