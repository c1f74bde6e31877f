"""``monte_carlo_updates``: the moments of updates where they cannot be exact, with standard errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from ...core.arguments import as_group_size, as_k, check_choice, real_number, whole_number
from ...core.arrays import Float
from ...losses import Loss, get_loss
from ...moments.updates.draws import DeadGroupPolicy
from ...objectives import Objective, as_objective, looks_at_k
from ...policies.levels import RewardLevels
from ...policies.listed import ListedRollouts
from ...policies.objective import gradient_coefficients
from ...policies.outcomes import Outcomes
from ...policies.rollouts import RolloutPolicy
from ...rules import k_at_most
from ..accumulators import ShardTree
from ..batched_rules import named
from ..estimates import Estimate
from ..experiments import flat_gradient
from ..sampled import finish
from .admission import AnyRule, admitted
from .result import SampledUpdates
from .shards import Loop, measure

#: Batches that rules are tried on.
_FIRST = 32


def monte_carlo_updates(
    estimators: AnyRule | Sequence[AnyRule] | Mapping[str, AnyRule],
    loss: str | Loss,
    policy: Outcomes | RolloutPolicy | Sequence[Outcomes | RolloutPolicy],
    *,
    n: int,
    k: int,
    updates: int,
    seed: int,
    target: str | Objective = "max@k",
    gradient: npt.ArrayLike | None = None,
    dead_groups: DeadGroupPolicy = "keep",
    duplicates: float = 0.0,
) -> SampledUpdates:
    """Mean and covariance of the updates of rules under a loss, from one sample for all.

    What ``update_moments`` gives exactly, with standard errors, and where it gives nothing: groups of too
    many levels, rules that couple the prompts of a batch, means over tokens that skip empty rollouts, and
    rollouts that cannot be listed.

    Parameters
    ----------
    estimators
        A rule of a group (a name, an ``Estimator``, or any callable ``(rewards (B, n), k) -> (B, n)`` on
        NumPy arrays), of a batch (a name, or ``batch_rule``), or of rewards and ratios (``ratio_rule``);
        several; or a mapping from names of your own to them.
    loss
        A name such as ``"trl:dapo"`` (see ``list_losses``), or a ``Loss``.
    policy
        Of the prompt, or of each prompt of a batch: ``Outcomes``, or a ``RolloutPolicy``, which draws
        rollouts it need not list: ``specimen.decisions(theta)`` of a tabular specimen,
        ``specimen.rollouts(theta)`` of a network, or one of your own.
    n, k
        Group size and K.
    updates
        How many updates to draw, each of a batch, at least 2.
    seed
        Root of the random streams, a whole number from 0 on.
    target
        The objective whose gradient, at the current policy, the mean is compared with.
    gradient
        That gradient, averaged over the prompts, d numbers of any shape; None: that of the policies, where
        all have reward levels. Else what is measured against it is None.
    dead_groups, duplicates
        As in ``update_moments``. A rule of a batch sees the groups that the loop keeps; dropped ones too, as
        they are masked after it.

    Returns
    -------
    SampledUpdates

    Raises
    ------
    TypeError, ValueError
        Bad arguments; a policy that breaks its contract; a rule that is undefined at (n, k) or not admitted;
        a loss that needs what a policy lacks; no group that lives where dead ones are drawn again.

    Notes
    -----
    The same to the bit for the same arguments. Updates are drawn in shards of up to 4,096, each from a stream
    of its own, and merged along a fixed tree: memory does not grow with ``updates``. Standard errors are
    those of means over updates, by the delta method, those of variances from fourth moments. Cost
    O(updates n T d).
    """
    n, k = as_group_size(n), as_k(k)
    asked = cast("dict[str, AnyRule]", named(cast("Any", estimators)))
    for each in asked.values() if looks_at_k(target) else ():
        as_k(k, n=k_at_most(each, n))
    check_choice("dead_groups", dead_groups, get_args(DeadGroupPolicy))
    if not 0 <= real_number(duplicates, "duplicates") < 1:
        raise ValueError(f"duplicates={duplicates!r}: must be in [0, 1)")
    if (count := whole_number(updates, "updates")) < 2:
        raise ValueError(f"updates={count}: a variance needs at least 2, and its error some hundreds")
    if (root := whole_number(seed, "seed")) < 0:
        raise ValueError(f"seed={root}: must be 0 or more")
    given = get_loss(loss) if isinstance(loss, str) else loss
    if not isinstance(given, Loss):
        raise TypeError(f"loss={loss!r} is a {type(loss).__name__}: pass a name or a Loss")
    prompts = _prompts(policy)
    policies = _drawing(prompts)
    objective = as_objective(target, n, k, argument="target")
    loop = Loop(
        loss=given,
        policies=policies,
        n=n,
        k=k,
        seed=root,
        dead_groups=dead_groups,
        duplicates=float(duplicates),
        gradient=_gradient(prompts, objective, gradient, policies[0].parameters),
    )
    first = loop.batches(-1, _FIRST)
    rules = admitted(
        asked,
        n,
        k,
        prompts=len(policies),
        rewards=first.rewards,
        log_ratios=first.rollout_log_ratios(),
    )
    return _sampled(loop, tuple(asked), rules, count, objective)


def _sampled(
    loop: Loop, names: tuple[str, ...], rules: list[Any], updates: int, objective: Objective
) -> SampledUpdates:
    tree, size = ShardTree(), loop.shard_updates(len(rules))
    done, mean, squares = 0, np.zeros(()), np.zeros(())
    live = seen = np.zeros(len(loop.policies))
    for shard in range(-(-updates // size)):
        part = measure(loop, names, rules, shard, min(size, updates - done))
        own = part.total.groups
        step = part.total.estimates.mean - mean
        squares = squares + part.squares + step**2 * (done * own / (done + own))
        mean = mean + step * (own / (done + own))
        done, live, seen = done + own, live + part.live, seen + part.seen
        tree.add(part.total)
    chances, smoothed = live / seen, (live + 2) / (seen + 4)
    error = float(np.sqrt(np.sum(smoothed * (1 - smoothed) / (seen + 4)))) / len(seen)
    return SampledUpdates(
        loss=loop.loss.name,
        prompts=len(loop.policies),
        dead_groups=loop.dead_groups,
        duplicates=loop.duplicates,
        objective=objective,
        alive=Estimate(float(chances.mean()), error),
        sample=finish(tree.total(), loop.gradient),
        standard_errors=np.sqrt(squares / ((done - 1) * done)),
    )


def _prompts(policy: Any) -> list[Outcomes | RolloutPolicy]:
    given = list(policy) if isinstance(policy, Sequence) else [policy]
    if not given:
        raise ValueError("policy is empty: pass that of one prompt at least")
    for each in given:
        if not isinstance(each, Outcomes | RolloutPolicy):
            raise TypeError(
                f"policy holds a {type(each).__name__}: it must be an Outcomes, or a RolloutPolicy (draw, "
                f"rewards, tokens, weighted_scores), or a sequence of them; of a specimen: "
                f"specimen.outcomes(theta)"
            )
    return given


def _drawing(prompts: Sequence[Outcomes | RolloutPolicy]) -> list[RolloutPolicy]:
    """As policies that draw; the same for the same prompt."""
    made: dict[int, RolloutPolicy] = {
        id(each): ListedRollouts(each) if isinstance(each, Outcomes) else each for each in prompts
    }
    parameters = {each.parameters for each in made.values()}
    if len(parameters) > 1:
        raise ValueError(
            f"policies have {' and '.join(map(str, sorted(parameters)))} parameters: prompts of a batch "
            f"share them"
        )
    return [made[id(each)] for each in prompts]


def _gradient(
    prompts: Sequence[Outcomes | RolloutPolicy], objective: Objective, given: Any, parameters: int
) -> Float | None:
    if given is not None:
        return flat_gradient(given, parameters)
    known = {id(each): _own_gradient(each, objective) for each in prompts}
    found = [own for each in prompts if (own := known[id(each)]) is not None]
    return np.asarray(np.mean(found, axis=0)) if len(found) == len(prompts) else None


def _own_gradient(policy: Any, objective: Objective) -> Float | None:
    if not hasattr(policy, "levels"):
        return None
    levels: RewardLevels = policy.levels(covariances=None)
    return np.asarray(gradient_coefficients(levels, objective) @ levels.mean_scores)
