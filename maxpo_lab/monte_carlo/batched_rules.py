"""Several rules on one batch of torch rewards, from one sort where they allow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import array_api_compat
import numpy as np
import torch

from .. import rules
from ..core.arguments import whole_number
from ..core.arrays import Float
from ..core.precision import as_numpy
from ..estimators import BatchEstimator, Estimator, get_estimator
from ..estimators.entry import Entry
from .matrices import SMALL, RuleMatrices
from .one_sort import OneSort, from_one_sort

#: Levels of a first batch that a rule is tried on at most.
_LEVELS = 8


def on_numpy(rule: rules.Rule) -> rules.Rule:
    """Lift a rule that takes NumPy arrays to torch tensors: through the CPU and back, call by call."""

    def lifted(rewards: torch.Tensor, k: int) -> torch.Tensor:
        return torch.as_tensor(as_numpy(rule(rewards.cpu().numpy(), k)), device=rewards.device)

    lifted.__name__ = rules.describe(rule)
    return lifted


@dataclass(frozen=True, eq=False)
class BatchedRules:
    """Rules that are evaluated together.

    Attributes
    ----------
    names
        What each is called, all different.
    rules
        The callables, torch to torch.
    n, k
        Where they are defined.
    prompts
        Groups of an estimate, which a rule of batches sees together.
    matrices, scans
        The rank-linear ones, on the device of the rewards: those on small groups, and those on others.
    """

    names: tuple[str, ...]
    rules: tuple[rules.Rule | rules.OfBatches, ...]
    n: int
    k: int
    prompts: int
    matrices: RuleMatrices | None
    scans: OneSort

    def __call__(
        self, rewards: torch.Tensor, batches: int = 1
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Advantages (rules, groups, n), float64, of rewards (groups, n), the rewards, and their order.

        Advantages and rewards are in one order: None where it is that of the rewards given, else the place
        ``g n + i`` that each member has there, int64 (groups, n). From matrices advantages come by rank, and
        to permute the scores once is less than to permute every rule's numbers. Where there is nothing else,
        groups of zeros, to whom matrices give zeros, are left out on a CPU, as many of each of the
        ``batches`` of equal size. Numbers on a GPU are not looked at, which would wait for it to have made
        them: see the checks below.

        Raises TypeError or ValueError for a rule that gives anything but one real number per rollout.
        """
        if self.matrices and len(self.matrices.places) == len(self.rules):
            some = _paid(rewards, batches) if self.prompts == 1 else None
            ranked, places = _ranked(rewards, some)
            return self.matrices(ranked), ranked, places
        if len(self.scans.places) == len(self.rules):
            return self.scans(rewards), rewards, None
        ranked, order = rewards, None
        result = rewards.new_empty(len(self.rules), *rewards.shape)
        if self.matrices:
            ranked, order = _ranked(rewards, None)
            result[self.matrices.places] = self.matrices(ranked)
        if self.scans.places:
            result[self.scans.places] = self.scans(rewards)
        for index, rule in enumerate(self.rules):
            if not from_one_sort(rule):
                if rules.couples(rule):
                    found = _evaluate_batches(rule, self.names[index], rewards, self.k, self.prompts)
                else:
                    found = _evaluate(rule, self.names[index], rewards, self.k)
                result[index] = found if order is None else found.flatten()[order]
        return result, ranked, order

    def check_domains(self, rewards: Sequence[torch.Tensor]) -> None:
        """Raise ValueError for a rule of the catalogue that is not defined on rewards, (groups, n) each."""
        choosy = [rule for rule in self.rules if isinstance(rule, Entry) and rule.domain != "real"]
        if not choosy:
            return
        together = torch.cat(list(rewards))
        for rule in choosy:
            if reason := rule.why_not_rewards(together):
                raise ValueError(reason)

    def check_finite(self, rewards: torch.Tensor, advantages: torch.Tensor) -> None:
        """Raise ValueError for a rule that gave a number that is not finite."""
        for name, found in zip(self.names, advantages, strict=True):
            _check_finite(found, name, rewards, self.k)


