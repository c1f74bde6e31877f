"""PromptBandit: its difficulties, and the exact oracle of a prompt in the parameters of all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from backends import DEVICES

import maxpo_lab as ml
from envs import PromptBandit
from envs.tabular.specimen import TabularSpecimen

SETTINGS = {"prompts": 3, "arms": 6, "good": 3, "hardest": 0.01, "easiest": 0.6, "grades": (0.5, 1.0)}
THETA = np.random.default_rng(5).normal(size=(3, 6))


def test_success_rates_are_quantiles_of_the_log_uniform_law() -> None:
    specimen = PromptBandit()
    rates = specimen.success_rates
    assert (len(rates), rates[0], rates[-1]) == (32, 1e-3, 0.5)
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(500) / 31, rtol=1e-12)
    for prompt in (0, 10, 31):
        levels = specimen.levels(specimen.theta, prompt)
        # The policy is exp of a logarithm: rounding of theta, of size |theta| eps < 10 eps.
        np.testing.assert_allclose(levels.probabilities[1], rates[prompt], rtol=1e-14)


def test_zipf_spreads_every_prompt_by_rank() -> None:
    specimen = PromptBandit(prompts=2, arms=5, good=2, hardest=0.1, easiest=0.4, within="zipf")
    policy = np.exp(specimen.theta)
    np.testing.assert_allclose(policy[:, 0] / policy[:, 1], 2.0, rtol=1e-14)
    np.testing.assert_allclose(policy[:, 2:] / policy[:, 2:3], [[1, 1 / 2, 1 / 3]] * 2, rtol=1e-14)


@pytest.mark.parametrize("prompt", range(3))
def test_levels_equal_the_generic_tabular_oracle(prompt: int) -> None:
    specimen = PromptBandit(**SETTINGS)
    own = specimen.levels(THETA, prompt, covariances="full")
    generic = TabularSpecimen.levels(specimen, THETA, prompt, covariances="full")
    for name in (
        "values",
        "probabilities",
        "mean_scores",
        "score_second_moments",
        "score_covariances",
        "projected_covariances",
    ):
        # Sums of six terms of size at most 1; conditional moments divide by probabilities above 0.01.
        np.testing.assert_allclose(getattr(own, name), getattr(generic, name), rtol=1e-12, atol=1e-13)


def test_the_projected_form_keeps_no_matrices() -> None:
    specimen = PromptBandit(**SETTINGS)
    levels = specimen.levels(THETA, 1)
    assert levels.score_covariances is None
    assert levels.mean_scores.shape == (3, 18)
    assert not levels.mean_scores[:, :6].any()
    assert not levels.mean_scores[:, 12:].any()
    assert specimen.levels(THETA, 1, covariances=None).projected_covariances is None


def test_objective_and_gradient_average_over_prompts() -> None:
    specimen = PromptBandit(**SETTINGS)
    every = [specimen.levels(THETA, prompt) for prompt in range(3)]
    mean = np.mean([ml.max_at_k_gradient(levels, 4) for levels in every], axis=0)
    np.testing.assert_allclose(specimen.max_at_k_gradient(THETA, 4), mean.reshape(3, 6), rtol=0, atol=1e-15)
    assert specimen.max_at_k(THETA, 4) == pytest.approx(
        np.mean([ml.max_at_k(x, 4) for x in every]), rel=1e-15
    )


def test_a_batch_of_all_prompts_goes_to_batch_moments() -> None:
    specimen = PromptBandit(**SETTINGS)
    every = [specimen.levels(specimen.theta, prompt) for prompt in range(specimen.prompts)]
    moments = ml.batch_moments("maxpo", every, n=6, k=3, batch=8)
    gradient = specimen.max_at_k_gradient(specimen.theta, 3).ravel()
    np.testing.assert_allclose(moments.gradient, gradient, rtol=1e-12, atol=1e-16)
    assert moments.relative_bias <= max(1e-9, moments.bias_resolution)
    assert moments.between_prompt_trace > 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("prompt", [None, 1])
def test_implicit_scores_equal_explicit_ones(device: str, prompt: int | None) -> None:
    specimen = PromptBandit(**SETTINGS)
    sampler = specimen.sampler(THETA, device, prompt)
    assert (sampler.device.type, sampler.parameters) == (device, 18)
    generator = torch.Generator(device).manual_seed(0)
    rewards, scores = sampler(40, 7, generator=generator)
    assert set(scores.prompts.flatten().tolist()) == ({0, 1, 2} if prompt is None else {1})
    np.testing.assert_array_equal(rewards.cpu(), specimen.rewards[scores.outcomes.cpu() % 6])
    asked = scores.prompts[:, 0]
    assert (scores.outcomes // 6 == asked[:, None]).all()
    policy = torch.softmax(torch.tensor(THETA, device=device), dim=1)
    # The sampler's policy is made on the CPU: the same bits there. A device rounds a logit less the largest,
    # its exponential, by span / 2 + 1 eps, above and below the line; the sum of six and the quotient by 3.
    span = np.ptp(THETA, axis=1).max()
    rtol = 0.0 if device == "cpu" else 2 * (span + 5) * torch.finfo(torch.float64).eps
    torch.testing.assert_close(scores.policy, policy, rtol=rtol, atol=0)
    explicit = torch.nn.functional.one_hot(scores.outcomes, 18).to(torch.float64).unflatten(2, (3, 6))
    explicit[torch.arange(40), :, asked] -= policy[asked][:, None]
    advantages = torch.randn(2, 40, 7, dtype=torch.float64, generator=generator, device=device)
    direction = torch.randn(18, dtype=torch.float64, generator=generator, device=device)
    sums = torch.einsum("rgi,gid->rgd", advantages, explicit.flatten(2))
    # Sums of at most n = 7 terms of size |A| <= 5, of squares of those for the norm; 40 groups in all.
    close = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(scores.weighted_sum(advantages), sums, **close)
    torch.testing.assert_close(scores.squared_norm(advantages), sums.square().sum(dim=-1), **close)
    torch.testing.assert_close(scores.dot(advantages, direction), sums @ direction, **close)
    torch.testing.assert_close(scores.total(advantages), sums.sum(dim=1), **close)
    torch.testing.assert_close(scores.squared_norm(advantages[0]), sums[0].square().sum(dim=-1), **close)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("groups", "n"), [(40, 3), (12, 40)], ids=["by pairs", "by sorting"])
def test_a_batch_may_hold_a_prompt_twice(device: str, groups: int, n: int) -> None:
    """Norms of sums over the groups of a batch: what prompts have in common and what they do not."""
    specimen = PromptBandit(**SETTINGS)
    generator = torch.Generator(device).manual_seed(1)
    _, scores = specimen.sampler(THETA, device)(groups, n, generator=generator)
    asked = scores.prompts[:, 0].unflatten(0, (-1, 4))
    assert {len(set(prompts)) for prompts in asked.tolist()} >= {2, 3}
    advantages = torch.randn(2, groups, n, dtype=torch.float64, generator=generator, device=device)
    sums = scores.weighted_sum(advantages).unflatten(1, (-1, 4)).sum(dim=2)
    batches, given = scores.batched(4), advantages.reshape(2, -1, 4 * n)
    # Sums of at most 160 terms of size |A| <= 5, of squares of those.
    expected = sums.square().sum(dim=-1)
    torch.testing.assert_close(batches.squared_norm(given), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(batches._by_sorting(given), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(batches._by_pairs(given), expected, rtol=0, atol=1e-10)


def test_a_draw_at_the_very_end_stays_with_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = PromptBandit(**SETTINGS).sampler(THETA)
    for uniform, arm in ((1 - 2.0**-53, 5), (0.0, 0)):
        monkeypatch.setattr(
            torch, "rand", lambda *size, u=uniform, **put: torch.full(size, u, dtype=torch.float64)
        )
        _, scores = sampler(30, 2, generator=torch.Generator().manual_seed(0))
        assert (scores.outcomes == 6 * scores.prompts + arm).all()


def test_a_prompt_is_chosen_by_an_option() -> None:
    specimen = PromptBandit(**SETTINGS)
    assert specimen.reset(seed=0, options={"prompt": 2}) == (2, {"prompt": 2})
    assert specimen.step(np.int64(0))[1:4] == (0.5, True, False)
    seen = {int(specimen.reset()[0]) for _ in range(60)}
    assert seen == {0, 1, 2}  # a prompt is missed 60 times with probability below 1e-9


def test_one_prompt_has_one_rate() -> None:
    assert PromptBandit(prompts=1, hardest=0.1, easiest=0.1).theta.shape == (1, 100)


@pytest.mark.parametrize(
    ("settings", "fragments"),
    [
        ({"prompts": 0}, ["prompts=0", "at least one"]),
        ({"prompts": 1}, ["prompts=1", "hardest=0.001", "SparseBandit"]),
        ({"hardest": 0.0}, ["hardest=0.0", "0 < hardest"]),
        ({"hardest": 0.6}, ["hardest=0.6", "easiest=0.5"]),
        ({"easiest": 1.0}, ["easiest=1.0"]),
        ({"easiest": float("nan")}, ["easiest=nan"]),
        ({"arms": 10}, ["good=10", "arms=10"]),
        ({"within": "flat"}, ["within='flat'", "zipf"]),
        ({"grades": (0.0,)}, ["grades", "above 0"]),
        ({"render_mode": "human"}, ["render_mode='human'"]),
    ],
)
def test_bad_parameters_are_refused(settings: dict, fragments: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - fragments are matched below
        PromptBandit(**settings)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_counts_are_whole_numbers() -> None:
    with pytest.raises(TypeError, match=r"prompts=4\.0"):
        PromptBandit(prompts=4.0)


@pytest.mark.parametrize("settings", [{"hardest": "a"}, {"easiest": None}, {"grades": 1.0}])
def test_wrong_types_are_refused(settings: dict) -> None:
    ((name, value),) = settings.items()
    with pytest.raises(TypeError, match=f"{name}={value!r} is a .*real number"):
        PromptBandit(**settings)


def test_bad_requests_are_refused() -> None:
    specimen = PromptBandit()
    with pytest.raises(ValueError, match="say which"):
        specimen.levels(specimen.theta)
    with pytest.raises(ValueError, match=r"prompt=32.*0 to 31"):
        specimen.levels(specimen.theta, 32)
    with pytest.raises(ValueError, match=r"expected \(32, 100\)"):
        specimen.max_at_k_gradient(np.zeros(100), 2)
    with pytest.raises(ValueError, match="covariances='diagonal'"):
        specimen.levels(specimen.theta, 0, covariances="diagonal")
    big = PromptBandit(prompts=150)
    with pytest.raises(ValueError, match=r"450,000,000 numbers.*fewer prompts or arms"):
        big.levels(big.theta, 0, covariances="full")
