r"""Replay in a training loop: a memory by prompt, and advantages that use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from .states import State, packed, unpacked
from .table import Step, Table

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
        the step, ``"fair"`` as ``W / (n - K + W)``. The other rules have none.

    Raises
    ------
    TypeError, ValueError
        An argument that cannot be honoured; the message names a valid choice.

    Attributes
    ----------
    step
        Steps remembered.
    metrics
        Of the latest call, by name: see ``advantages``.

    Notes
    -----
    *Prompts* are known by 64 bits of their id or text, the same in every process. *Memory* 8 bytes a reward, 12
    with a half-life, and 64 a prompt: 0.6 GB for a million prompts with 64 rewards each. *Cost* of a step of G groups of n:
    O(G (n log n + keep log keep)), on the CPU.

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
        self._rule = cast("HistoryEstimator", get_estimator(estimator))
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
        ``metrics`` holds, where there is any: ``lambda``, mean over the groups with a history; ``known``, the
        share of groups that have one; ``history_size``, its rewards, and ``history_age``, the steps since
        the latest of them, means over these; ``dead_groups``, the share of groups whose rewards are all equal; ``one_answer``, the share
        of groups that got plug-in-floor for their answers; ``prompts``, how many are remembered.
        """
        k = self.k if k is None else as_k(k)
        check_choice("nan_policy", nan_policy, ("raise", "omit"))
        check_choice("small_groups", small_groups, ("raise", "zero"))
        batch = Batch.of(rewards, prompts, allow_nan=nan_policy == "omit")
        given = None
        if answers is not None:
            self._check_answers(batch)
            given = of_answers.coded(answers, tuple(batch.rewards.shape), batch.scored)
        past = self._past(batch, chosen=given is not None)
        found, lam, average = self._found(batch, past, k, drop=small_groups == "zero")
        metrics = self._measured(batch, past, lam, answers=given is not None)
        if remember:
            self._remember(batch, past, given)
            self._average = average
            self.step += 1
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

    def _past(self, batch: Batch, *, chosen: bool) -> _Past:
        """What is remembered of each group's prompt."""
        rows = self._table.find(batch.prompts)
        y, steps, count = self._table.read(rows)
        now, fade = self.step + 1, np.ones(len(rows))
        there, full = None, bool((count == y.shape[1]).all())
        if not full:
            there = np.arange(y.shape[1], dtype=np.int32) < count[:, None]
        age = np.where(count > 0, now - self._table.seen[rows], 0)
        if self.half_life is None:
            if there is None:
                y.sort(axis=-1)
                w = np.broadcast_to(1.0, y.shape)
            else:
                y[~there] = np.inf
                y.sort(axis=-1)  # what there is comes first, in order
                y = np.where(there, y, _last(y, count))
                w = there.astype(np.float64)
        else:
            w = np.exp2((steps - now) / self.half_life)
            if there is not None:
                w[~there] = 0.0
            fade = np.exp2(-age / self.half_life)
            order = np.argsort(y, axis=-1)
            y, w = (np.take_along_axis(each, order, axis=-1) for each in (y, w))
        one = np.zeros(len(rows), np.bool_)
        if chosen:
            equal, pairs = self._counts(rows, fade)
            table = self._table
            totals = float(table.equal[: table.size].sum()), float(table.pairs[: table.size].sum())
            one = of_answers.shares(equal, pairs, totals) > of_answers.ONE_ANSWER
            if (bad := one & ((y != 0) & (y != 1) & (w > 0)).any(axis=-1)).any():
                name = batch.name(int(np.argmax(bad)))
                raise ValueError(
                    f"answers, and group {name} has earlier rewards other than 0 and 1: plug-in-floor is defined "
                    f"for 0/1 rewards alone; leave answers out"
                )
        return _Past(rows, y, w, count, age, fade, one)

    def _counts(self, rows: Int, fade: Float) -> tuple[Float, Float]:
        """Pairs of right answers that agree, and all of them, of each row until now."""
        known = np.where(rows >= 0, fade, 0.0)
        return known * self._table.equal[rows], known * self._table.pairs[rows]

    def _found(
        self, batch: Batch, past: _Past, k: int, *, drop: bool
    ) -> tuple[Float, Float, learned.MovingAverage]:
        """Advantages (B,), the lambda of each group, and the averages after this step."""
        found = np.zeros(batch.flat.size)
        lam = np.zeros(len(batch.groups))
        if self.estimator != "replay":
            for groups, rows in self._defined(batch, past, k, drop=drop):
                each = self._rule.at_history(
                    host, batch.flat[rows], k, past.y[groups], past.w[groups], history_sorted=True
                )
                found[rows] = each
            return found, lam, self._average
        along, apart = (np.zeros(len(batch.groups)) for _ in range(2))
        mixed: list[tuple[Int, Int, Float, Float]] = []
        for groups, rows in self._defined(batch, past, k, drop=drop):
            one = past.one[groups]
            if one.any():
                few, floor = groups[one], rows[one]
                values, y, w = batch.flat[floor], past.y[few], past.w[few]
                found[floor] = plug_in_floor.plug_in_floor(host, values, k, y, w)
                groups, rows = groups[~one], rows[~one]  # noqa: PLW2901 - the others
            if len(groups):
                values, y, w = _all_of(batch.flat, rows), _all_of(past.y, groups), _all_of(past.w, groups)
                n = rows.shape[1]
                lam[groups] = replay.largest_share(host, w, n=n, k=k)
                if self.weight == "fair":
                    found[rows] = replay.replay(host, values, k, y, w, history_sorted=True)
                    continue
                plain, against = replay.parts(host, values, k, y, w, history_sorted=True)
                products = learned.inner_products(host, plain, against)
                along[groups], apart[groups] = (each / n**2 for each in products)  # as g is a mean over n
                mixed.append((groups, rows, plain, against))
        if self.weight == "others" and (reason := learned.why_not(len(batch.groups))):
            raise ValueError(reason)
        taken = np.sort(np.concatenate([each[0] for each in mixed])) if mixed else np.zeros(0, np.intp)
        lam[taken] = self._lambda(along[taken], apart[taken], lam[taken])
        for groups, rows, plain, against in mixed:
            found[rows] = plain - lam[groups][:, None] * (plain - against)
        average = self._average
        if self.weight == "ema" and len(taken):
            average = average.updated(float(along[taken].sum()), float(apart[taken].sum()))
        return found, lam, average

    def _lambda(self, along: Float, apart: Float, most: Float) -> Float:
        """The learned share of the history, (G,), at most ``most``; it looks at no group that it is for."""
        if self.weight == "ema":
            return np.asarray(self._average.lam(host, most))
        if len(most) < 2:  # the others got another rule: there is nothing to learn from
            return np.zeros_like(most)
        return np.asarray(learned.leave_one_out(host, along, apart, most))

    def _defined(self, batch: Batch, past: _Past, k: int, *, drop: bool) -> list[tuple[Int, Int]]:
        """Buckets of the groups on which the rule is defined; ValueError for another one, unless dropped."""
        kept = []
        for groups, rows in batch.buckets:
            n = rows.shape[1]
            weights = past.w[groups]
            if not self._rule.undefined(n, k, weights, self.keep) and not self._rule.why_not(n, min(k, n)):
                kept.append((groups, rows))
                continue
            reasons = [self._rule.undefined(n, k, each[None], self.keep) for each in weights]
            if not drop:
                first = next((i for i, reason in enumerate(reasons) if reason), 0)
                raise ValueError(
                    f"group {batch.name(groups[first])} has {n} scored rollouts and "
                    f"{past.count[groups[first]]} earlier rewards: "
                    f"{reasons[first] or self._rule.why_not(n, k)}; small_groups='zero' gives such groups "
                    f"advantage 0"
                )
            fine = np.array([reason is None for reason in reasons])
            if fine.any():
                kept.append((groups[fine], rows[fine]))
        return kept

    def _remember(self, batch: Batch, past: _Past, answers: Int | None) -> None:
        """Put the step's rewards into the memory; the groups of one prompt one after the other."""
        rows = self._table.add(batch.prompts, past.rows)
        turn = _turns(rows)
        table = self._table
        for number in range(int(turn.max(initial=-1)) + 1):
            for groups, places in batch.buckets:
                now = turn[groups] == number
                own, values = rows[groups[now]], batch.flat[places[now]]
                if not len(own):
                    continue
                if answers is not None:
                    forget = max(0.0, 1 - places.shape[1] / self.keep)
                    fade = past.fade[groups[now]] if not number else 1.0
                    equal, pairs = of_answers.agreement(answers[places[now]], values == 1)
                    table.equal[own] = forget * fade * table.equal[own] + equal
                    table.pairs[own] = forget * fade * table.pairs[own] + pairs
                table.record(own, values, self.step + 1)

    def _measured(self, batch: Batch, past: _Past, lam: Float, *, answers: bool) -> dict[str, float]:
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
            if self.estimator == "replay" and (taken := known & ~past.one).any():
                found["lambda"] = float(lam[taken].mean())
        if answers:
            found["one_answer"] = float(past.one.mean())
        return found


