"""The catalogue in verl's registry: fetched by name, called as verl's trainer calls it, and launched.

Runs in an environment of its own (``make test-integrations``), as verl pins an older transformers.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import ragged_batches

import maxpo_lab as ml
from maxpo_lab.estimators.definitions.groups import BY_NAME

pytestmark = pytest.mark.integration
core_algos = pytest.importorskip(
    "verl.trainer.ppo.core_algos", reason="verl is in .venv-verl alone: make test-integrations"
)
import torch  # noqa: E402 - torch comes with verl
from omegaconf import OmegaConf  # noqa: E402
from verl.trainer.config import AlgoConfig  # noqa: E402

from maxpo_lab.integrations import verl as integration  # noqa: E402

MODULE = "maxpo_lab.integrations.verl"
OURS = {integration.verl_name(name): name for name in ml.list_estimators()}
SIZES = (3, 5, 8, 4)
TOKENS = 6


class Batch(NamedTuple):
    """Rows of all groups interleaved, as verl has them."""

    token_rewards: torch.Tensor
    mask: torch.Tensor
    uid: np.ndarray


def batch_of(groups: list[np.ndarray], dtype: torch.dtype = torch.float32) -> Batch:
    """0/1 rewards: halves of them lie on the first and on the last token, so that their sum is exact."""
    rng = np.random.default_rng(0)
    names = np.array([f"prompt-{number}" for number in rng.permutation(len(groups))], dtype=object)
    uid = np.repeat(names, [len(group) for group in groups])
    order = rng.permutation(len(uid))
    rewards = torch.tensor(np.concatenate(groups)[order], dtype=dtype)
    lengths = torch.from_numpy(rng.integers(2, TOKENS + 1, len(uid)))
    token_rewards = torch.zeros(len(uid), TOKENS, dtype=dtype)
    token_rewards[:, 0] = rewards / 2
    token_rewards[torch.arange(len(uid)), lengths - 1] = rewards / 2
    return Batch(token_rewards, (torch.arange(TOKENS) < lengths[:, None]).long(), uid[order])


def ragged(dtype: torch.dtype = torch.float32) -> Batch:
    rng = np.random.default_rng(1)
    return batch_of([rng.permutation(np.arange(n) % 3 == 0).astype(float) for n in SIZES], dtype)


def called(name: str, batch: Batch, config: Any) -> torch.Tensor:
    """Advantages (bs, T) of the registered function, called by verl's keywords."""
    advantages, returns = core_algos.get_adv_estimator_fn(name)(
        token_level_rewards=batch.token_rewards, response_mask=batch.mask, index=batch.uid, config=config
    )
    assert torch.equal(advantages, returns)
    return advantages


def struct(**settings: Any) -> Any:
    """The form in which verl 0.9.1 hands over its algorithm config: read-only for unknown keys."""
    config = OmegaConf.create({"adv_estimator": "maxpo", "gamma": 1.0, **settings})
    OmegaConf.set_struct(config, True)
    return config


def test_the_whole_catalogue_is_registered_but_for_what_verl_has() -> None:
    theirs = set(OURS) - set(integration.REGISTERED)
    assert theirs == {"grpo", "rloo"}
    assert all(
        core_algos.get_adv_estimator_fn(name).__module__ == "verl.trainer.ppo.core_algos" for name in theirs
    )
    assert all(core_algos.get_adv_estimator_fn(name).__module__ == MODULE for name in integration.REGISTERED)


