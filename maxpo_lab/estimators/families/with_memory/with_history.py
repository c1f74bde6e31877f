"""Rules that keep a prompt's earlier rewards: replay, centered-replay, pooled, plug-in-floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import array_api_compat
import numpy as np
import numpy.typing as npt

from ....core.arrays import Array, Float, Int, Namespace, on_host, once, widest
from ....core.numerals import numeral
from ...claims import Claims, Laws
from ...history import centered, learned, plug_in_floor, pooled, replay
from ...memory import MemoryEstimator, State

#: How much of its history a rule believes: as much as it weighs, what the other prompts of the batch tell, or
#: what earlier steps told.
Share = Literal["fair", "others", "ema"]
SHARES: tuple[Share, ...] = ("fair", "others", "ema")


class Given(Protocol):
    """Advantages (..., n) of groups (..., n) at histories (..., m) with weights."""

    def __call__(
        self, xp: Namespace, rewards: Array, k: int, y: Array, w: Array, *, history_sorted: bool = False
    ) -> Array:
        """As ``history.replay.replay``."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class HistoryEstimator(MemoryEstimator):
    """A rule of a group and its prompt's earlier rewards, of which the state keeps the latest.

    Attributes
    ----------
    given
        The rule at a history.
    undefined
        Reason why it is not defined at (n, k) with these weights (..., m); None for any history, if not.
    keep, decay
        Rewards of a prompt that are kept, and what a step multiplies their weights by.
    share
        How much of the history is believed, of replay alone.
    """

    given: Given
    undefined: Callable[[int, int, Float | None, int], str | None]
    keep: int = 64
    decay: float = 1.0
    share: Share = "fair"
    whole_weights: bool = False

    @property
    def couples(self) -> bool:
        """Whether the share of the history is learned from other prompts."""
        return self.share != "fair"

    def _undefined(self, n: int, k: int) -> str | None:
        return super()._undefined(n, k) or self.undefined(n, k, None, self.keep)

    def at_history(
        self, xp: Namespace, rewards: Array, k: int, y: Float, w: Float, *, history_sorted: bool = False
    ) -> Array:
        """Advantages (..., n) of rewards (..., n) at histories y with weights w, (..., m) each, in NumPy.

        Raises ValueError where the rule is not defined at (n, k), on these rewards or with these histories,
        and for a rule whose share is learned from earlier steps, of which there are none here.
        """
        # Not by ``why_not``, which knows the history that is kept, and not how long this one is.
        reason = self.undefined(rewards.shape[-1], k, w, self.keep) or self._outside_domain(xp, rewards)
        if reason:
            raise ValueError(reason)
        past, weights = (_like(xp, rewards, each) for each in (y, w))
        if self.share == "fair":
            return self.given(xp, rewards, k, past, weights, history_sorted=history_sorted)
        if self.share == "ema":
            raise ValueError(
                f"{self.name} learns from earlier steps how much of a history to believe: use its init "
                f"and update, or "
                f"replay:share=others, which learns from the other groups"
            )
        if reason := learned.why_not(rewards.shape[0] if rewards.ndim == 2 else 1):
            raise ValueError(reason)
        plain, found = replay.parts(xp, rewards, k, past, weights, history_sorted=history_sorted)
        along, apart = learned.inner_products(xp, plain, found)
        most = replay.largest_share(xp, weights, n=rewards.shape[-1], k=k)
        return _mixed(xp, plain, found, learned.leave_one_out(xp, along, apart, most))

    def _fresh(self, prompts: int) -> dict[str, npt.NDArray[Any]]:
        return {"rewards": np.zeros((prompts, self.keep)), "weights": np.zeros((prompts, self.keep))}

    def _shared(self) -> dict[str, npt.NDArray[Any]]:
        return {"along": np.array(0.0), "apart": np.array(0.0)} if self.share == "ema" else {}

    def _step(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> tuple[Array, dict[str, npt.NDArray[Any]]]:
        y, w = (np.asarray(state[name], dtype=np.float64)[prompts] for name in ("rewards", "weights"))
        shared: dict[str, npt.NDArray[Any]] = {}
        if self.share == "ema":
            found, shared = self._by_earlier_steps(xp, rewards, k, (y, w), state)
        else:
            found = self.at_history(xp, rewards, k, y, w)
        return found, self._kept(rewards, state, prompts) | shared

    def _after(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> dict[str, npt.NDArray[Any]]:
        if self.share == "ema":  # what is learned is a part of the state
            return super()._after(xp, rewards, k, state, prompts)
        return self._kept(rewards, state, prompts)

    def _kept(self, rewards: Array, state: State, prompts: Int) -> dict[str, npt.NDArray[Any]]:
        """The latest rewards of each prompt, the newest first, and their weights."""
        new = on_host(rewards).astype(np.float64)
        found = {}
        for name, fresh, age in (("rewards", new, 1.0), ("weights", np.ones_like(new), self.decay)):
            found[name] = np.array(state[name], dtype=np.float64)
            row = np.concatenate([fresh, age * found[name][prompts]], axis=1)
            found[name][prompts] = row[:, : self.keep]
        return found

    def _by_earlier_steps(
        self, xp: Namespace, rewards: Array, k: int, history: tuple[Float, Float], state: State
    ) -> tuple[Array, dict[str, npt.NDArray[Any]]]:
        past, weights = (_like(xp, rewards, each) for each in history)
        plain, found = replay.parts(xp, rewards, k, past, weights)
        average = learned.MovingAverage(float(state["along"]), float(state["apart"]))
        most = replay.largest_share(xp, weights, n=rewards.shape[-1], k=k)
        along, apart = learned.inner_products(xp, plain, found)
        now = average.updated(float(xp.sum(along)), float(xp.sum(apart)))
        advantages = _mixed(xp, plain, found, average.lam(xp, most))
        return advantages, {"along": np.array(now.along), "apart": np.array(now.apart)}


def _like(xp: Namespace, rewards: Array, values: Float) -> Array:
    """Numbers in the type that sums run in, where the rewards are."""
    if isinstance(rewards, np.ndarray):
        return np.asarray(values, dtype=np.float64)
    held = once(values)
    held = held if held.flags.writeable else held.copy()  # other libraries write into what they share
    made = xp.asarray(held, dtype=widest(xp), device=array_api_compat.device(rewards))
    return xp.broadcast_to(made, values.shape)


def _mixed(xp: Namespace, plain: Array, found: Array, lam: Array) -> Array:
    return plain - xp.astype(lam[..., None], plain.dtype, copy=False) * (plain - found)


def _plain(form: Callable[[Namespace, Array, int, Array, Array], Array]) -> Given:
    """A rule that has no use for a history that is sorted."""

    def given(
        xp: Namespace, rewards: Array, k: int, y: Array, w: Array, *, history_sorted: bool = False
    ) -> Array:
        return form(xp, rewards, k, y, w)

    return given


def _replay_undefined(n: int, k: int, w: Float | None, keep: int) -> str | None:
    return replay.why_not(n, k)


def _floor_undefined(n: int, k: int, w: Float | None, keep: int) -> str | None:
    return plug_in_floor.why_not(n, k)


def _centered_undefined(n: int, k: int, w: Float | None, keep: int) -> str | None:
    return centered.why_not(n, k, everyone=w is None or bool((w.sum(axis=-1) > 0).all()))


def _pooled_undefined(n: int, k: int, w: Float | None, keep: int) -> str | None:
    return pooled.why_not(n, k, keep if w is None else int((w > 0).sum(axis=-1).min()))


def _checked(rule: HistoryEstimator, keep: int, decay: float, share: Any = "fair") -> HistoryEstimator:
    """The rule with other options, which its name tells."""
    name = rule.name.partition(":")[0]
    if keep < 1:
        raise ValueError(f"{name}:keep={keep}: at least 1 reward is kept, e.g. keep=64")
    if not 0 <= decay <= 1:
        raise ValueError(f"{name}:decay={numeral(decay)}: must be in [0, 1], 1 for weights that stay")
    if rule.whole_weights and decay != 1:
        raise ValueError(
            f"{name}:decay={numeral(decay)}: a subset has no place for part of a reward; decay=1"
        )
    if share not in SHARES:
        raise ValueError(f"{name}:share={share}: must be {', '.join(SHARES)}")
    told = {"keep": (keep, 64), "decay": (decay, 1.0), "share": (share, "fair")}
    options = ",".join(
        f"{key}={value if isinstance(value, str) else numeral(value)}"
        for key, (value, default) in told.items()
        if value != default
    )
    learned_by = {"others": "the other prompts of the batch", "ema": "earlier steps"}
    return replace(
        rule,
        name=f"{name}:{options}" if options else name,
        equation=rule.equation.replace("lam = W/(n-K+W)", f"lam learned from {learned_by[share]}")
        if share != "fair"
        else rule.equation,
        keep=keep,
        decay=decay,
        share=share,
    )


def of_replay(keep: int = 64, decay: float = 1.0, share: str = "fair") -> HistoryEstimator:
    """``replay`` with other options. ValueError: out of range."""
    return _checked(REPLAY, keep, decay, share)


def of_centered_replay(keep: int = 64, decay: float = 1.0) -> HistoryEstimator:
    """``centered-replay`` with other options. ValueError: out of range."""
    return _checked(CENTERED_REPLAY, keep, decay)


def of_plug_in_floor(keep: int = 64, decay: float = 1.0) -> HistoryEstimator:
    """``plug-in-floor`` with other options. ValueError: out of range."""
    return _checked(PLUG_IN_FLOOR, keep, decay)


def of_pooled(keep: int = 64) -> HistoryEstimator:
    """``pooled`` with another number of rewards kept. ValueError: out of range."""
    return _checked(POOLED, keep, 1.0)


_CITATION = "this laboratory, maxpo-lab"

REPLAY = HistoryEstimator(
    name="replay",
    title="Replay: earlier rewards in the baseline",
    equation=(
        "A_i = (1-lam) maxpo_i + lam HIST_i, HIST_i = K (Phi_i(R_i) - mean of Phi_i over the history), "
        "lam = W/(n-K+W)"
    ),
    citation=_CITATION,
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=True, centered=False),
    laws=Laws(shift_invariant=False),
    degenerate="a group that fails where its history did not is paid for that; at K = 1 successes too",
    dead_groups="both",
    given=replay.replay,
    undefined=_replay_undefined,
)

CENTERED_REPLAY = HistoryEstimator(
    name="centered-replay",
    title="Centered replay",
    equation="A_i = n/(n-1) (HIST_i - group mean of HIST), HIST as replay with lam = 1",
    citation=_CITATION,
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=True),
    laws=Laws(shift_invariant=False),
    smallest_group=2,
    given=centered.centered_replay,
    undefined=_centered_undefined,
)

