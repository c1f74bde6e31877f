"""OpenRLHF's own experience maker and experiences, with the catalogue in the place of its estimators."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ragged_batches import Batch, batches, check

import maxpo_lab as ml
from maxpo_lab.integrations.adapters.changed import FrameworkChangedError
from maxpo_lab.integrations.frameworks.loading import load

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("openrlhf") is None, reason="OpenRLHF is not here: make test-integrations"),
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)"),
]
MODULE = "openrlhf.trainer.ppo_utils.experience_maker"
NAME = "RemoteExperienceMaker"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """OpenRLHF's module, Ray, DeepSpeed and the models left out."""
    found = load(
        "openrlhf",
        MODULE,
        bare=("openrlhf.models", "openrlhf.trainer", "openrlhf.utils", "openrlhf.trainer.ppo_utils"),
        absent=("openrlhf.trainer.ray", "ray", "deepspeed", "flash_attn", "transformers", "vllm", "peft"),
    )
    theirs = getattr(found, NAME)
    monkeypatch.setattr(found, NAME, getattr(theirs, "replaced", theirs))
    return found


def installed(*arguments: Any, **settings: Any) -> Any:
    from maxpo_lab.integrations.adapters import openrlhf

    return openrlhf.install(*arguments, **settings)


def maker(module: ModuleType, n: int, *, estimator: str = "dr_grpo", kl: float = 0.0, **algo: Any) -> Any:
    """The maker as the trainer makes it, at the settings of its command line."""
    advantage = SimpleNamespace(estimator=estimator, gamma=1.0, lambd=1.0, no_std_norm=False)
    penalties = dict.fromkeys(
        ("overlong_buffer_len", "overlong_penalty_factor", "stop_properly_penalty_coef")
    )
    args = SimpleNamespace(
        algo=SimpleNamespace(advantage=advantage, **algo),
        rollout=SimpleNamespace(n_samples_per_prompt=n, max_new_tokens=8),
        reward=SimpleNamespace(clip_range=(-10.0, 10.0), **penalties),
    )
    return getattr(module, NAME)(
        None, None, None, None, SimpleNamespace(value=kl), SimpleNamespace(args=args), None
    )


def experiences(
    rewards: Any, *, size: int = 3, shuffled: bool = False, prompts: Any = None, **info: Any
) -> list[Any]:
    """Micro-batches of ``size`` samples, of responses of 1 to 3 tokens; shuffled as by length."""
    import torch
    from openrlhf.trainer.ppo_utils.experience import Experience

    rows = np.arange(len(rewards))
    if shuffled:
        np.random.default_rng(len(rows)).shuffle(rows)
    made = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        lengths = torch.tensor(1 + part % 3)
        mask = torch.arange(3) < lengths[:, None]
        made.append(
            Experience(
                rewards=torch.tensor([rewards[row] for row in part], dtype=torch.float32),
                index=part.tolist(),
                prompts=[] if prompts is None else [prompts[row] for row in part],
                kl=torch.zeros(len(part), 3),
                action_mask=mask,
                response_length=lengths,
                info={
                    name: torch.tensor([float(value[row]) for row in part]) for name, value in info.items()
                },
            )
        )
    return made


def by_row(found: list[Any]) -> np.ndarray:
    """By sample, the advantage of each of its tokens, which is one; 0 on the others."""
    each = np.empty(sum(len(one.index) for one in found))
    for one in found:
        for row, advantage, inside in zip(one.index, one.advantages, one.action_mask, strict=True):
            assert (advantage[inside] == advantage[0]).all()
            each[row] = float(advantage[0])
    return each


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_maker_gives_the_catalogues_advantages(module: ModuleType, shuffled: bool) -> None:
    def answer(batch: Batch) -> np.ndarray:
        rule = installed(batch.estimator, batch.k)
        n = int(np.bincount(batch.ids)[0])
        given = experiences(batch.rewards, shuffled=shuffled)
        found = maker(module, n).compute_advantages_and_returns(given)
        for one in found:
            assert one.kl is None
            assert (one.returns == one.advantages).all()
            unscored = one.info["maxpo/advantages/unscored"]
            assert unscored.shape == one.rewards.shape
            np.testing.assert_allclose(unscored, rule.metrics["advantages/unscored"], rtol=1e-6)
        return by_row(found)

    check(answer, batches(equal=True))


def test_there_is_no_clip(module: ModuleType) -> None:
    installed("maxpo", 4)
    rewards = [4.0] + [0.0] * 7
    due = ml.advantages(rewards, 4)
    assert due.max() > 15
    np.testing.assert_allclose(
        by_row(maker(module, 8).compute_advantages_and_returns(experiences(rewards))), due, rtol=2e-7
    )


def test_its_own_dr_grpo_hands_advantages_through_up_to_its_clip(module: ModuleType) -> None:
    """The way by rewards, and what its clip at 10 makes of MaxPO's 16."""
    from maxpo_lab.integrations.adapters.by_rewards import as_rewards
    from maxpo_lab.integrations.adapters.training_rule import TrainingRule

    rule = TrainingRule("maxpo", 4)
    for scale, clipped in ((1.0, False), (4.0, True)):
        rewards = [scale] + [0.0] * 7
        given = as_rewards(rule, rewards, [0] * 8, clip=None)
        found = by_row(maker(module, 8).compute_advantages_and_returns(experiences(given)))
        assert bool(found.max() == 10) is clipped
        if clipped:
            with pytest.raises(ValueError, match="an advantage of 16, which would be clipped at 10"):
                as_rewards(rule, rewards, [0] * 8, clip=10)
        else:
            np.testing.assert_allclose(found, given, rtol=2e-7)


