"""verl's own advantage functions against the catalogue, on ragged groups of token-level rewards.

Runs in an environment of its own (``make test-integrations``), as verl pins an older transformers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import maxpo_lab as ml

pytestmark = pytest.mark.integration
core_algos = pytest.importorskip(
    "verl.trainer.ppo.core_algos", reason="verl is in .venv-verl alone: make test-integrations"
)
import torch  # noqa: E402 - torch comes with verl
from verl.trainer.config import AlgoConfig  # noqa: E402

SIZES = (2, 3, 4, 5, 7, 8, 8, 13, 16)


class Rule(NamedTuple):
    """A function of verl with its settings, and the catalogue's name for it."""

    verl: str
    ours: str
    by_std: bool = True
    arguments: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.verl}-{self.ours}"

    def advantages(self, token_rewards: torch.Tensor, mask: torch.Tensor, uid: np.ndarray) -> torch.Tensor:
        """(bs, T) as verl's trainer asks for them: keywords, the algorithm's config, a uid a row."""
        function = core_algos.get_adv_estimator_fn(self.verl)
        advantages, returns = function(
            token_level_rewards=token_rewards,
            response_mask=mask,
            index=uid,
            config=AlgoConfig(norm_adv_by_std_in_grpo=self.by_std),
            **dict(self.arguments),
        )
        assert torch.equal(advantages, returns)
        return advantages


def without_std(verl: str, ours: str) -> Rule:
    """verl's trainer hands this setting to the GRPO functions as an argument, to grpo_passk by the config."""
    return Rule(verl, ours, by_std=False, arguments=(("norm_adv_by_std_in_grpo", False),))


RULES = (
    Rule("grpo", "grpo"),
    without_std("grpo", "batch-mean"),
    Rule("rloo", "rloo"),
    Rule("grpo_passk", "verl-grpo-passk"),
    Rule("grpo_passk", "verl-grpo-passk-nostd", by_std=False),
)
VECTORISED = (
    Rule("grpo_vectorized", "grpo"),
    without_std("grpo_vectorized", "batch-mean"),
    Rule("rloo_vectorized", "rloo"),
)


def one_hot(n: int, at: int) -> np.ndarray:
    return (np.arange(n) == at % n).astype(float)