def _paid(rewards: torch.Tensor, batches: int) -> torch.Tensor | None:
    """Groups with a reward other than 0, as many of each batch; None on a GPU, and where that is all."""
    if rewards.device.type != "cpu":
        return None
    batch = len(rewards) // batches
    by_member = np.ascontiguousarray((rewards.numpy() != 0).T)  # along a short axis sums are slow
    rows = np.logical_or.reduce(by_member, axis=0).reshape(batches, batch)
    most = max(1, int(np.count_nonzero(rows, axis=1).max()))
    if most == batch:
        return None
    first = np.argsort(~rows, axis=1, kind="stable")[:, :most]
    return torch.from_numpy((first + batch * np.arange(batches)[:, None]).ravel())


def _ranked(rewards: torch.Tensor, some: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Rewards (groups, n) of all groups or some, ascending, and their places among the members of all."""
    groups, n = rewards.shape
    first = torch.arange(0, groups * n, n, device=rewards.device)
    if some is not None:
        rewards, first = rewards.index_select(0, some), n * some
    ranked, order = rewards.sort(dim=-1)
    return ranked, order.add_(first[:, None])


def named(
    estimators: str
    | rules.Rule
    | rules.OfBatches
    | Sequence[str | rules.Rule | rules.OfBatches]
    | Mapping[str, str | rules.Rule | rules.OfBatches],
) -> dict[str, str | rules.Rule | rules.OfBatches]:
    """One rule or several by name, each once; ValueError where there is none, or two of one name."""
    if isinstance(estimators, Mapping):
        pairs = list(estimators.items())
    elif isinstance(estimators, str) or not isinstance(estimators, Sequence):
        pairs = [(rules.describe(estimators), estimators)]
    else:
        pairs = [(rules.describe(each), each) for each in estimators]
    if not pairs:
        raise ValueError("estimators is empty: give at least one, e.g. estimators='maxpo'")
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"estimators holds {twice[0]!r} twice: results go by name; give each its own, e.g. "
            f"estimators={{'mine': rule, 'theirs': other}}"
        )
    return dict(pairs)


def admit(
    estimators: str
    | rules.Rule
    | rules.OfBatches
    | Sequence[str | rules.Rule | rules.OfBatches]
    | Mapping[str, str | rules.Rule | rules.OfBatches],
    n: int,
    k: int,
    *,
    device: torch.device,
    batch: int,
    draw: Callable[[], torch.Tensor],
    prompts: int = 1,
) -> BatchedRules:
    """One rule or several, admitted at (n, k) on tensors of a device, and of different names.

    Parameters
    ----------
    estimators
        As in ``monte_carlo_moments``.
    n, k
        Where they must be defined.
    device
        Where the rewards will be.
    batch
        Groups of a call.
    draw
        Rewards of a first batch, (batch, n): asked for where a user's rule answers neither to 0/1 nor to
        graded rewards, to try it on what it will meet.
    prompts
        Groups of a batch, for rules of batches.

    Raises
    ------
    TypeError
        Something that is neither a name nor callable.
    ValueError
        No rule at all, an unknown name, two rules of one name, or a rule undefined at (n, k).
    RandomRuleError, StatefulRuleError, CoupledRowsError
        As ``rules.admit``.
    """
    asked = named(estimators)
    admitted = tuple(
        _admitted(rule, name, n=n, k=k, device=device, batch=batch, draw=draw, prompts=prompts)
        for name, rule in asked.items()
    )
    linear = [(place, rule) for place, rule in enumerate(admitted) if from_one_sort(rule)]
    small = bool(linear) and n <= SMALL[device.type]
    matrices = RuleMatrices.of(linear, n, k, device) if small else None
    scans = OneSort.of(() if small else admitted, k)
    return BatchedRules(tuple(asked), admitted, n, k, prompts, matrices, scans)


def _admitted(
    estimator: str | rules.Rule | rules.OfBatches,
    name: str,
    *,
    n: int,
    k: int,
    device: torch.device,
    batch: int,
    draw: Callable[[], torch.Tensor],
    prompts: int,
) -> rules.Rule | rules.OfBatches:
    """One rule; tried on the levels of a first batch where it answers to no others."""

    def lift(rule: rules.Rule) -> rules.Rule:
        def lifted(rewards: Float, k: int) -> Float:
            given = torch.as_tensor(rewards, device=device)
            found = _evaluate(rule, name, given, k)
            _check_finite(found, name, given, k)
            return as_numpy(found)

        lifted.__name__ = name
        return lifted

    asked = get_estimator(estimator) if isinstance(estimator, str) else estimator
    if rules.couples(asked):
        if not isinstance(asked, BatchEstimator):
            met = np.unique(draw().cpu().numpy())
            rules.admit_batch(
                replace(asked, function=lift(asked.function)), n, k, prompts=prompts, values=met
            )
        elif reason := asked.why_not(n, k) or asked.why_not_batch(prompts):
            raise ValueError(reason)
        return asked
    rule = rules.resolve(asked, n, k)
    try:
        return rules.admit(rule, n, k, batch=batch, lift=lift)
    except (rules.RandomRuleError, rules.CoupledRowsError):
        raise
    except Exception:  # of a stranger's rule that is defined on other rewards
        met = np.unique(draw().cpu().numpy())
        values = met[np.unique(np.linspace(0, len(met) - 1, _LEVELS).astype(int))]
        return rules.admit(rule, n, k, values=values, batch=batch, lift=lift)


def _evaluate_batches(
    rule: rules.OfBatches, name: str, rewards: torch.Tensor, k: int, prompts: int
) -> torch.Tensor:
    """Advantages (groups, n) of consecutive batches of ``prompts`` groups, each by itself."""
    batches = rewards.reshape(-1, prompts, rewards.shape[-1])
    if isinstance(rule, BatchEstimator):
        xp = array_api_compat.array_namespace(rewards)
        return torch.as_tensor(rule.unchecked(xp, batches, k)).reshape(rewards.shape)
    return torch.cat([_evaluate(rule.function, name, each, k) for each in batches])


def prompts_of(estimators: Any, batch: int | None) -> int:
    """Groups of an estimate: what is asked for, at least 1, and 1 for rules of groups where nothing is.

    Raises ValueError for a rule of batches without it, or less than 1.
    """
    if batch is not None:
        if (prompts := whole_number(batch, "batch")) < 1:
            raise ValueError(f"batch={prompts}: a batch has at least one group, e.g. batch=32")
        return prompts
    for name, rule in named(estimators).items():
        if rules.couples(get_estimator(rule) if isinstance(rule, str) else rule):
            raise ValueError(
                f"{name} couples the groups of a batch: say how many a batch has, e.g. batch=32; its "
                f"moments are "
                f"of that"
            )
    return 1


def _evaluate(rule: rules.Rule, name: str, rewards: torch.Tensor, k: int) -> torch.Tensor:
    """One rule's advantages; a user's gets a copy, so one that writes into its input harms nobody."""
    if isinstance(rule, Estimator):
        return torch.as_tensor(rule.unchecked(array_api_compat.array_namespace(rewards), rewards, k))
    through_numpy = "wrap a rule that takes NumPy arrays with maxpo_lab.on_numpy"
    try:
        found = rule(rewards.clone(), k)
    except TypeError as error:
        raise TypeError(f"{name} failed on a torch tensor ({error}): {through_numpy}") from error
    if not isinstance(found, torch.Tensor):
        raise TypeError(f"{name} returned a {type(found).__name__}, not a torch tensor: {through_numpy}")
    if found.shape != rewards.shape:
        raise ValueError(
            f"{name} returned shape {tuple(found.shape)} for rewards of shape {tuple(rewards.shape)}: a rule "
            f"maps (B, n) to (B, n); lift one for a single group with "
            f"maxpo_lab.on_numpy(maxpo_lab.per_group(rule))"
        )
    if found.dtype.is_complex:
        raise TypeError(f"{name} returned dtype {found.dtype}: advantages must be real numbers")
    if found.device != rewards.device:
        raise ValueError(f"{name} returned a tensor on {found.device}: it must be on {rewards.device}")
    return found.detach()


def _check_finite(found: torch.Tensor, name: str, rewards: torch.Tensor, k: int) -> None:
    """Raise ValueError where a rule's advantages (groups, n) are not finite, with the first group."""
    finite = torch.isfinite(found)
    if not finite.all():
        row = int((~finite).any(dim=-1).nonzero()[0, 0])
        raise ValueError(
            f"{name} returned {found[row].tolist()} for the group {rewards[row].tolist()} at k={k}: "
            f"advantages must be finite"
        )
