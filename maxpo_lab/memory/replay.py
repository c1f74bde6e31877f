r"""Replay in a training loop: a memory by prompt, and advantages that use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import array_api_compat
import numpy as np
from array_api_compat import numpy as host

from ..core.arguments import as_k, check_choice, finite_number, whole_number
from ..core.arrays import Array, Bool, Float, Int
from ..estimators import get_estimator
from ..estimators.families.with_memory.with_history import SHARES, HistoryEstimator, Share
from ..estimators.history import learned, plug_in_floor, replay
from . import answers as of_answers
from .batches import Batch
from .recall import Past
from .recall import remember as store
from .states import State, packed, unpacked
from .table import Table

#: The rules that take a history.
RULES = ("replay", "centered-replay", "plug-in-floor", "pooled")


class Replay:
    r"""Advantages of a training loop whose prompts come again, with a memory of their earlier rewards.

    .. math:: A_i = (1-\lambda)\, \text{maxpo}_i + \lambda\, K \big( \Phi_i(R_i) - \tfrac1W \sum_k w_k
              \Phi_i(y_k) \big)

    y are the last ``keep`` rewards of the prompt with weights w that sum to W, and :math:`\Phi_i(x)` is the
    mean excess of x over the best of K-1 of the others. The history never holds a rollout whose baseline it
    makes: a step is answered from the memory before it, and remembered afterwards. So the rule is unbiased
    for max@K whatever the memory holds, of a policy that has moved on too, and staleness costs variance
    alone.

    Parameters
    ----------
    k
        The K of max@K, ``1 <= k <= n``.
    estimator
        ``"replay"``, or ``"centered-replay"``, ``"plug-in-floor"``, ``"pooled"``.
    keep
        Rewards of a prompt that are kept, the latest.
    half_life
        Steps after which a reward counts half: ``w = 2^(-age / half_life)``, its age the steps since it was
        given. None: all that is kept counts alike.
    weight
        How replay finds :math:`\lambda`: ``"ema"`` from earlier steps, ``"others"`` from the other groups of
        the step, ``"fair"`` as ``W / (n - K + W)``. With nothing to learn from, as in the first step, it is
        0. The other rules have none.

    Raises
    ------
    TypeError, ValueError
        An argument that cannot be honoured; the message names a valid choice.

    Attributes
    ----------
    rule
        The entry of the catalogue.
    step
        Steps remembered.
    metrics
        Of the latest call, by name: see ``advantages``.

    Notes
    -----
    *Prompts* are known by 64 bits of their id or text, the same in every process.

    *Memory*: 8 bytes a reward, 12 with a half-life, and about 70 a prompt: 0.6 GB (0.85) for a million
    prompts with 64 rewards each. *Cost* of a step of G groups of n: O(G (n log n + keep log keep)), on the
    CPU.

    *Processes*: give each the rewards of all of them, in one order. The memories stay equal to the bit, and
    any number of processes goes on from the state of one.

    *Dead groups*: replay has advantages on groups that fail together. A trainer that drops such groups, or
    draws them again, makes it biased.
    """

    def __init__(
        self,
        k: int,
        *,
        estimator: str = "replay",
        keep: int = 64,
        half_life: float | None = None,
        weight: Share = "ema",
    ) -> None:
        self.k = as_k(k)
        check_choice("estimator", estimator, RULES)
        check_choice("weight", weight, SHARES)
        if whole_number(keep, "keep") < 1:
            raise ValueError(f"keep={keep}: at least 1 reward of a prompt is kept, e.g. keep=64")
        if half_life is not None and not finite_number(half_life, "half_life") > 0:
            raise ValueError(f"half_life={half_life!r}: must be positive, in steps, or None for no decay")
        if estimator != "replay" and weight != "ema":
            raise ValueError(f"weight={weight!r} with {estimator}: lambda is of replay alone; leave it out")
        if estimator == "pooled" and half_life is not None:
            raise ValueError(
                f"half_life={half_life!r} with pooled: a subset has no place for part of a reward; use replay"
            )
        self.estimator, self.keep, self.half_life = estimator, int(keep), half_life
        self.weight: Share = weight
        self.step = 0
        self.metrics: Mapping[str, float] = {}
        self.rule = cast("HistoryEstimator", get_estimator(estimator))
        self._table = Table(self.keep, half_life is not None)
        self._average = learned.MovingAverage()

    def advantages(
        self,
        rewards: Any,
        prompts: Any,
        *,
        answers: Any = None,
        k: int | None = None,
        nan_policy: Literal["raise", "omit"] = "raise",
        small_groups: Literal["raise", "zero"] = "raise",
        remember: bool = True,
    ) -> Array:
        """Advantages of a step from what was remembered before it; then the step is remembered.

        Parameters
        ----------
        rewards
            Shape (P, n): groups of n rollouts; or (B,), a rollout a row.
        prompts
            The id or text of each group's prompt (P,), or of each row's (B,), where rows of equal id are a
            group. Integers, text, bytes or UUIDs, all of one kind, that mean the same prompt in every step. A
            prompt that is twice in (P,) has two groups, which both see the memory before the step.
        answers
            The answer that each rollout gave, text or hashes of the rewards' shape, for ``"replay"`` on 0/1
            rewards: where the right rollouts of a prompt's earlier groups nearly all gave one answer (see
            ``memory.answers``), its group gets plug-in-floor, which is better there.
        k
            The K of this step where a schedule moves it.
        nan_policy, small_groups
            As in ``maxpo_lab.training``. A group that has no history yet is small for ``centered-replay`` at
            k = n, and for ``pooled`` at k >= n.
        remember
            False for an evaluation: nothing is changed.

        Returns
        -------
        array of the shape of ``rewards``
            Same array type, dtype and device, for the mean convention. Computed in float64 on the CPU.

        Raises
        ------
        TypeError, ValueError
            As ``maxpo_lab.training``; answers with another rule, of another shape, or with rewards other than
            0 and 1. Nothing is remembered then.

        Notes
        -----
        ``metrics`` holds, where there is any:

        - ``lambda``: mean over the groups with a history;
        - ``known``: share of groups that have one;
        - ``history_size``, ``history_age``: its rewards, and the steps since the latest, means over these;
        - ``dead_groups``: share of groups whose rewards are all equal;
        - ``one_answer``: share of groups that got plug-in-floor for their answers;
        - ``prompts``: how many are remembered.
        """
        k = self.k if k is None else as_k(k)
        check_choice("nan_policy", nan_policy, ("raise", "omit"))
        check_choice("small_groups", small_groups, ("raise", "zero"))
        batch = Batch.of(rewards, prompts, allow_nan=nan_policy == "omit")
        given = None
        if answers is not None:
            self._check_answers(batch)
            given = of_answers.coded(answers, tuple(batch.rewards.shape), batch.scored)
        past = Past.of(self._table, batch, self.step + 1, self.half_life)
        one = np.zeros(len(batch.groups), np.bool_) if given is None else past.one_answer(self._table, batch)
        found, lam, average = self._found(batch, past, one, k, drop=small_groups == "zero")
        metrics = self._measured(batch, past, lam, one)
        if given is not None:
            metrics["one_answer"] = float(one.mean()) if len(one) else 0.0
        if remember:
            self.step += 1
            store(self._table, batch, past, given, self.step)
            self._average = average
        self.metrics = metrics | {"prompts": float(self._table.size)}
        back = found.reshape(tuple(batch.rewards.shape))
        if isinstance(batch.rewards, np.ndarray):
            return back.astype(batch.rewards.dtype)
        device = array_api_compat.device(batch.rewards)
        return batch.xp.asarray(back, dtype=batch.rewards.dtype, device=device)

    def state_dict(self) -> State:
        """A copy of the memory, for a checkpoint: NumPy arrays by name, without objects.

        Settings are not in it, but ``keep``. Cost O(N keep) of N prompts, in time and memory.
        """
        average = self._average
        return packed(self._table, step=self.step, along=average.along, apart=average.apart)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state: the same steps then give the same bits. Arrays may have become tensors.

        Raises
        ------
        TypeError, ValueError
            Not a state of a ``Replay``, one of another version or ``keep``, or a damaged one, by name. The
            memory stays what it was.
        """
        table, step, along, apart = unpacked(state, keep=self.keep, aged=self.half_life is not None)
        self._table, self.step, self._average = table, step, learned.MovingAverage(along, apart)

    def __repr__(self) -> str:
        settings = f"{self.k}, estimator={self.estimator!r}, keep={self.keep}, half_life={self.half_life!r}"
        return f"Replay({settings}, weight={self.weight!r}): {self._table.size} prompts, step {self.step}"

    def _check_answers(self, batch: Batch) -> None:
        if self.estimator != "replay":
            raise ValueError(
                f"answers with {self.estimator}: they choose between replay and plug-in-floor; use "
                f"estimator='replay'"
            )
        values = batch.flat if batch.scored is None else batch.flat[batch.scored]
        if (other := (values != 0) & (values != 1)).any():
            raise ValueError(
                f"answers with a reward of {values[other][0]:g}: they say which right rollouts agree, and "
                f"plug-in-floor is defined for 0/1 rewards alone; leave answers out"
            )

    def _found(
        self, batch: Batch, past: Past, one: Bool, k: int, *, drop: bool
    ) -> tuple[Float, Float, learned.MovingAverage]:
        """Advantages (B,), the lambda of each group, and the averages after this step."""
        found = np.zeros(batch.flat.size)
        lam = np.zeros(len(batch.groups))
        if self.estimator != "replay":
            for groups, rows in self._defined(batch, past, k, drop=drop):
                each = self.rule.at_history(
                    host, batch.flat[rows], k, past.y[groups], past.w[groups], history_sorted=True
                )
                found[rows] = each
            return found, lam, self._average
        along, apart = (np.zeros(len(batch.groups)) for _ in range(2))
        mixed: list[tuple[Int, Int, Float, Float]] = []
        for groups, rows in self._defined(batch, past, k, drop=drop):
            floored = one[groups]
            if floored.any():
                few, floor = groups[floored], rows[floored]
                values, y, w = batch.flat[floor], past.y[few], past.w[few]
                found[floor] = plug_in_floor.plug_in_floor(host, values, k, y, w)
                groups, rows = groups[~floored], rows[~floored]  # noqa: PLW2901 - the others
            if len(groups):
                values, y, w = _all_of(batch.flat, rows), _all_of(past.y, groups), _all_of(past.w, groups)
                n = rows.shape[1]
                lam[groups] = replay.largest_share(host, w, n=n, k=k)
                if self.weight == "fair":
                    _put(found, rows, replay.replay(host, values, k, y, w, history_sorted=True))
                    continue
                plain, against = replay.parts(host, values, k, y, w, history_sorted=True)
                products = learned.inner_products(host, plain, against)
                along[groups], apart[groups] = (each / n**2 for each in products)  # as g is a mean over n
                mixed.append((groups, rows, plain, against))
        taken = np.sort(np.concatenate([each[0] for each in mixed])) if mixed else np.zeros(0, np.intp)
        lam[taken] = self._lambda(taken, along, apart, lam[taken])
        for groups, rows, plain, against in mixed:
            _put(found, rows, plain - lam[groups][:, None] * (plain - against))
        average = self._average
        if self.weight == "ema" and len(taken):
            average = self._learned(taken, along, apart)
        return found, lam, average

    def _learned(self, groups: Int, along: Float, apart: Float) -> learned.MovingAverage:
        """The averages with the sums of these groups of a step."""
        return self._average.updated(float(along[groups].sum()), float(apart[groups].sum()))

    def _lambda(self, groups: Int, along: Float, apart: Float, most: Float) -> Float:
        """The learned share of the history of these groups; it looks at no group that it is for."""
        if self.weight == "ema":
            return np.asarray(self._average.lam(host, most))
        if len(most) < 2:  # no others to learn from
            return np.zeros_like(most)
        return np.asarray(learned.leave_one_out(host, along[groups], apart[groups], most))

    def _defined(self, batch: Batch, past: Past, k: int, *, drop: bool) -> list[tuple[Int, Int]]:
        """Buckets of the groups on which the rule is defined; ValueError for another one, unless dropped."""
        kept = []
        for groups, rows in batch.buckets:
            n = rows.shape[1]
            weights = _all_of(past.w, groups)
            if not self.rule.undefined(n, k, weights, self.keep) and not self.rule.why_not(n, min(k, n)):
                kept.append((groups, rows))
                continue
            reasons = [self.rule.undefined(n, k, each[None], self.keep) for each in weights]
            if not drop:
                first = next((i for i, reason in enumerate(reasons) if reason), 0)
                raise ValueError(
                    f"group {batch.name(groups[first])} has {n} scored rollouts and "
                    f"{past.count[groups[first]]} earlier rewards: "
                    f"{reasons[first] or self.rule.why_not(n, k)}; small_groups='zero' gives such groups "
                    f"advantage 0"
                )
            fine = np.array([reason is None for reason in reasons])
            if fine.any():
                kept.append((groups[fine], rows[fine]))
        return kept

    def _measured(self, batch: Batch, past: Past, lam: Float, one: Bool) -> dict[str, float]:
        groups = len(batch.groups)
        if not groups:
            return {}
        known = past.count > 0
        flat = 0
        for _, rows in batch.buckets:
            values = _all_of(batch.flat, rows)
            flat += int((values == values[:, :1]).all(axis=-1).sum())
        found = {"known": float(known.mean()), "dead_groups": flat / groups}
        if known.any():
            found["history_size"] = float(past.count[known].mean())
            found["history_age"] = float(past.age[known].mean())
            if self.estimator == "replay" and (taken := known & ~one).any():
                found["lambda"] = float(lam[taken].mean())
        return found


def _all_of(values: Float, rows: Int) -> Float:
    """``values[rows]``, without a copy where that is all of them in their order."""
    if _are_all(values, rows):
        return values.reshape(*rows.shape, *values.shape[1:])
    return values[rows]


def _put(values: Float, rows: Int, given: Float) -> None:
    """``values[rows] = given``, in one piece where that is all of them in their order."""
    if _are_all(values, rows):
        values.reshape(rows.shape)[...] = given
    else:
        values[rows] = given


def _are_all(values: Float, rows: Int) -> bool:
    flat = rows.reshape(-1)
    if len(flat) != len(values) or flat[0] != 0 or flat[-1] != len(flat) - 1:
        return False
    return bool((flat[1:] > flat[:-1]).all())
