"""``MaxPOTrainer`` in TRL's real training loop: what it trains on, logs and refuses.

Run as a script it is one of several processes: ``test_a_group_split_over_two_processes`` starts them.
"""

from __future__ import annotations

import functools
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ragged_batches

import maxpo_lab as ml

# Warnings of this project stay errors; TRL gives some through how it calls what it depends on.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)")]
trl = pytest.importorskip("trl", reason="TRL is not installed: make test-integrations")
import torch  # noqa: E402 - it comes with TRL
from tiny_trl import (  # noqa: E402
    GROUPS,
    N,
    Recording,
    Rewards,
    dataset,
    letter_tokenizer,
    prompts,
    tiny_model,
    tiny_trainer,
)

from maxpo_lab.integrations import trl as ours  # noqa: E402
from maxpo_lab.integrations.trl import KSteps, MaxPOTrainer, TRLChangedError  # noqa: E402

EVERY_STEP = {"logging_strategy": "steps", "logging_steps": 1}
WANTED = 5
# Advantages are computed in float64 from the gathered float32 rewards, then rounded to float32 once.
ROUNDED = {"rtol": 2**-24, "atol": 0}


class Recorder(Recording, MaxPOTrainer):
    pass


class OfTRL(Recording, trl.GRPOTrainer):
    pass


def wanted(completion_ids: list[list[int]], **others: Any) -> Rewards:
    return [float(ids[0] == WANTED) for ids in completion_ids]


def graded(completion_ids: list[list[int]], **others: Any) -> Rewards:
    return [len(set(ids)) / 7 for ids in completion_ids]


def patchy(completion_ids: list[list[int]], **others: Any) -> Rewards:
    """Nothing of group 0, one rollout of group 1, all but two of group 2."""
    single: Rewards = [None, 1.0]
    rest: Rewards = [None, None]
    return [None] * N + single + [None] * (N - 2) + rest + graded(completion_ids[2 * N + 2 :])


def trainer_of(folder: Path, *rules: Callable[..., Rewards], **settings: Any) -> Any:
    """A trainer by ``MaxPOTrainer``'s own arguments and GRPOConfig's."""
    extra = {name: settings.pop(name) for name in ("estimator", "k", "small_groups") if name in settings}
    settings = {"scale_rewards": "none", "max_steps": 1} | settings
    return tiny_trainer(Recorder, folder, *rules, extra=extra, **settings)


def expected(rewards: torch.Tensor, k: int, *, estimator: str = "maxpo", n: int = N) -> torch.Tensor:
    """The rule on one column of gathered rewards, float32."""
    groups = rewards.double().reshape(-1, n)
    found = ml.advantages(groups, k, estimator=estimator, nan_policy="omit", small_groups="zero")
    return found.reshape(-1).float()


def same(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, **ROUNDED)