@pytest.mark.parametrize("name", integration.REGISTERED)
def test_every_rule_is_its_definition_group_by_group(name: str) -> None:
    """The rational definition of each group, on every token of the mask; K = 3 suits all groups but one."""
    batch, k = ragged(), 3
    got = called(name, batch, struct(k=k, small_groups="zero"))
    assert got.dtype == torch.float32
    assert not got[batch.mask == 0].any()
    rule = ml.get_estimator(OURS[name])
    compared = 0
    for prompt in set(batch.uid):
        rows = np.flatnonzero(batch.uid == prompt)
        rewards = batch.token_rewards[rows].sum(-1).double().numpy()
        if rule.why_not(len(rows), k):
            assert not got[rows].any()
            continue
        expected = np.array([float(value) for value in BY_NAME[OURS[name]](rewards, k)])
        # float32 of the result: |A| of 0/1 rewards is at most K n here.
        bound = float(np.finfo(np.float32).eps) * k * len(rows)
        for row, value in zip(rows, expected, strict=True):
            assert (got[row] - value * batch.mask[row]).abs().max() <= bound
        compared += 1
    assert compared >= len(SIZES) - 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_dtype_is_the_rewards(dtype: torch.dtype) -> None:
    batch = ragged(dtype)
    got = called("maxpo", batch, struct(k=2))
    assert got.dtype == dtype
    expected = ml.advantages(batch.token_rewards.sum(-1), 2, group_ids=batch.uid)
    assert torch.equal(got, expected[:, None] * batch.mask)
    # Interleaved groups of one size each, one by one and in float64, within half an ulp of the result.
    exact = called("maxpo", ragged(torch.float64), struct(k=2))
    assert (got.double() - exact).abs().max() <= torch.finfo(dtype).eps * exact.abs().max()


def test_ragged_batches_with_unscored_rollouts() -> None:
    """Those on which every adapter is checked; grpo and rloo are verl's own there."""

    def answer(batch: ragged_batches.Batch) -> np.ndarray:
        rows = torch.from_numpy(batch.rewards).float()
        lengths = torch.arange(len(rows)) % 3 + 1
        tokens = torch.zeros(len(rows), 3)
        tokens[torch.arange(len(rows)), lengths - 1] = rows
        uid = np.array([f"prompt-{each}" for each in batch.ids], dtype=object)
        given = Batch(tokens, (torch.arange(3) < lengths[:, None]).long(), uid)
        config = {"k": batch.k, "small_groups": "zero", "nan_policy": "omit"}
        found = called(integration.verl_name(batch.estimator), given, config)
        assert torch.equal(found, found[:, :1] * given.mask)
        return found[:, 0].numpy()

    rules = ("maxpo", "pkpo-loo1", "pkpo-s", "batch-mean")
    ragged_batches.check(answer, ragged_batches.batches(rules=rules))


def test_no_gradient_flows() -> None:
    batch = ragged()
    batch.token_rewards.requires_grad_()
    assert not called("maxpo", batch, struct(k=2)).requires_grad


def test_rewards_outside_the_mask_count_as_in_verls_own() -> None:
    batch = Batch(
        torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([[1, 0], [1, 0]]), np.array(["a", "a"])
    )
    own = core_algos.get_adv_estimator_fn("rloo")(
        token_level_rewards=batch.token_rewards, response_mask=batch.mask, index=batch.uid, config=None
    )[0]
    assert called("maxpo", batch, struct(k=1)).tolist() == own.tolist() == [[1.0, 0.0], [-1.0, 0.0]]


@pytest.mark.parametrize("form", [struct, dict, SimpleNamespace])
def test_settings_from_any_form_of_config(form: Any) -> None:
    assert torch.equal(called("maxpo", ragged(), form(k=2)), called("maxpo", ragged(), struct(k=2)))
    assert not torch.equal(called("maxpo", ragged(), form(k=1)), called("maxpo", ragged(), form(k=2)))
    with pytest.raises(ValueError, match=r"\+algorithm\.k=4"):
        called("maxpo", ragged(), form())


def test_a_dataclass_config_without_k() -> None:
    with pytest.raises(ValueError, match="adv_estimator=maxpo needs the K of max@K"):
        called("maxpo", ragged(), AlgoConfig())
    assert called("batch_mean", ragged(), AlgoConfig()).any()
    assert called("batch_mean", ragged(), None).any()


@pytest.mark.parametrize("k", [0, 2.0, True, "2"])
def test_a_k_that_is_none_is_an_error_that_shows_the_launch_line(k: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="k=") as caught:
        called("maxpo", ragged(), struct(k=k))
    assert "+algorithm.k=4" in caught.value.__notes__[0]


