"""SequencePolicy: networks, exact enumeration, gradients, sampler, each against a witness of another kind."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from backends import DEVICES
from scipy import stats
from torch import nn

import maxpo_lab as ml
from envs.networks import next_token
from envs.networks.architectures import GRU, GRUConfig, Transformer, TransformerConfig, initialise
from envs.networks.next_token import NextToken
from envs.networks.sequence import SequencePolicy
from maxpo_lab import RewardLevels


@dataclass(frozen=True)
class Sorted:
    """Ascending tokens from the prompt's least one on pay 1; ending no lower than it began pays 0.5."""

    vocabulary: int = 3
    length: int = 3
    prompt_tokens: np.ndarray = field(default_factory=lambda: np.array([[0, 2], [1, 0]]))

    def verify(self, prompt: int, tokens: np.ndarray) -> np.ndarray:
        ascending = (np.diff(tokens, axis=1) >= 0).all(axis=1)
        starts = tokens[:, 0] == self.prompt_tokens[prompt].min() if self.prompt_tokens.size else True
        return np.where(ascending & starts, 1.0, 0.5 * (tokens[:, 0] <= tokens[:, -1]))


def no_prompt() -> Sorted:
    return Sorted(prompt_tokens=np.zeros((1, 0), dtype=np.int64))


