r"""Rules with a memory of prompts in verl: importing this module registers them beside the catalogue.

verl makes a new ``uid`` for every prompt at every step, and hands its estimators nothing else, so a prompt is
not known again unless its uid says which one it is. What has to be carried is the dataset's index,
``extra_info["index"]`` of a row, as verl's own preprocessing scripts write it. Named in
``VERL_USE_EXTERNAL_MODULES`` (see ``maxpo_lab.integrations.verl``) this module puts ``CarriesPrompts`` before
verl's trainers, which writes that index into the uids and saves the memory with each checkpoint::

    module=maxpo_lab.integrations.verl_replay
    python -m verl.trainer.main_ppo \
        +ray_kwargs.ray_init.runtime_env.env_vars.VERL_USE_EXTERNAL_MODULES=$module \
        algorithm.adv_estimator=replay +algorithm.k=4 +algorithm.replay.keep=64 ...

The rules are ``replay``, ``centered_replay``, ``plug_in_floor`` and ``pooled``; ``+algorithm.replay.keep``,
``.half_life`` and ``.weight`` are the settings of ``maxpo_lab.Replay``, the others as for every rule. A uid
that says no prompt is refused. A trainer of your own, and the one before verl's v1
(``trainer.use_v1=False``), must give rows the uids of ``uids_of``.

These rules have advantages on groups that fail together: ``algorithm.filter_groups.enable=True`` is refused.
Metrics are logged as ``replay/lambda``, ``replay/history_age`` and so on.

Checked with verl 0.9.1: its estimators' registry, ``compute_advantage``, and the method that makes the uids,
compiled from its source. No launch was made.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.ragged import by_id
from ..memory.prompt_ids import hashed
from ..memory.replay import RULES, Replay
from . import replay_files
from .verl import as_k_of, check_dead_groups, register_function, rows_to_train, setting, verl_name

if TYPE_CHECKING:
    import torch

#: What a uid that carries its prompt looks like. verl takes what precedes a ``_`` for the uid: it has none.
_CARRIED = re.compile(r"prompt-([0-9a-f]{16})-[0-9a-f]{32}")
_SETTINGS = ("keep", "half_life", "weight")
_REMEDY = (
    "name maxpo_lab.integrations.verl_replay in VERL_USE_EXTERNAL_MODULES and give every row of the dataset "
    "an extra_info['index'] of its own, or set uids by maxpo_lab.integrations.verl_replay.uids_of(indices)"
)
#: The memory of each rule in this process; made at its first step, or when a checkpoint is loaded.
_MEMORIES: dict[str, Replay] = {}


def uids_of(indices: Sequence[Any]) -> list[str]:
    """A new uid for each row of a batch of prompts, that carries the index of its prompt in the dataset.

    ValueError where all of several rows have one index, as where verl found none and put 0.
    """
    indices = [each.item() if isinstance(each, np.generic) else each for each in indices]
    if len(indices) > 1 and len(set(map(str, indices))) == 1:
        raise ValueError(
            f"all {len(indices)} prompts of the batch have the index {indices[0]!r}: verl puts 0 where the "
            f"dataset has no extra_info['index']; give every row one of its own"
        )
    groups = by_id(indices, len(indices))
    ids = np.empty(len(indices), np.int64)
    ids[groups.order] = np.repeat(hashed(groups.names), groups.sizes)
    return [f"prompt-{each:016x}-{uuid.uuid4().hex}" for each in ids.view(np.uint64).tolist()]


def memory(name: str, config: Any = None) -> Replay:
    """The memory of a rule in this process: the one there is, else a new one by verl's algorithm config."""
    if name not in _MEMORIES:
        given = setting(config, "replay") or {}
        settings = {key: setting(given, key) for key in _SETTINGS}
        if isinstance(given, Mapping) and (unknown := set(given) - set(_SETTINGS)):
            raise ValueError(
                f"algorithm.replay holds {', '.join(sorted(map(str, unknown)))}: its settings are "
                f"{', '.join(_SETTINGS)}"
            )
        known = {key: value for key, value in settings.items() if value is not None}
        _MEMORIES[name] = Replay(as_k_of(name, config), estimator=name, **known)
    return _MEMORIES[name]