def group_rewards(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Rewards of one group; but for the flat ones their standard deviation is above 1/3."""
    if kind == "binary":
        return one_hot(n, 1) if n < 4 else rng.permutation(np.arange(n) % 3 == 0).astype(float)
    if kind == "tied":
        return rng.permutation((np.arange(n) + 1) // 2 % 3) * (2 / 3)
    if kind == "continuous":
        return rng.permutation(np.linspace(-1, 1, n)) + rng.uniform(-0.1, 0.1, n)
    return np.full(n, {"flat-failures": 0.0, "flat-successes": 1.0}[kind])


KINDS = ("binary", "tied", "continuous", "flat-failures", "flat-successes")


class Batch(NamedTuple):
    """A batch as verl has it; ``scores`` are the rewards that its functions sum out of the tokens."""

    token_rewards: torch.Tensor
    mask: torch.Tensor
    uid: np.ndarray

    @property
    def scores(self) -> torch.Tensor:
        return self.token_rewards.sum(-1)


def batch_of(groups: list[np.ndarray], dtype: torch.dtype, rng: np.random.Generator) -> Batch:
    """Rows of all groups interleaved; a reward lies half on a response's first token, half on its last."""
    rewards = torch.tensor(np.concatenate(groups), dtype=dtype)
    names = [f"prompt-{number}" for number in rng.permutation(len(groups))]
    uid = np.repeat(np.array(names, dtype=object), [len(group) for group in groups])
    order = rng.permutation(len(uid))
    rewards, uid = rewards[torch.from_numpy(order)], uid[order]
    tokens = 12
    lengths = torch.from_numpy(rng.integers(2, tokens + 1, len(uid)))
    mask = (torch.arange(tokens) < lengths[:, None]).to(dtype)
    token_rewards = torch.zeros(len(uid), tokens, dtype=dtype)
    token_rewards[:, 0] = rewards / 2
    token_rewards[torch.arange(len(uid)), lengths - 1] = rewards / 2
    return Batch(token_rewards, mask, uid)


def both(rule: Rule, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages (bs, T): ours spread over the response's tokens, and verl's."""
    ours = ml.advantages(batch.scores, 1, estimator=rule.ours, group_ids=batch.uid)
    assert ours.dtype == batch.scores.dtype
    return ours[:, None] * batch.mask, rule.advantages(*batch)


@pytest.mark.parametrize("kind", [*KINDS, "mixed"])
@pytest.mark.parametrize("rule", [*RULES, *VECTORISED], ids=str)
def test_verls_advantages_are_ours_in_float32(rule: Rule, kind: str) -> None:
    rng = np.random.default_rng(3)
    kinds = KINDS if kind == "mixed" else [kind]
    batch = batch_of([group_rewards(each, n, rng) for each in kinds for n in SIZES], torch.float32, rng)
    ours, theirs = both(rule, batch)
    assert theirs.any() != kind.startswith("flat")
    # The mean of rewards of size 1 rounds by an ulp or two, 2e-7; a std of 1/3 multiplies that by 3.
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize(("offset", "spread"), [(0, 1), (0.1, 0), (1000.1, 0), (1000, 1), (1, 1e-3)])
def test_the_rules_are_the_same_beneath_the_rounding(rule: Rule, offset: float, spread: float) -> None:
    rng = np.random.default_rng(5)
    groups = [offset + spread * group_rewards(kind, n, rng) for kind in KINDS for n in SIZES]
    batch = batch_of(groups, torch.float64, rng)
    ours, theirs = both(rule, batch)
    bound = torch.zeros(len(batch.uid), dtype=torch.float64)
    for name in np.unique(batch.uid.astype(str)):
        rows = torch.from_numpy(batch.uid == name)
        rewards = batch.scores[rows]
        n, divisor = len(rewards), float(rewards.std()) + 1e-6 if rule.by_std else 1.0
        if rule.ours == "rloo":
            divisor = (n - 1) / n
        # A reward less a mean of n is off by (n + 2) u max|R|, and so is the std; |A| is at most sqrt(n).
        u = torch.finfo(torch.float64).eps / 2
        bound[rows] = (1 + n**0.5) * (n + 2) * u * float(rewards.abs().max()) / divisor
    assert bool((theirs - ours).abs().le(bound[:, None]).all())


@pytest.mark.parametrize("reward", [0.1, 0.7, 1000.1])
def test_flat_groups_are_not_quite_flat_in_verl(reward: float) -> None:
    """A float32 mean that rounds leaves ulps of the reward, which the epsilon divides; ours is exactly 0.

    Seen with verl 0.9.1: eight rewards of 0.1 get -0.0074 each, of 0.7 0.056, of 1000.1 -0.92.
    """
    groups = [np.full(n, reward) for n in SIZES]
    ours, theirs = both(Rule("grpo", "grpo"), batch_of(groups, torch.float32, np.random.default_rng(0)))
    assert not ours.any()
    assert float(theirs.abs().max()) > 1e-3


@pytest.mark.parametrize("rule", [*RULES, *VECTORISED], ids=str)
def test_a_group_of_one(rule: Rule) -> None:
    """verl trains on the raw reward, except rloo_vectorized (0) and grpo_passk (an error, as ours)."""
    batch = Batch(torch.tensor([[0.5]]), torch.ones(1, 1), np.array(["a"], dtype=object))
    with pytest.raises(ValueError, match="at least 2"):
        ml.advantages(batch.scores, 1, estimator=rule.ours, group_ids=batch.uid)
    if rule.verl == "grpo_passk":
        with pytest.raises(ValueError, match="at least 2 samples"):
            rule.advantages(*batch)
    else:
        expected = 0.0 if rule.verl == "rloo_vectorized" else 0.5
        assert rule.advantages(*batch).item() == pytest.approx(expected, rel=2e-6)


def test_rewards_outside_the_response_mask_count() -> None:
    """verl sums all tokens of a row, masked or not, and masks the advantages alone."""
    token_rewards = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    mask = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    ours, theirs = both(Rule("rloo", "rloo"), Batch(token_rewards, mask, np.array(["a", "a"], dtype=object)))
    assert theirs.tolist() == ours.tolist() == [[1.0, 0.0], [-1.0, 0.0]]


def test_grpo_vectorized_ignores_the_configs_std_setting() -> None:
    """verl's trainer gives this function the config alone, so norm_adv_by_std_in_grpo=False does nothing."""
    rng = np.random.default_rng(7)
    batch = batch_of([group_rewards("continuous", 8, rng)], torch.float32, rng)
    on, off = (Rule("grpo_vectorized", "grpo", by_std=by_std).advantages(*batch) for by_std in (True, False))
    assert torch.equal(on, off)