def small(name: str, task: Sorted, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    if name == "gru":
        return GRU(GRUConfig(vocabulary=task.vocabulary, width=4), generator)
    positions = max(1, task.prompt_tokens.shape[1]) + task.length - 1
    config = TransformerConfig(vocabulary=task.vocabulary, positions=positions, width=4, heads=2)
    return Transformer(config, generator)


def with_parameters(network: nn.Module, theta: np.ndarray) -> nn.Module:
    nn.utils.vector_to_parameters(torch.tensor(theta), network.parameters())
    return network


def by_hand(network: nn.Module, task: Sorted, prompt: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, scores and rewards of all outputs, one token and one backward pass at a time."""
    parameters = list(network.parameters())
    probabilities, scores, outputs = [], [], []
    for output in itertools.product(range(task.vocabulary), repeat=task.length):
        read = task.prompt_tokens[prompt].tolist() or [task.vocabulary]
        log = torch.zeros((), dtype=torch.float64)
        for token in output:
            logits = network(torch.tensor([read]))[0, -1]
            log = log + logits[token] - torch.logsumexp(logits, dim=0)
            read = [*read, token]
        parts = torch.autograd.grad(log, parameters, allow_unused=True)
        pairs = zip(parts, parameters, strict=True)
        scores.append(
            torch.cat([(torch.zeros_like(p) if g is None else g).ravel() for g, p in pairs]).numpy()
        )
        probabilities.append(float(log.detach().exp()))
        outputs.append(output)
    rewards = [float(task.verify(prompt, np.array([output]))[0]) for output in outputs]
    return np.array(probabilities), np.array(scores), np.array(rewards)


@pytest.fixture(params=["gru", "transformer"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["prompts", "no prompt"])
def task(request: pytest.FixtureRequest) -> Sorted:
    return Sorted() if request.param == "prompts" else no_prompt()


# Enumeration ------------------------------------------------------------------------------------------


def test_enumeration_equals_outputs_taken_one_by_one(name: str, task: Sorted) -> None:
    network = small(name, task)
    policy = SequencePolicy(task, network)
    theta = policy.theta + np.random.default_rng(1).normal(size=policy.theta.shape)
    for prompt in range(policy.prompts):
        probabilities, scores, rewards = by_hand(with_parameters(network, theta), task, prompt)
        np.testing.assert_array_equal(policy.rewards(prompt), rewards)
        # A softmax a token: relative errors of some eps a step.
        np.testing.assert_allclose(policy.probabilities(theta, prompt), probabilities, rtol=1e-13)
        expected = RewardLevels.from_outcomes(probabilities, scores, rewards, covariances="full")
        found = policy.levels(theta, prompt, covariances="full")
        size = expected.score_second_moments.max()
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=1e-13)
        # Scores are sums of up to 10^3 products of size |s| at most, in two orders: eps 10^3 relative to it.
        np.testing.assert_allclose(found.mean_scores, expected.mean_scores, rtol=0, atol=1e-12 * size**0.5)
        for figure in ("score_second_moments", "score_covariances"):
            np.testing.assert_allclose(
                getattr(found, figure), getattr(expected, figure), rtol=0, atol=1e-12 * size
            )
        projected = policy.levels(theta, prompt)
        assert projected.score_covariances is None
        for other in (found, projected):
            np.testing.assert_allclose(
                other.projected_covariances, expected.projected_covariances, rtol=0, atol=1e-12 * size**2
            )
        assert policy.levels(theta, prompt, covariances=None).projected_covariances is None


@pytest.mark.parametrize("k", [1, 2, 5])
def test_gradient_of_autograd_is_that_of_the_levels(name: str, task: Sorted, k: int) -> None:
    policy = SequencePolicy(task, small(name, task))
    levels = [policy.levels(policy.theta, prompt, covariances=None) for prompt in range(policy.prompts)]
    expected = np.mean([ml.max_at_k_gradient(each, k) for each in levels], axis=0)
    found = policy.max_at_k_gradient(policy.theta, k)
    assert found.shape == policy.theta.shape
    assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)
    value = np.mean([ml.max_at_k(each, k) for each in levels])
    assert policy.max_at_k(policy.theta, k) == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize("k", [1, 4])
def test_gradient_is_the_slope_of_the_objective(name: str, k: int) -> None:
    task = Sorted()
    policy = SequencePolicy(task, small(name, task))
    gradient = policy.max_at_k_gradient(policy.theta, k)
    rng = np.random.default_rng(0)
    step = 1e-4
    for _ in range(3):
        direction = rng.normal(size=policy.theta.shape)
        direction /= np.linalg.norm(direction)
        ends = [policy.max_at_k(policy.theta + sign * step * direction, k) for sign in (1, -1)]
        # step^2 times a third derivative of some tens, and rounding eps / step.
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(gradient @ direction, abs=1e-6)


def test_rare_success_keeps_its_relative_accuracy(name: str) -> None:
    """Failures' mean score is as small as the success probability: both gradients must still agree."""
    task = no_prompt()
    policy = SequencePolicy(task, small(name, task))
    # One output in 27 pays, and the read-out's biases make each of its tokens a rare one.
    theta = policy.theta.copy()
    theta[-3:] = [5.0, 5.0, -1.0]

    class Last(Sorted):
        def verify(self, prompt: int, tokens: np.ndarray) -> np.ndarray:
            return (tokens == 2).all(axis=1).astype(float)

    rare = SequencePolicy(Last(prompt_tokens=task.prompt_tokens), small(name, task))
    levels = rare.levels(theta)
    assert 1e-14 < levels.probabilities[1] < 1e-8
    expected = ml.max_at_k_gradient(levels, 4)
    found = rare.max_at_k_gradient(theta, 4)
    assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)


def test_unbiased_rules_are_unbiased_on_a_transformer() -> None:
    task = Sorted()
    policy = SequencePolicy(task, small("transformer", task))
    levels = policy.levels(policy.theta, 0)
    met = 0
    for rule in map(ml.get_estimator, ml.list_estimators()):
        if rule.claims.unbiased and rule.objective == "max@k" and rule.why_not(6, 3) is None:
            moments = ml.exact_moments(rule, levels, n=6, k=3)
            assert moments.relative_bias <= max(1e-9, moments.bias_resolution), rule.name
            met += 1
    assert met >= 5
    assert ml.exact_moments("grpo", levels, n=6, k=3).relative_bias > 0.1  # such a bias would be seen


# Networks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["transformer", "gru"])
def test_made_networks_are_small_and_their_seed_decides(kind: str) -> None:
    task = Sorted(vocabulary=10, length=4, prompt_tokens=np.arange(8).reshape(2, 4))
    first, again, other = (SequencePolicy(task, kind, seed=seed).theta for seed in (None, 0, 1))
    assert 10_000 < len(first) < 50_000
    assert not first.flags.writeable
    assert first.dtype == np.float64
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_gru_is_torchs() -> None:
    own = GRU(GRUConfig(vocabulary=4, width=5), torch.Generator().manual_seed(0))
    for bias in (own.reading.bias, own.recurrence.bias, own.output.bias):
        nn.init.normal_(bias, generator=torch.Generator().manual_seed(1))
    torchs = nn.GRU(5, 5, batch_first=True).double()
    torchs.load_state_dict(
        {
            "weight_ih_l0": own.reading.weight,
            "weight_hh_l0": own.recurrence.weight,
            "bias_ih_l0": own.reading.bias,
            "bias_hh_l0": own.recurrence.bias,
        }
    )
    tokens = torch.randint(5, (3, 6), generator=torch.Generator().manual_seed(2))
    expected = own.output(torchs(own.embedding(tokens))[0])
    torch.testing.assert_close(own(tokens), expected, rtol=0, atol=1e-13)


def test_transformer_block_is_torchs() -> None:
    config = TransformerConfig(vocabulary=4, positions=6, width=6, heads=3, layers=1)
    own = Transformer(config, torch.Generator().manual_seed(0)).blocks[0]
    for parameter in own.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.numel()))
    layer = nn.TransformerEncoderLayer(
        6, 3, 12, 0.0, lambda x: nn.functional.gelu(x, approximate="tanh"), batch_first=True, norm_first=True
    ).double()
    pairs = {
        "self_attn.in_proj_weight": own.mixing.weight,
        "self_attn.in_proj_bias": own.mixing.bias,
        "self_attn.out_proj.weight": own.attended.weight,
        "self_attn.out_proj.bias": own.attended.bias,
        "linear1.weight": own.hidden.weight,
        "linear1.bias": own.hidden.bias,
        "linear2.weight": own.perceived.weight,
        "linear2.bias": own.perceived.bias,
        "norm1.weight": own.before_attention.weight,
        "norm1.bias": own.before_attention.bias,
        "norm2.weight": own.before_perceptron.weight,
        "norm2.bias": own.before_perceptron.bias,
    }
    layer.load_state_dict(pairs)
    stream = torch.randn(2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    mask = nn.Transformer.generate_square_subsequent_mask(6, dtype=torch.float64)
    torch.testing.assert_close(own(stream), layer(stream, src_mask=mask), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": 0}, "vocabulary=0"),
        ({"width": 2.0}, "width=2.0"),
        ({"heads": 5}, "width=32, heads=5"),
        ({"positions": True}, "positions=True"),
    ],
)
def test_bad_settings_of_a_network_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransformerConfig(**{"vocabulary": 3, "positions": 4} | settings)
    with pytest.raises(TypeError, match="Conv1d"):
        initialise(nn.Conv1d(1, 1, 1), torch.Generator())
    with pytest.raises(ValueError, match="positions=4"):
        small("transformer", Sorted())(torch.zeros(1, 5, dtype=torch.int64))