@dataclass(frozen=True, eq=False)
class _Past:
    """What was remembered of the groups' prompts before a step.

    Attributes
    ----------
    rows
        Of the table, -1 for a prompt that it does not have.
    y, w
        Rewards, ascending, and their weights, (G, m); 0 pads.
    count, age
        How many rewards, and the steps since the latest, (G,).
    fade
        What the counts of answers have faded to since.
    one
        Whether the prompt is taken to have one right answer.
    """

    rows: Int
    y: Float
    w: Float
    count: Int
    age: Int
    fade: Float
    one: Bool


def _all_of(values: Float, rows: Int) -> Float:
    """``values[rows]``, without a copy where that is all of them in their order."""
    if rows.size == len(values) and rows.ravel()[0] == 0 and rows.ravel()[-1] == rows.size - 1:
        every = rows.size == 1 or bool((np.diff(rows.ravel()) == 1).all())
        if every:
            return values.reshape(*rows.shape, *values.shape[1:])
    return values[rows]


def _last(y: Float, count: Int | Step) -> Float:
    """The largest of the first ``count`` of each row, 0 of none, (G, 1)."""
    last = np.take_along_axis(y, np.maximum(count - 1, 0)[:, None], axis=-1)
    return np.where(count[:, None] > 0, last, 0.0)


def _turns(rows: Int) -> Int:
    """How often each row was there before, (G,)."""
    order = np.argsort(rows, kind="stable")
    ranked = rows[order]
    start = np.ones(len(rows), np.bool_)
    start[1:] = ranked[1:] != ranked[:-1]
    place = np.arange(len(rows))
    found = np.empty(len(rows), np.intp)
    found[order] = place - np.maximum.accumulate(np.where(start, place, 0)) if len(rows) else place
    return found