def test_small_groups() -> None:
    batch = ragged()  # a group of 3, where MaxPO needs K <= 2
    with pytest.raises(ValueError, match="has 3 scored rollouts") as caught:
        called("maxpo", batch, struct(k=3))
    assert "+algorithm.small_groups=zero" in caught.value.__notes__[0]
    counts = {prompt: int((batch.uid == prompt).sum()) for prompt in batch.uid}
    small = np.array([counts[prompt] == 3 for prompt in batch.uid])
    got = called("maxpo", batch, struct(k=3, small_groups="zero"))
    assert not got[small].any()
    assert got[~small].any()
    with pytest.raises(ValueError, match="small_groups='drop'"):
        called("maxpo", batch, struct(k=3, small_groups="drop"))


def test_unscored_rollouts() -> None:
    batch = ragged()
    batch.token_rewards[4, 0] = torch.nan
    with pytest.raises(ValueError, match="is nan") as caught:
        called("maxpo", batch, struct(k=1))
    assert "+algorithm.nan_policy=omit" in caught.value.__notes__[0]
    got = called("maxpo", batch, struct(k=1, nan_policy="omit"))
    rest = np.arange(len(batch.uid)) != 4
    without = Batch(*(each[rest] for each in batch))
    assert not got[4].any()
    assert torch.equal(got[rest], called("maxpo", without, struct(k=1)))


def test_the_rows_that_verl_pads_a_batch_with_are_no_group() -> None:
    """verl's rows of padding share a uid, their mask is 0; one row is no group for any K of MaxPO."""
    batch = ragged()
    padded = Batch(
        torch.cat([batch.token_rewards, torch.zeros(1, TOKENS)]),
        torch.cat([batch.mask, torch.zeros(1, TOKENS, dtype=torch.long)]),
        np.append(batch.uid, "pad0"),
    )
    got = called("maxpo", padded, struct(k=2))
    assert torch.equal(got[:-1], called("maxpo", batch, struct(k=2)))
    assert not got[-1].any()
    alone = Batch(*(each[-1:] for each in padded))
    assert called("maxpo", alone, struct(k=2)).tolist() == [[0.0] * TOKENS]
    # A row whose mask is empty still counts in a group that has others.
    rejected = Batch(batch.token_rewards, batch.mask.clone(), batch.uid)
    rejected.mask[0] = 0
    others = slice(1, None)
    assert torch.equal(
        called("maxpo", rejected, struct(k=2))[others], called("maxpo", batch, struct(k=2))[others]
    )


def test_a_batch_without_uids_is_an_error() -> None:
    batch = ragged()
    with pytest.raises(ValueError, match=r"got no index.*non_tensor_batch\['uid'\]"):
        core_algos.get_adv_estimator_fn("maxpo")(
            token_level_rewards=batch.token_rewards, response_mask=batch.mask, config=struct(k=2)
        )