def test_the_penalty_is_on_each_token(module: ModuleType) -> None:
    import torch

    installed("rloo")
    given = experiences([1.0, 0.0], size=2)
    given[0].kl = torch.tensor([[0.5, 0.0, 0.0], [1.0, 2.0, 0.0]])
    (found,) = maker(module, 2, kl=0.1).compute_advantages_and_returns(given)
    np.testing.assert_allclose(found.advantages[0, :1], [1 - 0.05], rtol=1e-6)
    np.testing.assert_allclose(found.advantages[1, :2], [-1 - 0.3, -1 - 0.2], rtol=1e-6)


def test_length_penalties_come_before(module: ModuleType) -> None:
    installed("rloo")
    made = maker(module, 2)
    made.strategy.args.reward.overlong_buffer_len = 7.0
    made.strategy.args.reward.overlong_penalty_factor = 1.0
    (found,) = made.compute_advantages_and_returns(experiences([1.0, 1.0], size=2))
    np.testing.assert_allclose(
        by_row([found]), ml.advantages([1.0, 1 - 1 / 7], 1, estimator="rloo"), rtol=1e-5
    )


def test_several_rewards(module: ModuleType) -> None:
    rng = np.random.default_rng(0)
    rewards = np.round(rng.random((8, 2)), 2)
    rewards[2, 1] = np.nan
    installed("per-reward:maxpo", 2, reward_keys=["right", "form"], reward_weights=[1.0, 0.5])
    given = experiences(np.zeros(8), shuffled=True, right=rewards[:, 0], form=rewards[:, 1])
    found = by_row(maker(module, 4).compute_advantages_and_returns(given))
    due = ml.advantages(
        rewards.astype(np.float32).reshape(2, 4, 2).astype(float),
        2,
        estimator="per-reward:maxpo",
        nan_policy="omit",
        reward_weights=[1.0, 0.5],
    )
    np.testing.assert_allclose(found, due.reshape(-1), rtol=2e-7)
    with pytest.raises(ValueError, match="returned no 'form' in extra_logs"):
        maker(module, 4).compute_advantages_and_returns(experiences(np.zeros(4), right=np.zeros(4)))


def test_a_prompt_is_known_again_by_its_text(module: ModuleType, tmp_path: Any) -> None:
    memory = ml.Replay(2)
    rng = np.random.default_rng(1)
    for step in range(4):
        if step in (0, 2):  # a second process goes on
            rule = installed("replay", 2, memory_folder=str(tmp_path))
        prompts, rewards = ["always", f"q{step % 2}"], rng.integers(0, 2, (2, 4)).astype(float)
        given = experiences(rewards.reshape(-1), shuffled=True, prompts=np.repeat(prompts, 4).tolist())
        found = by_row(maker(module, 4).compute_advantages_and_returns(given))
        due = memory.advantages(rewards, prompts)
        np.testing.assert_allclose(found, due.reshape(-1), rtol=2e-7, atol=1e-37)
    assert rule.metrics["replay/known"] == 1
    with pytest.raises(ValueError, match="drops groups that replay has advantages on"):
        maker(module, 4, dynamic_filtering_enable=True).compute_advantages_and_returns(given)


@pytest.mark.parametrize("estimator", ["group_norm", "reinforce_baseline", "gae"])
def test_an_estimator_that_would_change_nothing_is_refused(module: ModuleType, estimator: str) -> None:
    installed("maxpo", 2)
    with pytest.raises(ValueError, match=f"estimator {estimator}: maxpo takes its place"):
        maker(module, 4, estimator=estimator).compute_advantages_and_returns(experiences([1.0, 0, 0, 0]))


def test_the_trainer_that_holds_it_gets_it(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = ModuleType("openrlhf.trainer.ppo_trainer")
    trainer.RemoteExperienceMaker = theirs = getattr(module, NAME)
    monkeypatch.setitem(sys.modules, trainer.__name__, trainer)
    for estimator in ("maxpo", "rloo"):
        installed(estimator, 2)
        assert trainer.RemoteExperienceMaker is getattr(module, NAME)
        assert issubclass(trainer.RemoteExperienceMaker, theirs)
        assert trainer.RemoteExperienceMaker.rule.rule.name == estimator
    assert trainer.RemoteExperienceMaker.mro().count(theirs) == 1


def test_the_setup_hook_installs_in_another_process(module: ModuleType) -> None:
    import cloudpickle

    from maxpo_lab.integrations.adapters import openrlhf

    hook = openrlhf.setup_hook("maxpo", k=4)
    assert hook.__name__  # Ray exports it by its name
    cloudpickle.loads(cloudpickle.dumps(hook))()
    assert getattr(module, NAME).rule.k == 4
    with pytest.raises(ValueError, match="needs the K of max@K"):
        openrlhf.setup_hook("maxpo")


def test_another_openrlhf_is_refused(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "compute_reward", lambda r, kl, mask: r)
    with pytest.raises(
        FrameworkChangedError, match=r"OpenRLHF 0.11.2: .*compute_reward takes \(r, kl, mask\), not"
    ):
        installed("maxpo", 2)
