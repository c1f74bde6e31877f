r"""The catalogue as advantage estimators of verl: importing this module registers them.

``algorithm.adv_estimator=maxpo`` then works as ``grpo`` does. The names are the catalogue's with ``_`` for
``-`` (``pkpo_loo1``, ``l_statistic:TopM:2``); ``REGISTERED`` lists them. A name that verl has already
(``grpo``, ``rloo``) stays verl's.

verl computes advantages in a Ray actor, ``TaskRunnerV1`` (``TaskRunner`` with ``trainer.use_v1=False``), so
the module must be imported there. Whenever verl is imported it imports the modules that
``VERL_USE_EXTERNAL_MODULES`` names, and ``ray_kwargs`` brings that variable to the actor, on whatever machine
Ray puts it::

    python -m verl.trainer.main_ppo \
        +ray_kwargs.ray_init.runtime_env.env_vars.VERL_USE_EXTERNAL_MODULES=maxpo_lab.integrations.verl \
        algorithm.adv_estimator=maxpo +algorithm.k=4 \
        actor_rollout_ref.rollout.n=16 ...

Where verl starts Ray on this machine, exporting the variable in the shell does the same. maxpo-lab must be
installed on every machine of the cluster. The settings, all under ``algorithm``:

- ``+algorithm.k=4``: the K of max@K; a rule for the mean reward does without.
- ``+algorithm.small_groups=zero``: a group too small for the rule at this k (verl drops failed rollouts) gets
  advantage 0; the default, ``raise``, is an error.
- ``+algorithm.nan_policy=omit``: a reward of NaN, which verl passes on as the reward function gave it, marks
  a rollout that could not be scored: it is left out of its group and gets advantage 0. Default: ``raise``.

A reward is the sum of a row's ``token_level_rewards``, masked tokens too, as in verl's own estimators; with
``algorithm.use_kl_in_reward=True`` that includes the penalty. Every row counts as one rollout, also where an
agent loop returns several rows per session. A group without a token in the response mask gets 0, whatever its
size: verl fills up a batch with such rows. The rules are for a loss that averages over rollouts,
``actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-sum``; verl's default, ``token-mean``, divides by the
batch's tokens instead. Rules of several rewards are served under verl's ``gdpo``: see ``in_place_of_gdpo``.

Checked with verl 0.9.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import weighted_sums
from ..core.arrays import Int
from ..core.ragged import by_id
from ..estimators import get_estimator, list_estimators
from ..estimators.vector import Weighing
from ..training import advantages

if TYPE_CHECKING:
    import torch

try:
    _core_algos: Any = import_module("verl.trainer.ppo.core_algos")
except ModuleNotFoundError as error:
    if error.name != "verl":
        raise
    raise ImportError("maxpo_lab.integrations.verl needs verl: pip install verl") from error

#: Settings read from verl's ``algorithm`` config, with a value to show in messages.
_SETTINGS: Mapping[str, str] = {"k": "4", "small_groups": "zero", "nan_policy": "omit"}


def verl_name(name: str) -> str:
    """The name in verl's registry: ``"pkpo-loo1"`` as ``"pkpo_loo1"``; parameters after a ``:`` stay.

    Of a mixture, ``"maxpo-0.1*pkpo-loo1"``, it is that of each term: ``"maxpo-0.1*pkpo_loo1"``.
    """
    if (terms := weighted_sums.read(name)) is not None:
        return weighted_sums.spell(tuple((weight, verl_name(each)) for weight, each in terms))
    family, colon, parameters = name.partition(":")
    return family.replace("-", "_") + colon + parameters


def advantages_for_verl(
    name: str,
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    *,
    index: Any = None,
    config: Any = None,
    rewards: torch.Tensor | None = None,
    reward_weights: Any = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns as verl wants them of an estimator.

    Parameters
    ----------
    name
        A rule of the catalogue.
    token_level_rewards
        Shape (bs, T); the sum of a row is the rollout's reward.
    response_mask
        Shape (bs, T); 1 on the tokens that the policy wrote.
    index
        verl's ``uid``, one per row: rows of equal uid are a group, in any order, of any size.
    config
        verl's ``algorithm`` config, a mapping or an object with attributes: ``k``, ``small_groups`` and
        ``nan_policy``, see the module.
    rewards, reward_weights
        Of a rule of several rewards: (bs, d), and d weights or None; see ``in_place_of_gdpo``. A rule of
        lengths gets the tokens of the mask.

    Returns
    -------
    advantages, returns
        The same tensor (bs, T) twice, as verl's own group estimators return it: the row's advantage on every
        token of its mask. dtype and device are the rewards'; no gradient flows.

    Raises
    ------
    TypeError, ValueError
        No ``index``, no ``k`` for a rule that uses it, or what ``maxpo_lab.training`` refuses; each shows
        the piece of the launch line to write. ``filter_groups`` with a rule that pays the groups it drops.
    """
    if index is None:
        raise ValueError(
            f"adv_estimator={verl_name(name)} got no index: a rollout is compared with its group, so verl's "
            f"batch must have a uid per row (non_tensor_batch['uid'])"
        )
    check_dead_groups(name, config)
    k = as_k_of(name, config)
    small_groups, nan_policy = (setting(config, key) for key in ("small_groups", "nan_policy"))
    if rewards is None:
        rewards = token_level_rewards.detach().sum(dim=-1)
    rows = rows_to_train(index, response_mask)
    if not rows.size:
        nothing = token_level_rewards.new_zeros(response_mask.shape)
        return nothing, nothing
    ids = list(index)  # as they are: NumPy would make one array of 1 and "1", and drop a mask
    try:
        found = advantages(
            rewards[rows],
            k,
            estimator=name,
            group_ids=[ids[row] for row in rows.tolist()],
            small_groups="raise" if small_groups is None else small_groups,
            nan_policy="raise" if nan_policy is None else nan_policy,
            reward_weights=reward_weights,
            lengths=_lengths(name, response_mask[rows]),
        )
    except (TypeError, ValueError) as error:
        error.add_note(f"on verl's command line: {', '.join(map(_piece, _SETTINGS))}")
        raise
    each = found.new_zeros(len(response_mask))
    each[rows] = found
    spread = each[:, None] * response_mask.to(each.dtype)
    return spread, spread


