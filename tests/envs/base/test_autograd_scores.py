"""Scores by vectorised autograd, against closed forms and one plain backward pass per rollout."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from backends import DEVICES
from torch import nn

from envs.networks.architectures import GRU, GRUConfig, Transformer, TransformerConfig, initialise
from envs.networks.autograd_scores import AutogradScores, saved_bytes
from envs.networks.torch_policy import FlatModule, draw

GROUPS, N, VOCABULARY, LENGTH = 3, 5, 4, 3


def generator(device: str = "cpu", seed: int = 0) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def normal(*shape: int, device: str = "cpu", seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, device=device, generator=generator(device, seed))


def network(name: str) -> nn.Module:
    if name == "gru":
        return GRU(GRUConfig(vocabulary=VOCABULARY, width=6), generator())
    if name == "transformer":
        config = TransformerConfig(vocabulary=VOCABULARY, positions=LENGTH, width=8, heads=2)
        return Transformer(config, generator())
    module = nn.Sequential(nn.Embedding(VOCABULARY + 1, 5), nn.Tanh(), nn.Linear(5, VOCABULARY))
    initialise(module, generator())
    return module


def log_probability(function: FlatModule):
    def of(theta: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        steps = torch.log_softmax(function(theta, tokens), dim=-1)
        return steps.gather(2, tokens[..., None]).sum(dim=(1, 2))

    return of


def tokens(device: str = "cpu") -> torch.Tensor:
    shape = (GROUPS, N, LENGTH)
    return torch.randint(VOCABULARY, shape, device=device, generator=generator(device, 1))


def one_by_one(function: FlatModule, rollouts: torch.Tensor) -> torch.Tensor:
    """Scores from the module's own parameters, one backward pass a rollout: nothing vectorised or flat."""
    module = function.module
    parameters = [dict(module.named_parameters())[name] for name in function.names]
    scores = []
    for rollout in rollouts.flatten(0, 1):
        steps = torch.log_softmax(module(rollout[None])[0], dim=-1)
        log = sum(steps[position, token] for position, token in enumerate(rollout))
        parts = torch.autograd.grad(log, parameters, allow_unused=True)
        pairs = zip(parts, parameters, strict=True)
        scores.append(torch.cat([(torch.zeros_like(p) if g is None else g).ravel() for g, p in pairs]))
    return torch.stack(scores).reshape(*rollouts.shape[:2], -1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["perceptron", "gru", "transformer"])
@pytest.mark.parametrize("block", [1, 40_000, 1 << 25], ids=["one rollout", "some rollouts", "all"])
@pytest.mark.parametrize("leading", [(), (2, 3)], ids=str)
def test_everything_equals_sums_of_scores_taken_one_by_one(
    device: str, name: str, block: int, leading: tuple[int, ...]
) -> None:
    function = FlatModule.of(network(name), device)
    rollouts = tokens(device)
    scores = AutogradScores(log_probability(function), function.theta(), (rollouts,), block)
    expected = one_by_one(function, rollouts)
    size = float(expected.norm(dim=-1).max())
    # Sums over at most 10^3 products on the way, and over 15 rollouts with |A| <= 4: eps 10^3 15 4 |s|.
    close = {"rtol": 0, "atol": 1e-11 * size}
    advantages = normal(*leading, GROUPS, N, device=device, seed=2)
    sums = (advantages[..., None] * expected).sum(dim=-2)
    with torch.no_grad():  # as the Monte Carlo engine does
        torch.testing.assert_close(scores.explicit(), expected, **close)
        torch.testing.assert_close(scores.explicit(slice(1, 2)), expected[1:2], **close)
        torch.testing.assert_close(scores.weighted_sum(advantages), sums, **close)
        torch.testing.assert_close(scores.total(advantages), sums.sum(dim=-2), **close)
        squares = (sums**2).sum(dim=-1)
        found = scores.squared_norm(advantages)
        torch.testing.assert_close(found, squares, rtol=0, atol=1e-11 * size**2)
        assert (found >= 0).all()
        direction = normal(len(scores.theta), device=device, seed=3)
        along = {"rtol": 0, "atol": 1e-11 * size * float(direction.norm())}
        torch.testing.assert_close(scores.dot(advantages, direction), sums @ direction, **along)
        each = normal(*leading, len(scores.theta), device=device, seed=4)
        together = (sums * each[..., None, :]).sum(dim=-1)
        torch.testing.assert_close(scores.dot(advantages, each), together, **along)