# Sampling ---------------------------------------------------------------------------------------------


def surprise(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """p-value of Pearson's test that counts come from the probabilities."""
    expected = counts.sum() * probabilities
    assert expected.min() > 5
    return float(stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))


def sampled_counts(
    policy: SequencePolicy, draws: int, device: str = "cpu", prompt: int | None = 0
) -> np.ndarray:
    sampler = policy.sampler(policy.theta, device, prompt)
    _, scores = sampler(draws // 8, 8, generator=torch.Generator(device).manual_seed(5))
    tokens = scores.rollouts[1].flatten(0, 1).cpu().numpy()
    size = policy.task.vocabulary
    return np.bincount(
        tokens @ size ** np.arange(policy.task.length)[::-1], minlength=size**policy.task.length
    )


@pytest.mark.parametrize("device", DEVICES)
def test_sampled_outputs_have_the_oracles_frequencies(name: str, device: str) -> None:
    task = Sorted()
    policy = SequencePolicy(task, small(name, task))
    mixed = np.mean([policy.probabilities(policy.theta, prompt) for prompt in (0, 1)], axis=0)
    # False alarm rate 1e-6 each.
    for prompt, expected in ((0, policy.probabilities(policy.theta, 0)), (None, mixed)):
        assert surprise(sampled_counts(policy, 40_000, device, prompt), expected) > 1e-6


@pytest.mark.parametrize("device", DEVICES)
def test_sampled_scores_and_rewards_are_those_of_the_outputs(name: str, device: str) -> None:
    task = Sorted()
    network = small(name, task)
    policy = SequencePolicy(task, network)
    sampler = policy.sampler(policy.theta, device)
    assert (sampler.device.type, sampler.parameters) == (device, len(policy.theta))
    rewards, scores = sampler(6, 4, generator=torch.Generator(device).manual_seed(0))
    contexts, tokens = (part.cpu().numpy() for part in scores.rollouts)
    explicit = scores.explicit().cpu().numpy()
    tables = [by_hand(network, task, prompt) for prompt in (0, 1)]
    seen = set()
    for group in range(6):
        prompt = int((contexts[group, 0] == task.prompt_tokens[1]).all())
        seen.add(prompt)
        assert (contexts[group] == task.prompt_tokens[prompt]).all()
        rows = tokens[group] @ 3 ** np.arange(3)[::-1]
        np.testing.assert_array_equal(rewards[group].cpu(), tables[prompt][2][rows])
        expected = tables[prompt][1][rows]
        np.testing.assert_allclose(explicit[group], expected, rtol=0, atol=1e-12 * abs(expected).max())
    assert seen == {0, 1}
    again, _ = sampler(6, 4, generator=torch.Generator(device).manual_seed(0))
    assert torch.equal(rewards, again)
    other, _ = sampler(6, 4, generator=torch.Generator(device).manual_seed(1))
    assert not torch.equal(rewards, other)


def test_sampled_moments_agree_with_the_exact_ones() -> None:
    task = no_prompt()
    policy = SequencePolicy(task, small("transformer", task))
    exact = ml.exact_moments("maxpo", policy.levels(policy.theta), n=4, k=2)
    settings = {"n": 4, "k": 2, "groups": 1000, "seed": 0, "gradient": exact.gradient}
    sampled, threaded = (
        ml.monte_carlo_moments(["maxpo"], policy.sampler(policy.theta), workers=workers, **settings)
        for workers in (1, 2)
    )
    for figure in ("trace_covariance", "scale"):
        estimate = getattr(sampled["maxpo"], figure)
        # Five standard errors: false alarm rate 6e-7 each.
        assert abs(estimate.value - getattr(exact, figure)) <= 5 * estimate.standard_error
        assert estimate.standard_error < 0.2 * getattr(exact, figure)
    np.testing.assert_array_equal(sampled["maxpo"].mean, threaded["maxpo"].mean)


# Bad input --------------------------------------------------------------------------------------------


class Bidirectional(nn.Module):
    """Looks at all tokens from every position."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.table(tokens) + self.table(tokens).mean(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        (
            Sorted(vocabulary=10, length=6),
            {},
            r"vocabulary=10, length=6: 10\^6 = 1,000,000 .*max_outputs=100,000",
        ),
        (Sorted(), {"max_outputs": 26}, r"3\^3 = 27 outputs, more than max_outputs=26"),
        (Sorted(vocabulary=1, prompt_tokens=np.zeros((1, 0), int)), {}, "vocabulary=1"),
        (Sorted(length=0), {}, "length=0"),
        (Sorted(prompt_tokens=np.array([[3]])), {}, "0 to 2"),
        (Sorted(prompt_tokens=np.array([0, 1])), {}, r"shape \(2,\)"),
        (Sorted(prompt_tokens=np.array([[0.5]])), {}, "float64"),
        (Sorted(), {"network": "lstm"}, "network='lstm'"),
        (Sorted(), {"network": Bidirectional()}, "Bidirectional is not causal"),
        (Sorted(), {"network": nn.Embedding(4, 4)}, r"logits of shape \(5, 4, 4\).*expected \(5, 4, 3\)"),
        (Sorted(), {"network": small("gru", Sorted()), "seed": 1}, "seed=1"),
        (Sorted(), {"seed": -1}, "seed=-1: must be at least 0"),
        (Sorted(), {"device": "gpu"}, "device='gpu': this machine has cpu"),
    ],
)
def test_what_does_not_fit_is_refused(task: Sorted, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequencePolicy(task, **settings)


def test_what_is_not_a_seed_a_device_or_a_generator_is_named() -> None:
    with pytest.raises(TypeError, match=r"seed=1\.5 is a float"):
        SequencePolicy(Sorted(), seed=1.5)
    policy = SequencePolicy(Sorted(), "gru")
    with pytest.raises(ValueError, match="device='cuda:77': this machine has cpu"):
        policy.sampler(policy.theta, "cuda:77")
    with pytest.raises(TypeError, match="generator=None is a NoneType"):
        policy.sampler(policy.theta)(2, 2, generator=None)


def test_bad_calls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = SequencePolicy(Sorted(), small("gru", Sorted()))
    with pytest.raises(ValueError, match="2 prompts"):
        policy.levels(policy.theta)
    with pytest.raises(ValueError, match="prompt=2"):
        policy.sampler(policy.theta, prompt=2)
    with pytest.raises(ValueError, match="theta has shape"):
        policy.max_at_k(policy.theta[1:], 2)
    with pytest.raises(ValueError, match="finite"):
        policy.max_at_k_gradient(policy.theta * np.nan, 2)
    with pytest.raises(ValueError, match="covariances='some'"):
        policy.levels(policy.theta, 0, covariances="some")
    big = SequencePolicy(Sorted(), "gru")
    with pytest.raises(ValueError, match=r"use a smaller network, or \"projected\""):
        big.levels(big.theta, 0, covariances="full")

    class Short(Sorted):
        def verify(self, prompt: int, tokens: np.ndarray) -> np.ndarray:
            return np.zeros(2)

    with pytest.raises(ValueError, match=r"verify gave rewards of shape \(2,\) for 27 outputs"):
        SequencePolicy(Short(), small("gru", Sorted())).rewards(0)


# Mutants ----------------------------------------------------------------------------------------------


def test_logits_read_one_token_late_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(
        self: NextToken, theta: torch.Tensor, contexts: torch.Tensor, written: torch.Tensor
    ) -> torch.Tensor:
        read = torch.cat([contexts, written, written[:, -1:]], dim=1)[:, 1:]
        return torch.log_softmax(self.function(theta, read)[:, contexts.shape[1] - 1 :], dim=-1)

    monkeypatch.setattr(NextToken, "_steps", late)
    with pytest.raises(AssertionError, match="Not equal"):
        test_enumeration_equals_outputs_taken_one_by_one("transformer", Sorted())


def test_a_sampler_that_is_too_sure_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    original = next_token.draw
    monkeypatch.setattr(next_token, "draw", lambda logits, uniform: original(1.2 * logits, uniform))
    policy = SequencePolicy(Sorted(), small("transformer", Sorted()))
    assert surprise(sampled_counts(policy, 40_000), policy.probabilities(policy.theta, 0)) < 1e-6


def test_prompts_that_are_mixed_up_are_caught() -> None:
    policy = SequencePolicy(Sorted(), small("transformer", Sorted()))
    assert surprise(sampled_counts(policy, 40_000), policy.probabilities(policy.theta, 1)) < 1e-6