def _lengths(name: str, response_mask: torch.Tensor) -> torch.Tensor | None:
    """Tokens of each response, for a rule that weighs by them."""
    rule = get_estimator(name)
    weighs = isinstance(rule, Weighing) and rule.takes_lengths
    return response_mask.sum(dim=-1) if weighs else None


def as_k_of(name: str, config: Any) -> Any:
    """The K of verl's algorithm config, 1 for a rule that does without; ValueError where it is missing."""
    k = setting(config, "k")
    if k is None and get_estimator(name).uses_k:
        raise ValueError(
            f"adv_estimator={verl_name(name)} needs the K of max@K: add {_piece('k')} to verl's command line"
        )
    return 1 if k is None else k


def check_dead_groups(name: str, config: Any) -> None:
    """Refuse dynamic sampling with a rule that has advantages where it sees none worth keeping."""
    paid = get_estimator(name).dead_groups
    filtered = setting(config, "filter_groups")
    if paid != "none" and filtered is not None and setting(filtered, "enable"):
        raise ValueError(
            f"adv_estimator={verl_name(name)} has advantages on dead groups ({paid}), and "
            f"algorithm.filter_groups.enable=True drops these, which changes what is climbed: set it to "
            f"False, or use a rule that is 0 there, e.g. maxpo"
        )


def rows_to_train(index: Any, response_mask: torch.Tensor) -> Int:
    """Rows whose group has a token in the response mask; verl's padding is a group that has none."""
    groups = by_id(index, len(response_mask))
    written = np.asarray(response_mask.bool().any(dim=-1).cpu())[groups.order]
    trains = np.logical_or.reduceat(written, np.cumsum(groups.sizes) - groups.sizes)
    return np.sort(groups.order[np.repeat(trains, groups.sizes)])


def setting(config: Any, key: str) -> Any:
    """A setting of verl's algorithm config, None where it is not there."""
    return config.get(key) if isinstance(config, Mapping) else getattr(config, key, None)


def _piece(key: str) -> str:
    return f"+algorithm.{key}={_SETTINGS[key]}"