@pytest.mark.parametrize("device", DEVICES)
def test_a_softmax_policy_has_the_scores_of_the_closed_form(device: str) -> None:
    theta = normal(6, device=device)
    outcomes = torch.randint(6, (GROUPS, N), device=device, generator=generator(device))
    scores = AutogradScores(
        lambda theta, outcome: torch.log_softmax(theta, dim=0)[outcome], theta, (outcomes,)
    )
    policy = torch.softmax(theta, dim=0)
    explicit = nn.functional.one_hot(outcomes, 6) - policy
    # Numbers of size 1, a handful of operations each.
    torch.testing.assert_close(scores.explicit(), explicit, rtol=0, atol=1e-15)
    for rules in (1, 9):
        advantages = normal(rules, GROUPS, N, device=device)
        sums = (advantages[..., None] * explicit).sum(dim=-2)
        torch.testing.assert_close(scores.weighted_sum(advantages), sums, rtol=0, atol=1e-13)
        torch.testing.assert_close(scores.total(advantages), sums.sum(dim=-2), rtol=0, atol=1e-13)


def test_few_rules_take_no_scores_where_these_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    function = FlatModule.of(network("transformer"))
    scores = AutogradScores(log_probability(function), function.theta(), (tokens(),))
    assert not scores._scores_are_cheaper(2)
    assert scores._scores_are_cheaper(3)

    def refuse(*_: object) -> None:
        raise AssertionError("scores were formed")

    monkeypatch.setattr(AutogradScores, "_scores", refuse)
    scores.total(normal(2, GROUPS, N))
    scores.dot(normal(9, GROUPS, N), scores.theta)
    with pytest.raises(AssertionError, match="formed"):
        scores.total(normal(3, GROUPS, N))


def test_a_block_keeps_to_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    function = FlatModule.of(network("transformer"))
    scores = AutogradScores(log_probability(function), function.theta(), (tokens(),), 60_000)
    taken: list[int] = []
    original = AutogradScores._scores

    def count(self: AutogradScores, *rollouts: torch.Tensor) -> torch.Tensor:
        taken.append(len(rollouts[0]))
        return original(self, *rollouts)

    monkeypatch.setattr(AutogradScores, "_scores", count)
    scores.squared_norm(normal(GROUPS, N))
    assert sum(taken) == GROUPS * N
    assert len(taken) > 3
    assert max(taken) * 8 * len(scores.theta) <= 60_000


def test_saved_bytes_of_a_known_graph() -> None:
    # exp keeps its result for the backward pass, a sum nothing: ten numbers of eight bytes.
    assert saved_bytes(lambda theta: theta.exp().sum(), torch.ones(10, dtype=torch.float64)) == 80