PLUG_IN_FLOOR = HistoryEstimator(
    name="plug-in-floor",
    title="The floor's baseline at the history's success rate",
    equation="A_i = g(c') R_i - beta(c'), beta of the floor with one good outcome at p = H/(W + 1/2)",
    citation=_CITATION,
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=True, centered=False),
    laws=Laws(shift_invariant=False, scale="none"),
    domain="binary",
    degenerate="no success in the history: pkpo-loo1",
    dead_groups="both",
    given=_plain(plug_in_floor.plug_in_floor),
    undefined=_floor_undefined,
)

POOLED = HistoryEstimator(
    name="pooled",
    title="MaxPO on the group and its history",
    equation="A = maxpo(R and the history together, K) of the fresh rollouts, K <= n + m - 1",
    citation=_CITATION,
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=False),
    laws=Laws(shift_invariant=False),
    degenerate="a group that differs from its history is paid for that",
    dead_groups="both",
    largest_k=lambda n: n - 1 + 64,
    given=_plain(pooled.pooled),
    undefined=_pooled_undefined,
    whole_weights=True,
)

RULES = (REPLAY, CENTERED_REPLAY, PLUG_IN_FLOOR, POOLED)
MAKERS = {
    "replay": of_replay,
    "centered-replay": of_centered_replay,
    "plug-in-floor": of_plug_in_floor,
    "pooled": of_pooled,
}