def register(name: str) -> str:
    """Register a rule with verl and return the name it has there.

    For a rule with parameters (``"grpo:eps=1e-4"``, ``"l-statistic:TopM:3"``) call this in a module of your
    own and name that module in ``VERL_USE_EXTERNAL_MODULES``. Registering a rule again changes nothing.

    Raises
    ------
    ValueError
        No such rule, or verl's registry has another function under this name.
    """
    rule = get_estimator(name)
    if isinstance(rule, Weighing) and not rule.takes_lengths:
        raise ValueError(
            f"{name} takes several rewards, which verl hands to the estimator named gdpo alone: call "
            f"in_place_of_gdpo({name!r}) and set algorithm.adv_estimator=gdpo"
        )
    return register_function(name, advantages_for_verl, __name__)


def register_function(name: str, function: Callable[..., Any], module: str) -> str:
    """Register ``function(name, ...)`` of a module here under a rule's name; raises as ``register``."""
    target = verl_name(name)
    owner = _core_algos.ADV_ESTIMATOR_REGISTRY.get(target)
    if owner is None:
        _core_algos.register_adv_est(target)(_as_estimator(name, function, module))
    elif getattr(owner, "__module__", None) != module:
        raise ValueError(
            f"adv_estimator={target} is already registered with verl, by {_described(owner)}: import one of "
            f"the two alone, or register that one under another name"
        )
    return target


def in_place_of_gdpo(name: str) -> str:
    """Put a rule of several rewards in the place of verl's gdpo, and return that name.

    verl hands the rewards of ``algorithm.gdpo_reward_keys`` to the estimator of this name alone, so a rule of
    several is served under it: call this in a module of your own, name that module in
    ``VERL_USE_EXTERNAL_MODULES``, and set ``algorithm.adv_estimator=gdpo``, ``gdpo_reward_keys=[...]`` and
    ``gdpo_reward_weights=[...]``, which are 1 each unless set. ``"gdpo"`` is verl's own rule for responses of
    one token, as its whitening weighs responses by their tokens and this one does not.

    Raises
    ------
    ValueError
        No such rule, or not one of several rewards.
    """
    rule = get_estimator(name)
    if not isinstance(rule, Weighing) or rule.takes_lengths:
        raise ValueError(
            f"{name} takes one reward: register({name!r}) serves it under its own name; of several rewards "
            f"are summed:{name} and per-reward:{name}"
        )

    def estimator(
        token_level_rewards: torch.Tensor,
        response_mask: torch.Tensor,
        index: Any = None,
        config: Any = None,
        non_tensor_batch: Any = None,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys, weights = (setting(config, f"gdpo_reward_{each}") for each in ("keys", "weights"))
        missing = [key for key in keys or () if key not in (non_tensor_batch or {})]
        if not keys or missing:
            raise ValueError(
                f"{name} in the place of gdpo needs algorithm.gdpo_reward_keys=[...], keys that the reward "
                f"function returns; {f'there is no {missing[0]!r}' if missing else 'none is set'}"
            )
        columns = np.stack([np.asarray(non_tensor_batch[key], dtype=np.float64) for key in keys], axis=-1)
        rewards = token_level_rewards.new_tensor(columns)
        return advantages_for_verl(
            name,
            token_level_rewards,
            response_mask,
            index=index,
            config=config,
            rewards=rewards,
            reward_weights=None if weights is None else list(weights),
        )

    estimator.__name__ = estimator.__qualname__ = f"gdpo[{name}]"
    _core_algos.ADV_ESTIMATOR_REGISTRY["gdpo"] = estimator
    return "gdpo"


def _as_estimator(
    name: str, function: Callable[..., Any], module: str
) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """The function that verl calls, by keywords."""

    def estimator(
        token_level_rewards: torch.Tensor, response_mask: torch.Tensor, index: Any = None, config: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found: tuple[torch.Tensor, torch.Tensor] = function(
            name, token_level_rewards, response_mask, index=index, config=config
        )
        return found

    estimator.__module__ = module
    estimator.__name__ = estimator.__qualname__ = f"estimator[{name}]"
    estimator.__doc__ = f"{name} of maxpo_lab: see advantages_for_verl."
    return estimator


def _described(owner: Any) -> str:
    return f"{getattr(owner, '__module__', '?')}.{getattr(owner, '__qualname__', owner)}"


def _is_verls(target: str) -> bool:
    owner = _core_algos.ADV_ESTIMATOR_REGISTRY.get(target)
    return getattr(owner, "__module__", "").partition(".")[0] == "verl"


#: Names of the catalogue in verl's registry; those that verl has itself are not ours.
REGISTERED: tuple[str, ...] = tuple(
    register(name) for name in list_estimators() if not _is_verls(verl_name(name))
)
