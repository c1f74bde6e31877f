"""A rule of the catalogue on the batches of a training loop, whatever framework hands them over."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from ...core.arguments import as_k, check_choice
from ...core.arrays import Float
from ...core.precision import as_numpy
from ...core.ragged import by_id
from ...estimators import get_estimator
from ...estimators.entry import Entry
from ...estimators.vector import Weighing, as_weights
from ...memory.replay import RULES, Replay
from ...training import advantages
from .. import replay_files

#: What an adapter takes for a rule.
CatalogueRule: TypeAlias = str | Entry | Replay
SmallGroups: TypeAlias = Literal["zero", "raise"]


class TrainingRule:
    r"""A rule on rollouts in groups of any sizes, some of them unscored, with numbers for the log.

    Parameters
    ----------
    estimator
        A name such as ``"maxpo"`` or ``"grpo:eps=1e-4"``, or a rule of the catalogue; of several rewards
        ``"per-reward:maxpo"``, ``"gdpo"``. ``"replay"`` or a ``Replay`` with settings of its own remembers
        each prompt's earlier rewards.
    k
        The K of max@K; a rule for the mean reward takes it and does not use it.
    small_groups
        A group that is too small for the rule, a rollout alone too, gets 0 (``"zero"``), or is an error.
    reward_weights
        Of a rule of several rewards, 1 each unless told.
    memory_folder
        Where a memory is kept: it goes on from the file that is there, if one is, and is written after every
        step. It is unbiased whatever it holds, so it may be ahead of a checkpoint that training resumes from.
        None: in this process alone.
    forgets
        Why the framework knows no prompt again, for the refusal of a rule with a memory; None where it does.
    one_reward
        Why the framework hands over one reward a rollout, for the refusal of a rule of several; None where it
        can hand over more.

    Attributes
    ----------
    metrics
        Of the latest call: ``k``, ``advantages/mean`` and ``advantages/rms``; ``advantages/largest``, the
        largest size of one; ``advantages/dead_groups``, the share of groups whose advantages are all 0;
        ``advantages/undefined_groups``, that of groups too small for the rule, dead too;
        ``advantages/unscored``, the share of rollouts without a score. Of a memory also those of ``Replay``,
        as ``replay/lambda``, ``replay/known`` and so on.
    memory
        What is remembered of the prompts; None for a rule without a memory.

    Raises
    ------
    TypeError, ValueError
        An argument that cannot be honoured; the message names a valid choice.
    """

    def __init__(
        self,
        estimator: CatalogueRule = "maxpo",
        k: int | None = None,
        *,
        small_groups: SmallGroups = "zero",
        reward_weights: Sequence[float] | None = None,
        memory_folder: str | Path | None = None,
        forgets: str | None = None,
        one_reward: str | None = None,
    ) -> None:
        check_choice("small_groups", small_groups, ("zero", "raise"))
        self.small_groups: SmallGroups = small_groups
        name = estimator if isinstance(estimator, str) else getattr(estimator, "estimator", estimator)
        if name in RULES or isinstance(estimator, Replay):
            self.memory: Replay | None = _memory(estimator, k)
            self.rule: Entry = self.memory.rule
            if forgets is not None:
                raise ValueError(
                    f"estimator={self.rule.name!r} remembers prompts, and {forgets}; use a rule without a "
                    f"memory, e.g. maxpo"
                )
        else:
            self.memory, self.rule = None, _rule(estimator)
        self.memory_folder = memory_folder
        if memory_folder is not None:
            if self.memory is None:
                raise ValueError(
                    f"memory_folder={str(memory_folder)!r} with estimator {self.rule.name!r}, which "
                    f"remembers nothing; leave it out, or use replay"
                )
            if (Path(memory_folder) / replay_files.NAME).exists():
                replay_files.load(self.memory, memory_folder)
        self.several = isinstance(self.rule, Weighing) and not self.rule.takes_lengths
        if self.several and one_reward is not None:
            raise ValueError(
                f"estimator={self.rule.name!r} takes several rewards of a rollout, and {one_reward}; use a "
                f"rule of one reward, e.g. maxpo"
            )
        self.reward_weights = as_weights(reward_weights)
        if reward_weights is not None and not self.several:
            raise ValueError(
                f"reward_weights={reward_weights!r} with estimator {self.rule.name!r}, which takes one "
                f"reward; leave them out, or use per-reward:{self.rule.name}"
            )
        given = self.memory.k if self.memory is not None and k is None else k
        if given is None and self.rule.uses_k:
            raise ValueError(f"estimator={self.rule.name!r} needs the K of max@K: pass k=4, or another")
        self.k = as_k(1 if given is None else given)
        self.metrics: Mapping[str, float] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.rule.name!r}, k={self.k})"

    def __call__(
        self, rewards: Any, ids: Any, *, prompts: Any = None, lengths: Any = None, remember: bool = True
    ) -> Float:
        """Advantages (B,) in float64, for a loss that averages over rollouts.

        Parameters
        ----------
        rewards
            One a rollout, (B,), or a row of d, (B, d), for a rule of several; NaN or None where there is
            none. Any array, or a sequence.
        ids
            The group of each rollout, as ``ml.advantages`` takes ``group_ids``.
        prompts
            Of a memory: what says, in every step, which prompt the rollout is of. By default the group does.
        lengths
            Of a rule of lengths (``opo``): tokens of each rollout.
        remember
            False for an evaluation.

        Raises
        ------
        TypeError, ValueError
            As ``ml.advantages``; a group with two prompts.
        """
        values = _numbers(rewards)
        if values.ndim != 1 + self.several:
            raise ValueError(
                f"rewards have shape {values.shape}: {self.rule.name} takes "
                f"{'(B, d), several of each rollout' if self.several else '(B,), one of each rollout'}"
            )
        ids = list(ids)
        if not len(values):
            found = np.zeros(0)
        elif self.memory is not None:
            found = self._remembering(values, ids, prompts, remember)
        else:
            weighs = isinstance(self.rule, Weighing) and self.rule.takes_lengths
            found = advantages(
                values,
                self.k,
                estimator=cast("Any", self.rule),
                group_ids=ids,
                nan_policy="omit",
                small_groups=self.small_groups,
                reward_weights=self.reward_weights,
                lengths=_numbers(lengths) if weighs else None,
            )
        self.metrics = self._measured(values, ids, found)
        return cast("Float", found)

    def _remembering(self, values: Float, ids: list[Any], prompts: Any, remember: bool) -> Float:
        """Groups as rows that NaN fills up, so that two groups of one prompt stay two."""
        groups = by_id(ids, len(values))
        named = groups if prompts is None else by_id(list(prompts), len(values))
        number = np.empty(len(values), np.intp)
        number[named.order] = np.repeat(np.arange(len(named.names)), named.sizes)
        first = groups.order[np.cumsum(groups.sizes) - groups.sizes]
        other = np.asarray(number[groups.order] != np.repeat(number[first], groups.sizes))
        if other.any():
            row = int(groups.order[other][0])
            raise ValueError(
                f"prompts[{row}]={list(prompts)[row]!r}: its group {ids[row]!r} has another prompt"
            )
        place = np.arange(groups.sizes.max()) < groups.sizes[:, None]
        dense = np.full(place.shape, np.nan)
        dense[place] = values[groups.order]
        memory = cast("Replay", self.memory)
        each = memory.advantages(
            dense,
            named.names[number[first]],
            k=self.k,
            nan_policy="omit",
            small_groups=self.small_groups,
            remember=remember,
        )
        if self.memory_folder is not None and remember:
            replay_files.save(memory, self.memory_folder)
        found = np.empty(len(values))
        found[groups.order] = each[place]
        return found

    def _measured(self, values: Float, ids: list[Any], found: Float) -> dict[str, float]:
        measured = {"k": float(self.k)}
        if len(found):
            missing = np.asarray(np.isnan(values.reshape(len(values), -1)).all(axis=1))
            groups = by_id(ids, len(values))
            starts = np.cumsum(groups.sizes) - groups.sizes
            scored = np.add.reduceat(~missing[groups.order], starts, dtype=np.intp)
            largest = np.maximum.reduceat(np.abs(found)[groups.order], starts)
            small = {
                size for size in np.unique(scored).tolist() if not size or self.rule.why_not(size, self.k)
            }
            measured |= {
                "advantages/mean": float(found.mean()),
                "advantages/rms": float(np.sqrt(np.square(found).mean())),
                "advantages/largest": float(largest.max()),
                "advantages/dead_groups": float((largest == 0).mean()),
                "advantages/undefined_groups": float(np.isin(scored, list(small)).mean()),
                "advantages/unscored": float(missing.mean()),
            }
        remembered = {} if self.memory is None else self.memory.metrics
        return measured | {f"replay/{name}": value for name, value in remembered.items()}

    def warn(self, log: logging.Logger) -> None:
        """Say in a log what the latest call gave 0 for want of rewards, where it did."""
        lacking = ("advantages/unscored", "advantages/undefined_groups")
        if any(self.metrics.get(each) for each in lacking):
            shown = ", ".join(f"{each.partition('/')[2]} {self.metrics[each]:.3g}" for each in lacking)
            log.warning("%s: advantage 0 for want of rewards: shares: %s", self.rule.name, shown)


def _memory(estimator: CatalogueRule, k: int | None) -> Replay:
    if isinstance(estimator, Replay):
        if k is not None and k != estimator.k:
            raise ValueError(f"k={k} with a Replay of k={estimator.k}: leave k out")
        return estimator
    name = estimator if isinstance(estimator, str) else estimator.name
    if k is None:
        raise ValueError(f"estimator={name!r} needs the K of max@K: pass k=4, or another")
    return Replay(as_k(k), estimator=name)


def _rule(estimator: CatalogueRule) -> Entry:
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    if not isinstance(rule, Entry):
        raise TypeError(
            f"estimator={estimator!r} is a {type(estimator).__name__}: a name, an Estimator or a Replay is "
            f"needed, e.g. 'maxpo'"
        )
    if rule.kind == "memory":
        raise ValueError(
            f"estimator={rule.name!r} keeps a state of its own, which no framework carries: use one of "
            f"{', '.join(RULES)}, or a rule without a memory"
        )
    return rule


def _numbers(values: Any) -> Float:
    """An array of numbers, or a sequence with None where there is none, in float64."""
    if isinstance(values, Sequence):
        values = [np.nan if each is None else each for each in values]
        if values and isinstance(values[0], Sequence):
            values = [[np.nan if each is None else each for each in row] for row in values]
    return as_numpy(values).astype(np.float64)
