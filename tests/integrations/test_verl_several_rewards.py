"""Rules of several rewards in verl: through its trainer's own call, next to its own gdpo and opo."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

import maxpo_lab as ml

pytestmark = pytest.mark.integration
core_algos = pytest.importorskip(
    "verl.trainer.ppo.core_algos", reason="verl is in .venv-verl alone: make test-integrations"
)
import torch  # noqa: E402 - torch comes with verl
from verl.trainer.config import AlgoConfig  # noqa: E402

from maxpo_lab.integrations import verl as ours  # noqa: E402

P, N, T = 3, 4, 3
RNG = np.random.default_rng(26)
KEYS = {"right": RNG.integers(0, 2, P * N).astype(float), "form": RNG.normal(size=P * N)}
UID = np.repeat(["a", "b", "c"], N).astype(object)
WEIGHTS = [1.0, 0.5]
REWARDS = np.stack([KEYS["right"], KEYS["form"]], axis=-1).reshape(P, N, 2)


@pytest.fixture(autouse=True)
def verls_registry() -> Iterator[None]:
    """verl's registry as it was, afterwards."""
    before = dict(core_algos.ADV_ESTIMATOR_REGISTRY)
    yield
    core_algos.ADV_ESTIMATOR_REGISTRY.clear()
    core_algos.ADV_ESTIMATOR_REGISTRY.update(before)


def called(tokens: int = T, weights: list[float] | None = WEIGHTS) -> torch.Tensor:
    """As verl's trainer calls the estimator named gdpo; all responses have so many tokens."""
    mask = torch.ones(P * N, tokens)
    config = AlgoConfig(adv_estimator="gdpo", gdpo_reward_keys=[*KEYS], gdpo_reward_weights=weights)
    advantages, _ = core_algos.get_adv_estimator_fn("gdpo")(
        token_level_rewards=torch.zeros(P * N, tokens),
        response_mask=mask,
        config=config,
        index=UID,
        non_tensor_batch=KEYS,
        batch={"prompts": torch.zeros(P * N, 2), "attention_mask": torch.ones(P * N, 2 + tokens).long()},
    )
    assert torch.equal(advantages[:, 0], advantages[:, -1])
    return advantages[:, 0].reshape(P, N)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_verls_gdpo_is_in_the_catalogue(weights: list[float] | None) -> None:
    spec = f"whitened:scale=std1,mean=1,tokens={T}:per-reward:grpo"
    wanted = ml.get_estimator(spec).weighted(weights)(REWARDS, 1)
    torch.testing.assert_close(called(weights=weights).double(), torch.tensor(wanted), rtol=0, atol=2e-5)
    one = ml.get_estimator("gdpo").weighted(weights)(REWARDS, 1)
    torch.testing.assert_close(called(1, weights).double(), torch.tensor(one), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["per-reward:rloo", "summed:grpo", "gdpo"])
def test_a_rule_of_several_rewards_in_the_place_of_gdpo(name: str) -> None:
    assert ours.in_place_of_gdpo(name) == "gdpo"
    wanted = ml.get_estimator(name).weighted(WEIGHTS)(REWARDS, 1)
    torch.testing.assert_close(called().double(), torch.tensor(wanted), rtol=0, atol=1e-5)


def test_verls_opo_is_in_the_catalogue_and_ours_gets_its_lengths() -> None:
    lengths = torch.tensor(RNG.integers(1, T + 1, P * N))
    mask = (torch.arange(T) < lengths[:, None]).float()
    tokens = torch.zeros(P * N, T)
    tokens[torch.arange(P * N), lengths - 1] = torch.tensor(KEYS["form"]).float()
    theirs, _ = core_algos.get_adv_estimator_fn("opo")(
        token_level_rewards=tokens.clone(), response_mask=mask, index=UID, config=AlgoConfig()
    )
    mine, _ = ours.advantages_for_verl("opo", tokens, mask, index=UID, config=SimpleNamespace(k=1))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"in_place_of_gdpo\('per-reward:maxpo'\)"):
        ours.register("per-reward:maxpo")
    with pytest.raises(ValueError, match="takes one reward"):
        ours.in_place_of_gdpo("maxpo")
    ours.in_place_of_gdpo("per-reward:maxpo")
    with pytest.raises(ValueError, match="none is set"):
        core_algos.get_adv_estimator_fn("gdpo")(torch.zeros(4, 1), torch.ones(4, 1), config=AlgoConfig())
    with pytest.raises(ValueError, match=r"needs the K of max@K"):
        called()