def logged(trainer: Any, name: str) -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def test_ragged_batches_with_unscored_rollouts(tmp_path: Path) -> None:
    """As every adapter is checked, three groups of eight at a time: 200 generations of TRL's loop."""
    rng = np.random.default_rng(24)
    given, ks = [], rng.integers(1, 6, ragged_batches.COUNT)
    for step in range(ragged_batches.COUNT):
        rewards = (rng.random(N * GROUPS) < rng.random()) * (rng.random(N * GROUPS) if step % 2 else 1.0)
        rewards[rng.random(N * GROUPS) < (0.0, 0.1, 0.5)[step % 3]] = np.nan
        given.append(rewards.astype(np.float32).astype(np.float64))

    def scored(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return [None if np.isnan(each) else float(each) for each in given[len(trainer.advantages)]]

    trainer = trainer_of(
        tmp_path,
        scored,
        k=KSteps(dict(enumerate(ks.tolist()))),
        max_steps=ragged_batches.COUNT,
        max_completion_length=1,
    )
    trainer.train()
    found = iter(trainer.advantages)
    made = (
        ragged_batches.Batch("maxpo", int(k), rewards, np.repeat(np.arange(GROUPS), N))
        for k, rewards in zip(ks, given, strict=True)
    )
    ragged_batches.check(lambda _: next(found), made)


def exact_pass_at_k(model: Any, k: int) -> float:
    """The mean over the prompts, of the probabilities that the model gives to the first token."""
    tokens = letter_tokenizer()(prompts(), return_tensors="pt")["input_ids"]
    with torch.no_grad():
        p = model(input_ids=tokens).logits[:, -1].double().softmax(-1)[:, WANTED]
    return float((1 - (1 - p) ** k).mean())


def test_it_raises_pass_at_k_on_the_advantages_of_the_rule(tmp_path: Path) -> None:
    """Two micro-batches a step, so that a group is split between backward passes."""
    trainer = trainer_of(
        tmp_path,
        wanted,
        k=4,
        max_steps=30,
        learning_rate=5e-3,
        per_device_train_batch_size=N * GROUPS // 2,
        gradient_accumulation_steps=2,
        **EVERY_STEP,
    )
    start = exact_pass_at_k(trainer.model, 4)
    trainer.train()
    assert len(trainer.rewards) == len(logged(trainer, "loss")) == 30
    assert all(torch.tensor(logged(trainer, name)).isfinite().all() for name in ("loss", "grad_norm"))
    for step, (rewards, used) in enumerate(zip(trainer.rewards, trainer.advantages, strict=True)):
        same(used, expected(rewards[:, 0], 4))
        halves = torch.cat(trainer.trained_on[2 * step : 2 * step + 2])
        same(halves.sort().values, used.sort().values)  # shuffled
    assert list(trainer._logs["advantages"]) == trainer.advantages[-1].tolist()
    assert list(trainer._logs["rewards"]["wanted"]) == trainer.rewards[-1][:, 0].tolist()
    end = exact_pass_at_k(trainer.model.eval(), 4)
    assert start < 0.25
    assert end > 0.9


def test_reward_functions_are_summed_by_weight_over_those_that_scored(tmp_path: Path) -> None:
    def second(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return [None if i % 3 else float(len(ids)) for i, ids in enumerate(completion_ids)]

    trainer = trainer_of(tmp_path, patchy, second, k=2, reward_weights=[1.0, 0.1])
    trainer.train()
    scores, weights = trainer.rewards[0].double(), torch.tensor([1.0, 0.1]).double()
    by_hand = torch.tensor([sum((row * weights)[~row.isnan()].tolist()) for row in scores])
    by_hand[scores.isnan().all(1)] = float("nan")
    assert int(by_hand.isnan().sum()) > N
    assert not by_hand.isnan().all()
    found = ml.advantages(by_hand.double().reshape(-1, N), 2, nan_policy="omit", small_groups="zero")
    torch.testing.assert_close(trainer.advantages[0], found.reshape(-1).float(), rtol=1e-6, atol=1e-6)
    assert trainer.advantages[0].any()


def test_groups_that_unscored_rollouts_leave_too_small(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, patchy, k=2, **EVERY_STEP)
    trainer.train()
    groups = trainer.advantages[0].reshape(GROUPS, N)
    assert not groups[:2].any()
    same(groups[2, 2:], expected(trainer.rewards[0][2 * N + 2 :, 0], 2, n=N - 2))
    assert not groups[2, :2].any()
    assert groups[2].any()
    assert logged(trainer, "advantages/undefined_groups") == [2 / 3]

    trainer = trainer_of(tmp_path, patchy, k=2, small_groups="raise")
    with pytest.raises(ValueError, match=r"group 1 has 1 scored rollouts: maxpo .*small_groups='zero'"):
        trainer.train()


def test_nothing_scored_at_all_moves_nothing(tmp_path: Path) -> None:
    def unable(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return [None] * len(completion_ids)

    trainer = trainer_of(tmp_path, unable, k=2, **EVERY_STEP)
    trainer.train()
    assert not trainer.advantages[0].any()
    assert logged(trainer, "advantages/undefined_groups") == [1.0]


@pytest.mark.parametrize(("n", "defined"), [(1, False), (2, False), (4, True)])
def test_evaluation_has_groups_of_its_own_size(n: int, defined: bool, tmp_path: Path) -> None:
    """And at n = 4 more rows than the completions table keeps; a schedule may give k beyond n there."""
    trainer = trainer_of(
        tmp_path, graded, k=3, num_generations_eval=n, small_groups="raise", per_device_eval_batch_size=12 * n
    )
    metrics = trainer.evaluate()
    (rewards,), (used,) = trainer.rewards, trainer.advantages
    assert len(used) == 12 * n
    same(used, expected(rewards[:, 0], 3, n=n))
    assert bool(used.any()) == defined
    assert metrics["eval_advantages/undefined_groups"] == (0.0 if defined else 1.0)
    assert metrics["eval_k"] == 3
    table = trainer._logs["advantages"]
    assert list(table) == used[-len(table) :].tolist()
    assert len(table) == min(12 * n, N * GROUPS)


def test_evaluation_between_training_steps(tmp_path: Path) -> None:
    """Each is logged under its own names, and the table keeps the training rows that an evaluation leaves."""
    trainer = trainer_of(
        tmp_path,
        graded,
        k=4,
        max_steps=2,
        num_generations_eval=1,
        eval_strategy="steps",
        eval_steps=1,
        per_device_eval_batch_size=12,
        **EVERY_STEP,
    )
    trainer.train()
    sizes = [len(used) for used in trainer.advantages]
    assert sizes == [N * GROUPS, 12] * 2
    assert logged(trainer, "advantages/undefined_groups") == [0.0, 0.0]
    assert logged(trainer, "eval_advantages/undefined_groups") == [1.0, 1.0]
    rows = [value for used in trainer.advantages for value in used.tolist()]
    assert list(trainer._logs["advantages"]) == rows[-N * GROUPS :]
    assert any(trainer._logs["advantages"])


def test_the_metrics_are_of_the_advantages_used(tmp_path: Path) -> None:
    steps = [graded, patchy, wanted]

    def rewarded(completion_ids: list[list[int]], trainer_state: Any, **others: Any) -> Rewards:
        return steps[trainer_state.global_step](completion_ids)

    trainer = trainer_of(tmp_path, rewarded, estimator="pkpo-loo1", k=2, max_steps=3, **EVERY_STEP)
    trainer.train()
    used = [used.double() for used in trainer.advantages]
    for name, by_hand in {
        "advantages/mean": [sum(a.tolist()) / len(a) for a in used],
        "advantages/rms": [(sum(x * x for x in a.tolist()) / len(a)) ** 0.5 for a in used],
        "advantages/dead_groups": [sum(not any(g) for g in a.reshape(-1, N).tolist()) / GROUPS for a in used],
        "advantages/undefined_groups": [0.0, 2 / 3, 0.0],
        "k": [2.0] * 3,
    }.items():
        assert logged(trainer, name) == pytest.approx(by_hand, rel=1e-12), name
    assert logged(trainer, "advantages/mean")[0] > 0.01, "this rule is not centered"
    assert logged(trainer, "advantages/dead_groups")[2] > 0


def test_a_schedule_of_k(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, graded, k=KSteps({2: 1, 0: 4}), max_steps=4, **EVERY_STEP)
    trainer.train()
    assert logged(trainer, "k") == [4, 4, 1, 1]
    for k, rewards, used in zip([4, 4, 1, 1], trainer.rewards, trainer.advantages, strict=True):
        same(used, expected(rewards[:, 0], k))
        assert float((used - expected(rewards[:, 0], 5 - k)).abs().max()) > 0.01


def test_a_schedule_of_ones_own_knows_the_end_and_is_checked_at_each_step(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, graded, k=lambda state: state.max_steps - state.global_step, max_steps=3)
    trainer.train()
    for k, rewards, used in zip([3, 2, 1], trainer.rewards, trainer.advantages, strict=True):
        same(used, expected(rewards[:, 0], k))

    trainer = trainer_of(tmp_path, graded, k=lambda state: 7 + state.global_step, max_steps=3)
    with pytest.raises(
        ValueError, match=r"step 1: maxpo at num_generations=8 and k=8 is undefined: .*use pkpo-loo1"
    ):
        trainer.train()
    trainer = trainer_of(tmp_path, graded, k=lambda state: 8 / 2)
    with pytest.raises(TypeError, match=r"step 0: k=4.0 is a float"):
        trainer.train()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"scale_rewards": "group"}, ValueError, "scale_rewards='group': .*scale_rewards='none'"),
        ({"scale_rewards": True}, ValueError, "scale_rewards='group'"),
        ({"scale_rewards": "batch"}, ValueError, "scale_rewards='batch'"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, ValueError, "='sum_then_normalize'"),
        ({"k": 8}, ValueError, "maxpo at num_generations=8 and k=8 is undefined: .*use pkpo-loo1"),
        ({"k": 9}, ValueError, "k=9"),
        ({"k": KSteps({0: 1, 1000: 8})}, ValueError, "num_generations=8 and k=8"),
        ({"estimator": "pkpo-loo1", "k": 1}, ValueError, "pkpo-loo1 at num_generations=8 and k=1"),
        ({"estimator": "nemo-grpo", "num_generations": 2}, ValueError, "nemo-grpo at num_generations=2"),
        ({"k": 0}, ValueError, "k >= 1"),
        ({"k": 2.0}, TypeError, "must be an int"),
        ({"k": None}, TypeError, "must be an int"),
        ({"estimator": "maxp"}, ValueError, "did you mean maxpo"),
        ({"estimator": max}, TypeError, "must be a name"),
        ({"small_groups": "omit"}, ValueError, "'zero' or 'raise'"),
    ],
)
def test_what_could_not_be_honoured_is_refused_at_once(
    settings: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        trainer_of(tmp_path, graded, **{"k": 2, **settings})


def test_k_has_no_default(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'k'"):
        trainer_of(tmp_path, graded)


@pytest.mark.parametrize(
    ("rule", "estimator", "message"),
    [
        (lambda **_: [0.5] * N * GROUPS, "maxrl", "maxrl is defined for 0/1 rewards"),
        (lambda **_: [float("inf")] * N * GROUPS, "maxpo", "must be finite"),
    ],
)
def test_rewards_that_the_rule_is_not_for(rule: Any, estimator: str, message: str, tmp_path: Path) -> None:
    rule.__name__ = "rule"
    trainer = trainer_of(tmp_path, rule, k=2, estimator=estimator)
    with pytest.raises(ValueError, match=message):
        trainer.train()


def test_trls_own_rule_gives_trls_own_training(tmp_path: Path) -> None:
    theirs = tiny_trainer(OfTRL, tmp_path, graded, max_steps=3, scale_rewards="group")
    theirs.train()
    trainer = trainer_of(tmp_path, graded, k=1, estimator="grpo:eps=1e-4,ddof=1", max_steps=3)
    trainer.train()
    for step in range(3):
        same(trainer.rewards[step], theirs.rewards[step])
        # As in test_trl.py: an ulp of the mean over a std of 0.1.
        torch.testing.assert_close(trainer.advantages[step], theirs.advantages[step], rtol=0, atol=1e-6)
    assert trainer.advantages[0].any()


def test_without_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As TRL makes them, but for the scale; one reward function need not be in a list."""
    on_cpu = functools.partial(trl.GRPOConfig, use_cpu=True, bf16=False)
    monkeypatch.setattr(ours, "GRPOConfig", on_cpu)
    monkeypatch.setattr("trl.trainer.grpo_trainer.GRPOConfig", on_cpu)
    monkeypatch.chdir(tmp_path)
    model = tiny_model()
    model.config._name_or_path = "somebody/tiny"
    data, tokenizer = dataset(), letter_tokenizer()
    trainer = MaxPOTrainer(model, graded, train_dataset=data, processing_class=tokenizer, k=2)
    assert trainer.args.scale_rewards == "none"
    assert Path(trainer.args.output_dir).name == "tiny-GRPO"
    default = trl.GRPOTrainer(model, graded, train_dataset=data, processing_class=tokenizer).args
    differing = {key for key, value in default.to_dict().items() if value != trainer.args.to_dict()[key]}
    assert differing == {"scale_rewards"}


class Gradients(Recorder):
    """Also the gradient of the loss, and of the rollouts' mean weight * advantage * log-probability."""

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        loss = super()._compute_loss(model, inputs)
        weights = list(model.parameters())
        mask = inputs["completion_mask"]
        self.lengths = mask.sum(1)
        tokens = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        logits = model(input_ids=tokens, attention_mask=torch.cat([inputs["prompt_mask"], mask], 1)).logits
        width = mask.shape[1]
        each = logits[:, -width - 1 : -1].log_softmax(-1).gather(-1, tokens[:, -width:, None])[..., 0]
        terms = inputs["advantages"] * (each * mask).sum(1) * self.weight(self.lengths)
        self.found, self.wanted = (
            torch.cat([g.flatten() for g in torch.autograd.grad(value, weights, retain_graph=True)])
            for value in (-loss, terms.mean())
        )
        return loss


@pytest.mark.parametrize(
    ("settings", "weight"),
    [
        ({"loss_type": "luspo"}, lambda lengths: 1),
        ({"loss_type": "luspo", "importance_sampling_level": "sequence"}, lambda lengths: 1),
        ({"loss_type": "dr_grpo"}, lambda lengths: 1 / 8),
        ({"loss_type": "dapo"}, lambda lengths: 1 / lengths.double().mean()),
        ({}, lambda lengths: 1 / lengths.double().mean()),
        ({"loss_type": "bnpo"}, lambda lengths: 1 / lengths.double().mean()),
        ({"loss_type": "grpo"}, lambda lengths: 1 / lengths),
    ],
)
def test_what_trls_losses_make_of_the_mean_convention(
    settings: dict[str, Any], weight: Callable[[torch.Tensor], Any], tmp_path: Path
) -> None:
    """As ``MaxPOTrainer``'s docstring says; max_completion_length is 8, and some completions end earlier."""
    trainer = tiny_trainer(
        Gradients, tmp_path, graded, extra={"k": 2}, max_steps=1, scale_rewards="none", **settings
    )
    trainer.weight = weight
    trainer.train()
    assert len(trainer.lengths.unique()) > 2
    distance = (trainer.found - trainer.wanted).norm() / trainer.wanted.norm()
    assert float(distance) < 1e-5, "some 100 float32 roundings of terms that cancel"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module's, word for word, with the tiny model where its name points to, and its tokenizer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trl, "GRPOConfig", functools.partial(trl.GRPOConfig, use_cpu=True, bf16=False))
    tiny_model().save_pretrained("Qwen/Qwen3-0.6B")
    with_tokenizer = functools.partial(MaxPOTrainer, processing_class=letter_tokenizer())
    monkeypatch.setattr(ours, "MaxPOTrainer", with_tokenizer)
    names: dict[str, Any] = {}
    exec(inspect.cleandoc((ours.__doc__ or "").partition("::\n")[2]), names)
    assert names["trainer"].state.global_step == names["trainer"].state.max_steps > 0


def test_trl_is_imported_for_its_trainer_alone() -> None:
    code = "import sys, maxpo_lab, maxpo_lab.integrations; assert 'trl' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys; sys.modules['trl'] = None; import maxpo_lab.integrations.trl"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: maxpo_lab.integrations.trl needs TRL: pip install 'maxpo-lab[trl]'" in done.stderr


SAYS = rf"^TRL {trl.__version__}: .*{{}}.*tested with TRL 1.16: pip install 'trl==1.16"


def patched(monkeypatch: pytest.MonkeyPatch, method: str, change: Callable[..., Any]) -> None:
    """Replace a method of GRPOTrainer by ``change(original, self, *arguments)``, of the same signature."""
    original = getattr(trl.GRPOTrainer, method)

    @functools.wraps(original)
    def changed(self: Any, *arguments: Any, **named: Any) -> Any:
        return change(original, self, *arguments, **named)

    monkeypatch.setattr(trl.GRPOTrainer, method, changed)


@pytest.mark.parametrize("method", ["_calculate_rewards", "_generate_and_score_completions"])
def test_a_method_that_is_gone_or_takes_something_else(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trl.GRPOTrainer, method, lambda self, inputs, more: None)
    with pytest.raises(TRLChangedError, match=SAYS.format(rf"{method} takes \(self, inputs, more\), not")):
        trainer_of(tmp_path, graded, k=2)
    monkeypatch.delattr(trl.GRPOTrainer, method)
    with pytest.raises(TRLChangedError, match=SAYS.format(f"no method {method}")):
        trainer_of(tmp_path, graded, k=2)


@pytest.mark.parametrize(
    "attribute", ["num_generations", "num_generations_eval", "reward_weights", "_metrics", "_logs"]
)
def test_an_attribute_that_is_gone(attribute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(original: Any, self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        delattr(self, attribute)

    patched(monkeypatch, "__init__", change)
    with pytest.raises(TRLChangedError, match=SAYS.format(f"no attribute '{attribute}'")):
        trainer_of(tmp_path, graded, k=2)


def test_a_setting_or_a_table_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = SimpleNamespace(num_generations=8, scale_rewards="none")
    with pytest.raises(TRLChangedError, match=SAYS.format("no setting 'multi_objective_aggregation'")):
        MaxPOTrainer(tiny_model(), graded, args, k=2)

    def change(original: Any, self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        del self._logs["advantages"]

    patched(monkeypatch, "__init__", change)
    with pytest.raises(TRLChangedError, match=SAYS.format("_logs has no 'advantages'")):
        trainer_of(tmp_path, graded, k=2)


def reordered(original: Any, self: Any, inputs: Any) -> Any:
    seen = self._calculate_rewards
    self._calculate_rewards = lambda *arguments: seen(*arguments).flip(0)
    return original(self, inputs)


def weighted(original: Any, self: Any, inputs: Any) -> Any:
    kept, self.reward_weights = self.reward_weights, self.reward_weights * 1.001
    outputs = original(self, inputs)
    self.reward_weights = kept
    return outputs


def leaving_one_out(original: Any, self: Any, inputs: Any) -> Any:
    outputs = original(self, inputs)
    outputs["advantages"] *= N / (N - 1)
    return outputs


def per_token(original: Any, self: Any, inputs: Any) -> Any:
    outputs = original(self, inputs)
    outputs["advantages"] = outputs["advantages"][:, None].expand(-1, 8)
    return outputs


def unlogged(original: Any, self: Any, inputs: Any) -> Any:
    outputs = original(self, inputs)
    self._logs["advantages"].rotate(1)
    return outputs


def half_of_them(original: Any, self: Any, inputs: Any) -> Any:
    outputs = original(self, inputs)
    self._gathered = self._gathered[: N // 2]
    return outputs


def uncalculated(original: Any, self: Any, inputs: Any) -> Any:
    if self.state.global_step == 1:
        self._calculate_rewards = functools.partial(trl.GRPOTrainer._calculate_rewards, self)
    return original(self, inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (reordered, r"advantages\[\d+\] is .*reward minus group mean is .*orders or weighs"),
        (weighted, "orders or weighs"),
        (leaving_one_out, "orders or weighs"),
        (per_token, r"advantages of shape \(24, 8\), expected \(24,\)"),
        (unlogged, r"logged advantages\[\d+\]"),
        (half_of_them, r"rewards of shape \(4, 1\), expected \(24, 1\)"),
        (uncalculated, "rewards of shape None"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_trl_that_makes_other_advantages(
    change: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(monkeypatch, "_generate_and_score_completions", change)
    trainer = trainer_of(tmp_path, graded, k=2, max_steps=2)
    with pytest.raises(TRLChangedError, match=SAYS.format(message)):
        trainer.train()


@pytest.mark.parametrize("offset", [0.0, 1000.1, -3e6])
@pytest.mark.parametrize("n", [1, 2, 64])
def test_the_check_of_every_step_lets_rounding_pass(n: int, offset: float) -> None:
    """TRL's arithmetic in float32, where the differences are near the rounding of rewards far from 0."""
    generator = torch.Generator().manual_seed(0)
    for functions in (1, 3):
        for _ in range(200):
            scores = offset + torch.randn(2 * n, functions, generator=generator)
            scores[torch.rand(scores.shape, generator=generator) < 0.2] = float("nan")
            weights = torch.rand(functions, generator=generator)
            rewards = (scores * weights).nansum(1).masked_fill(scores.isnan().all(1), float("nan"))
            means = rewards.view(-1, n).nanmean(1).repeat_interleave(n)
            theirs = (rewards - means).nan_to_num(nan=0.0)
            scored = ours._Scored.of(scores.double(), weights, rows=2 * n, n=n)
            scored.check(theirs, slice(0, 2 * n), "advantages")


def in_one_process(folder: Path) -> None:
    """Groups of 4 in batches of 6 a process, so that the second group is split; some rewards are missing."""

    def rewarded(completion_ids: list[list[int]], **others: Any) -> Rewards:
        scores = graded(completion_ids)
        return [None if len(ids) == 3 else score for ids, score in zip(completion_ids, scores, strict=True)]

    trainer = trainer_of(
        folder,
        rewarded,
        k=2,
        max_steps=2,
        num_generations=4,
        num_generations_eval=3,
        per_device_train_batch_size=6,
        per_device_eval_batch_size=6,
        **EVERY_STEP,
    )
    trainer.train()
    trainer.evaluate()
    seen = {name: getattr(trainer, name) for name in ("rewards", "advantages")}
    rms = [*logged(trainer, "advantages/rms"), *logged(trainer, "eval_advantages/rms")]
    table = list(trainer._logs["advantages"])
    torch.save({**seen, "rms": rms, "table": table}, folder / f"{trainer.accelerator.process_index}.pt")


def test_a_group_split_over_two_processes(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    helpers = {"PYTHONPATH": os.pathsep.join(sys.path)}  # tests/witnesses, which pytest put there
    done = subprocess.run(
        [*launch, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | helpers,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    rms = []
    for step, rewards in enumerate(first["rewards"]):
        same(rewards.nan_to_num(nan=-1), second["rewards"][step].nan_to_num(nan=-1))
        n = 4 if step < 2 else 3
        used = torch.cat([first["advantages"][step], second["advantages"][step]])
        assert len(used) == 12
        same(used, expected(rewards[:, 0], 2, n=n))
        assert used.any()
        rms.append(float(used.double().square().mean().sqrt()))
    of_the_evaluation = sum(rms[2:]) / len(rms[2:])
    assert first["rms"] == second["rms"] == pytest.approx([*rms[:2], of_the_evaluation], rel=1e-12)
    assert first["table"] == second["table"] == used.tolist()


if __name__ == "__main__":
    in_one_process(Path(sys.argv[1]))