def advantages_for_verl(
    name: str,
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    *,
    index: Any = None,
    config: Any = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As ``maxpo_lab.integrations.verl.advantages_for_verl``, of a rule with a memory.

    Rows of one uid are a group, and groups whose uids carry one prompt share its history: the one before this
    step. Raises as that function, and ValueError for a uid that says no prompt.
    """
    check_dead_groups(name, config)
    k, small_groups, nan_policy = (
        as_k_of(name, config),
        *(setting(config, each) for each in ("small_groups", "nan_policy")),
    )
    if index is None:
        raise ValueError(f"adv_estimator={verl_name(name)} got no index, so no prompt is known: {_REMEDY}")
    rewards = token_level_rewards.detach().sum(dim=-1)
    each = rewards.new_zeros(rewards.shape)
    rows = rows_to_train(index, response_mask)
    if rows.size:
        uids = np.array(list(index), dtype=object)[rows]
        groups = by_id(uids.tolist(), len(uids))
        prompts = np.array([_prompt_of(uid, name) for uid in groups.names.tolist()], dtype=np.int64)
        values = rewards.double().cpu().numpy()[rows][groups.order]
        if nan_policy != "omit" and (bad := ~np.isfinite(values)).any():
            raise ValueError(
                f"a reward is {values[bad][0]}: rewards must be finite; +algorithm.nan_policy=omit leaves "
                f"rollouts of NaN out"
            )
        place = np.arange(groups.sizes.max()) < groups.sizes[:, None]
        dense = np.full(place.shape, np.nan)
        dense[place] = values
        found = memory(name, config).advantages(
            dense, prompts, k=k, nan_policy="omit", small_groups=small_groups or "raise"
        )
        each[rows[groups.order]] = rewards.new_tensor(found[place])
    spread = each[:, None] * response_mask.to(each.dtype)
    return spread, spread


def _prompt_of(uid: Any, name: str) -> int:
    carried = _CARRIED.fullmatch(str(uid))
    if carried is None:
        raise ValueError(
            f"adv_estimator={verl_name(name)}: the uid {str(uid)[:60]!r} says no prompt. verl makes new "
            f"ones at every step, so nothing could be remembered: {_REMEDY}"
        )
    return int(np.array(int(carried[1], 16), np.uint64).view(np.int64))


class CarriesPrompts:
    """Before a v1 trainer of verl: uids that carry the dataset's index, and the memory in its checkpoints."""

    def _fetch_one_gen_batch(self) -> Any:
        batch = super()._fetch_one_gen_batch()  # type: ignore[misc]
        if self._rule() is None:
            return batch
        make = import_module("verl.utils.tensordict_utils").get_tensordict
        uids = np.array(uids_of(list(batch["index"])), dtype=object)
        batch.set("uid", make({"uid": uids}).get("uid"))
        return batch

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        found = super()._compute_advantage(batch, metrics)  # type: ignore[misc]
        for each in _MEMORIES.values():
            metrics.update({f"replay/{name}": value for name, value in each.metrics.items()})
        return found

    def _save_checkpoint(self) -> Any:
        for name, each in _MEMORIES.items():
            replay_files.save(each, self._folder() / f"maxpo_{verl_name(name)}")
        return super()._save_checkpoint()  # type: ignore[misc]  # which then says that the checkpoint is whole

    def _load_checkpoint(self) -> Any:
        done = super()._load_checkpoint()  # type: ignore[misc]
        name = self._rule()
        if self.global_steps and name is not None:  # type: ignore[attr-defined]
            kept = memory(name, self.config.algorithm)  # type: ignore[attr-defined]
            replay_files.load(kept, self._folder() / f"maxpo_{verl_name(name)}")
        return done

    def _rule(self) -> str | None:
        """The rule with a memory that is trained on, if it is one."""
        name = str(self.config.algorithm.adv_estimator).replace("_", "-")  # type: ignore[attr-defined]
        return name if name in RULES else None

    def _folder(self) -> Path:
        """Of the checkpoint of this step, on this machine."""
        trainer = self.config.trainer  # type: ignore[attr-defined]
        own = f"global_step_{self.global_steps}"  # type: ignore[attr-defined]
        path = Path(getattr(trainer, "resume_from_path", None) or "")
        if trainer.resume_mode == "resume_path" and path.name == own:
            return path
        return Path(trainer.default_local_dir) / own


def carrying(trainer: type) -> type:
    """A trainer of verl with ``CarriesPrompts`` before it; itself where it has that."""
    if issubclass(trainer, CarriesPrompts):
        return trainer
    return type(trainer.__name__, (CarriesPrompts, trainer), {"__module__": trainer.__module__})


def _put_before_verls_trainers() -> tuple[str, ...]:
    """Where verl's v1 trainers can be imported; the modes whose trainer now carries prompts."""
    try:
        base = import_module("verl.trainer.ppo.v1.trainer_base")
        import_module("verl.trainer.ppo.v1")
    except ModuleNotFoundError:  # TransferQueue, hydra: verl's own, without which no v1 trainer runs here
        return ()
    for mode, trainer in base.TRAINER_REGISTRY.items():
        base.TRAINER_REGISTRY[mode] = carrying(trainer)
    return tuple(base.TRAINER_REGISTRY)


#: Names in verl's registry, and modes of its trainer that carry prompts, none where they cannot be imported.
REGISTERED: tuple[str, ...] = tuple(register_function(name, advantages_for_verl, __name__) for name in RULES)
CARRYING: tuple[str, ...] = _put_before_verls_trainers()