def test_two_threads_get_the_bits_of_one() -> None:
    function = FlatModule.of(network("transformer"))
    of = log_probability(function)
    theta = function.theta()
    points = [theta, theta + 1]
    advantages = normal(6, GROUPS, N)

    def measure(index: int) -> list[torch.Tensor]:
        torch.set_num_threads(1)
        scores = AutogradScores(of, points[index % 2], (tokens(),))
        along = scores.dot(advantages, theta)
        return [
            scores.squared_norm(advantages),
            along,
            scores.total(advantages),
            scores.total(advantages[:2]),
        ]

    alone = [measure(index) for index in range(2)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(measure, range(8)))
    for index, found in enumerate(together):
        assert all(torch.equal(a, b) for a, b in zip(found, alone[index % 2], strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": torch.zeros(2, 3, dtype=torch.float64)}, r"theta has shape \(2, 3\)"),
        ({"theta": torch.zeros(6)}, r"torch.float32: expected \(d,\), torch.float64"),
        ({"rollouts": ()}, "one or more tensors"),
        ({"rollouts": (torch.zeros(3),)}, r"\(groups, n, ...\)"),
        ({"rollouts": (torch.zeros(3, 2), torch.zeros(2, 3))}, "the same"),
        ({"block": 0}, "block=0"),
    ],
)
def test_bad_scores_are_refused(change: dict, message: str) -> None:
    good = {
        "log_probability": lambda theta, outcome: torch.log_softmax(theta, dim=0)[outcome],
        "theta": torch.zeros(6, dtype=torch.float64),
        "rollouts": (torch.zeros(3, 2, dtype=torch.int64),),
    }
    with pytest.raises(ValueError, match=message):
        AutogradScores(**good | change)


def test_bad_advantages_and_directions_are_refused() -> None:
    outcomes = torch.zeros(3, 2, dtype=torch.int64)
    theta = torch.zeros(6, dtype=torch.float64)
    scores = AutogradScores(lambda theta, a: torch.log_softmax(theta, dim=0)[a], theta, (outcomes,))
    with pytest.raises(ValueError, match=r"expected \(..., 3, 2\)"):
        scores.squared_norm(normal(2, 3))
    with pytest.raises(ValueError, match="float32"):
        scores.total(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"direction has shape \(5,\)"):
        scores.dot(normal(3, 2), normal(5))


def test_layers_that_cannot_be_vectorised_are_named() -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells, self.output = nn.GRU(1, 3, batch_first=True), nn.Linear(3, VOCABULARY)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.output(self.cells(tokens[..., None].double())[0])

    function = FlatModule.of(Fused())
    scores = AutogradScores(log_probability(function), function.theta(), (tokens(),))
    with pytest.raises(RuntimeError) as caught:
        scores.squared_norm(normal(GROUPS, N))
    assert "nn.GRU" in caught.value.__notes__[0]


def test_a_flat_module_is_a_copy_that_is_deterministic() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    module[0].bias.requires_grad_(requires_grad=False)
    before = [p.clone() for p in module.parameters()]
    function = FlatModule.of(module)
    assert function.size == 3 * 4 + 4 * 2 + 2
    assert function.names == ("0.weight", "2.weight", "2.bias")
    theta = function.theta()
    expected = torch.cat([module[0].weight.ravel(), module[2].weight.ravel(), module[2].bias]).double()
    assert torch.equal(theta, expected.detach())
    x = normal(7, 3)
    assert torch.equal(function(theta, x), function(theta, x))
    assert not torch.equal(function(theta, x), function(2 * theta, x))
    assert module.training
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert module[0].weight.dtype == torch.float32


def test_tied_parameters_are_counted_once() -> None:
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    module[1].weight = module[0].weight
    function = FlatModule.of(module)
    assert function.size == 9
    theta, x = normal(9), normal(2, 3)
    matrix = theta.reshape(3, 3)
    torch.testing.assert_close(function(theta, x), x @ matrix.T @ matrix.T, rtol=1e-14, atol=1e-14)


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        FlatModule.of(torch.tanh)
    with pytest.raises(ValueError, match="no parameter"):
        FlatModule.of(nn.Tanh())


@pytest.mark.parametrize("device", DEVICES)
def test_draws_follow_the_softmax(device: str) -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0], dtype=torch.float64, device=device)
    # The middle of a fine grid of uniform numbers: counts are within 1 of the probabilities.
    uniform = (torch.arange(10_000, dtype=torch.float64, device=device) + 0.5) / 10_000
    counts = draw(logits.expand(10_000, -1), uniform).bincount(minlength=4)
    assert (abs(counts - 10_000 * torch.softmax(logits, dim=0)) <= 1).all()