def test_ids_reach_the_rule_as_they_are() -> None:
    """NumPy would write 1 as "1" in one array of both, and forget which ids a mask hides."""
    batch = ragged()
    rows = len(batch.uid)
    with pytest.raises(ml.GroupIdError, match=r"group_ids\[1\] is '1', text, and group_ids\[0\] is 1"):
        called("maxpo", batch._replace(uid=[1, "1"] * (rows // 2)), struct(k=2))
    masked = np.ma.masked_array(np.zeros(rows, dtype=int), mask=np.arange(rows) == 3)
    with pytest.raises(ml.GroupIdError, match=r"group_ids\[3\] is missing \(masked\)"):
        called("maxpo", batch._replace(uid=masked), struct(k=2))
    as_list = batch._replace(uid=batch.uid.tolist())
    assert torch.equal(called("maxpo", as_list, struct(k=2)), called("maxpo", batch, struct(k=2)))


def test_importing_again_changes_nothing() -> None:
    before, names = dict(core_algos.ADV_ESTIMATOR_REGISTRY), integration.REGISTERED
    again = importlib.reload(integration)
    assert names == again.REGISTERED
    assert before == core_algos.ADV_ESTIMATOR_REGISTRY


def test_a_rule_with_parameters_can_be_registered() -> None:
    try:
        assert integration.register("grpo:eps=1e-4") == "grpo:eps=1e-4"
        got = called("grpo:eps=1e-4", ragged(), None)
        expected = ml.advantages(
            ragged().token_rewards.sum(-1), 1, estimator="grpo:eps=1e-4", group_ids=ragged().uid
        )
        assert torch.equal(got, expected[:, None] * ragged().mask)
    finally:
        core_algos.ADV_ESTIMATOR_REGISTRY.pop("grpo:eps=1e-4", None)
    with pytest.raises(ValueError, match="did you mean"):
        integration.register("maxpoo")


def test_a_name_taken_by_another_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def stranger() -> None: ...

    monkeypatch.setitem(core_algos.ADV_ESTIMATOR_REGISTRY, "maxpo", stranger)
    with pytest.raises(ValueError, match=r"adv_estimator=maxpo is already registered.*stranger"):
        integration.register("maxpo")
    assert core_algos.ADV_ESTIMATOR_REGISTRY["maxpo"] is stranger


def test_the_instrument_alone_does_not_import_verl() -> None:
    code = "import sys, maxpo_lab; sys.exit(any(name.split('.')[0] == 'verl' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


#: An interpreter in which verl is not installed.
ABSENT = f"""
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "verl":
            raise ModuleNotFoundError("No module named 'verl'", name="verl")

sys.meta_path.insert(0, Absent())
import {MODULE}
"""


def test_without_verl_the_error_says_how_to_install_it() -> None:
    done = subprocess.run([sys.executable, "-c", ABSENT], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == f"ImportError: {MODULE} needs verl: pip install verl"


#: As verl launches: Ray with the runtime environment of verl's ``run_ppo``, then an actor in which verl is
#: imported for the first time. A module of the actor's own shows what its registry holds.
ACTOR = """
import sys
import ray
from omegaconf import OmegaConf
from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

given = dict(each.split("=", 1) for each in sys.argv[2:])
runtime_env = OmegaConf.merge(get_ppo_ray_runtime_env(), {"env_vars": given} if given else {})
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
         object_store_memory=2**27, _temp_dir=sys.argv[1], runtime_env=OmegaConf.to_container(runtime_env))

@ray.remote
class TaskRunner:
    def run(self):
        from verl.trainer.ppo import core_algos
        return list(core_algos.ADV_ESTIMATOR_REGISTRY)

print(*ray.get(TaskRunner.remote().run.remote()))
ray.shutdown()
"""
LOCAL = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on the loopback address
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
}
VARIABLE = "VERL_USE_EXTERNAL_MODULES"


@pytest.mark.parametrize("where", ["ray_kwargs", "shell", "nowhere"])
def test_the_launch_line_reaches_the_actor_that_computes_advantages(where: str) -> None:
    arguments = [f"{VARIABLE}={MODULE}"] if where == "ray_kwargs" else []
    shell = {VARIABLE: MODULE} if where == "shell" else {}
    home = Path(
        tempfile.mkdtemp(prefix="ray", dir="/tmp")
    )  # short: a socket's path has at most 107 characters
    try:
        done = subprocess.run(
            [sys.executable, "-c", ACTOR, str(home), *arguments],
            env={key: value for key, value in os.environ.items() if key != VARIABLE} | LOCAL | shell,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    found = set(done.stdout.splitlines()[-1].split())
    assert "grpo" in found
    assert (
        set(integration.REGISTERED) <= found
        if where != "nowhere"
        else not found & set(integration.REGISTERED)
    )


#: A trainer for verl's launcher that stops where advantages are computed, as the real ones need GPUs.
TRAINER = """
import numpy as np
import torch
from verl.protocol import DataProto
from verl.trainer.ppo.v1 import AgentLoopManagerTQ, PPOTrainer, register_trainer
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

class Manager(AgentLoopManagerTQ):
    @classmethod
    def create(cls, **_): ...

@register_trainer("short")
class Short(PPOTrainer):
    def __init__(self, config):
        self.config = config
    def init(self): ...
    def nothing(self, *_): ...
    get_llm_client = get_teacher_client = get_reward_handles = on_step_end = on_sample_end = nothing
    def fit(self, manager):
        rewards = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
        data = DataProto.from_dict({"token_level_rewards": rewards, "response_mask": torch.ones(4, 2)},
                                   {"uid": np.array(["a"] * 4, dtype=object)})
        config, keys = self.config.algorithm, [f"a_{i}_0" for i in range(4)]
        data = compute_advantage_for_multi_trajectories(
            data, batch_keys=keys, adv_estimator=config.adv_estimator, config=config)
        print("ADVANTAGES", type(config).__name__, data.batch["advantages"].tolist(), flush=True)
"""


def test_verls_launcher_computes_advantages_with_it(tmp_path: Path) -> None:
    """The documented line through verl's ``main_ppo``: hydra, the checks of its config, Ray, the actor."""
    for needed in ("hydra", "transfer_queue", "torchdata", "datasets", "PIL"):
        pytest.importorskip(needed, reason=f"verl's launcher needs {needed}, which its functions do without")
    (tmp_path / "short_trainer.py").write_text(TRAINER)
    home = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    line = [
        f"+ray_kwargs.ray_init.runtime_env.env_vars.{VARIABLE}='{MODULE},short_trainer'",
        "algorithm.adv_estimator=maxpo",
        "+algorithm.k=2",
        "trainer.v1.trainer_mode=short",
        "trainer.n_gpus_per_node=1",
        "data.train_batch_size=4",
        "actor_rollout_ref.actor.ppo_mini_batch_size=4",
        "actor_rollout_ref.actor.use_dynamic_bsz=True",
        "+actor_rollout_ref.rollout.agent.agent_loop_manager_class=short_trainer.Manager",
        "ray_kwargs.ray_init.num_cpus=32",  # names for Ray's book-keeping: verl's queues ask for as many
        "+ray_kwargs.ray_init.include_dashboard=False",
        f"+ray_kwargs.ray_init._temp_dir={home}",
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "verl.trainer.main_ppo", *line],
            env={key: value for key, value in os.environ.items() if key != VARIABLE}
            | LOCAL
            | {"PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = ml.advantages(torch.tensor([0.0, 1.0, 0.0, 0.0]), 2)[:, None].expand(4, 2).tolist()
    assert f"ADVANTAGES DictConfig {expected}" in done.stdout


def test_the_names_can_be_written_on_hydras_command_line() -> None:
    parser = pytest.importorskip(
        "hydra.core.override_parser.overrides_parser", reason="hydra-core is not in .venv-verl"
    )
    for name in integration.REGISTERED:
        override = parser.OverridesParser.create().parse_override(f"algorithm.adv_estimator={name}")
        assert override.value() == name


def test_every_line_of_the_documented_launch_is_an_override() -> None:
    """The keys of the module's docstring exist in verl's config, or are added by ``+``."""
    folder = Path(core_algos.__file__).parents[1] / "config"
    config = OmegaConf.load(folder / "_generated_ppo_trainer.yaml")
    words = (integration.__doc__ or "").replace("\\", " ").replace("`", " ").split()
    overrides = [word.rstrip(",;:.") for word in words if "=" in word and "." in word.split("=")[0]]
    assert len(overrides) >= 8
    for override in overrides:
        key = override.partition("=")[0]
        known = OmegaConf.select(config, key.lstrip("+"), default="absent") != "absent"
        assert known != key.startswith("+"), override


@pytest.mark.parametrize(("name", "refused"), [("pkpo_s", True), ("maxpo", False)])
def test_dynamic_sampling_with_a_rule_that_pays_dead_groups_is_refused(name: str, refused: bool) -> None:
    """verl's own config object; with the filter off every rule passes."""
    rewards = torch.tensor([[1.0], [0.0], [1.0], [0.0]])
    for enable in (True, False):
        filtered = SimpleNamespace(enable=enable)
        config = {"k": 2, "filter_groups": filtered}
        given = {
            "token_level_rewards": rewards,
            "response_mask": torch.ones(4, 1),
            "index": np.array(["a"] * 4),
            "config": config,
        }
        function = core_algos.get_adv_estimator_fn(name)
        if refused and enable:
            with pytest.raises(ValueError, match="filter_groups"):
                function(**given)
        else:
            function(**given)
    assert hasattr(AlgoConfig(), "filter_groups")
