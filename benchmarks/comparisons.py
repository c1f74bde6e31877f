"""What is compared with what, by part: training calls, losses, pass@k, exact moments, sampling, a card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

import array_api_compat
import numpy as np
import numpy.typing as npt
import torch

import maxpo_lab as ml
from envs import Maze, SparseBandit, from_gymnasium
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.estimators.families.maxpo import maxpo_quadratic
from maxpo_lab.estimators.history.replay import parts
from maxpo_lab.kernels.engine import rank_linear
from maxpo_lab.memory.batches import Batch
from maxpo_lab.memory.recall import Past, remember

from .peers import AUTOGRAD_LOSSES, listed_loo1, log_gamma_maxpo
from .timing import Call

#: A label and a call, twice.
Comparison = tuple[str, Call, str, Call]

_SHAPES = ((4096, 16), (4096, 64), (512, 1024), (1, 1_000_000), (1, 16))
#: Rules that share a sort.
EIGHT = ["maxpo", "pkpo-loo1", "pkpo-s", "rloo", "canonical", "batch-mean", "max-minus-second", "pkpo-loo"]


def calls() -> Iterator[Comparison]:
    """``Estimator.__call__``, checks included, and ``advantages``."""
    rng = np.random.default_rng(0)
    maxpo = ml.get_estimator("maxpo")
    for rows, n in _SHAPES:
        name = f"{rows:,} x {n:,}" if rows > 1 or n > 16 else "one group of 16"
        rewards = rng.random((rows, n))
        for dtype in (torch.float32, torch.float64):
            tensor = torch.tensor(rewards, dtype=dtype)
            kind = str(dtype).removeprefix("torch.")
            yield f"maxpo, {name}, torch {kind}", _on(maxpo, tensor, 4), "torch.sort", tensor.sort
        if n < 1_000_000:
            yield f"maxpo, {name}, NumPy", _on(maxpo, rewards, 4), "np.sort", _on(np.sort, rewards)
            if n <= 64:
                peer = log_gamma_maxpo(n, 4)
                label = "log-gamma weights made before"
                yield f"maxpo, {name}, NumPy", _on(maxpo, rewards, 4), label, _on(peer, rewards)
    yield from _batches(rng.random((4096, 16)))
    group = rng.random(16)
    loo1 = ml.get_estimator("pkpo-loo1")
    yield (
        "pkpo-loo1, one group of 16, NumPy",
        _on(loo1, group, 4),
        "a listing's loops",
        _on(listed_loo1, group, 4),
    )
    several = tuple((ml.get_estimator(name), 4) for name in EIGHT)
    rewards = rng.random((4096, 16))
    xp = array_api_compat.array_namespace(rewards)
    yield (
        "8 rules from one sort, 4,096 x 16, NumPy",
        _on(rank_linear, xp, rewards, several),
        "one rule",
        _on(rank_linear, xp, rewards, several[:1]),
    )
    yield from _mixtures(rng)
    past = np.sort(rng.random((4096, 64)), axis=-1)
    for library, made in (("NumPy", np.asarray), ("torch float64", torch.tensor)):
        fresh, held = map(made, (rewards, past))
        yield (
            f"replay, 4,096 x 16 with 64 earlier rewards each, sorted, {library}",
            partial(ml.advantages, fresh, 4, estimator="replay", history=held),
            "maxpo",
            _on(ml.advantages, fresh, 4),
        )
    batch = rng.random((20_000, 16))
    yield "maxpo", _on(maxpo, batch, 4), "rloo", lambda: ml.advantages(batch, 4, estimator="rloo")
    sizes = rng.permutation(np.repeat(np.arange(7, 27), 500))
    ids = rng.permutation(np.repeat(np.arange(10_000), sizes))
    ragged = rng.random(len(ids))
    dense = ragged[: len(ids) // 16 * 16].reshape(-1, 16)
    yield (
        "maxpo, 10,000 groups of 7 to 26 by id",
        lambda: ml.advantages(ragged, 4, group_ids=ids),
        "as many rewards in groups of 16",
        lambda: ml.advantages(dense, 4),
    )
    square, small = rng.random((64, 256)), rng.random(10)
    yield "maxpo, 64 x 256", _on(maxpo, square, 8), "quadratic form", lambda: maxpo_quadratic(square, 8)
    yield "maxpo, n=10, K=4", _on(maxpo, small, 4), "enumeration", lambda: definitions.maxpo(small, 4)


#: Rules of batches, next to the rules of groups that they are made of.
_OF_BATCHES = {
    "whitened:maxpo": "maxpo",
    "whitened:scale=std1,mean=1:grpo": "grpo",
    "trl-batch": "grpo",
    "verl-gpg": "grpo",
    "jspo": "rloo",
}


def _mixtures(rng: np.random.Generator) -> Iterator[Comparison]:
    """A mixture of two rank-linear rules is one: the same kernel call with other coefficients."""
    mixed, one = ml.get_estimator("0.7*maxpo+0.3*rloo"), ml.get_estimator("maxpo")
    for rows, n in ((4096, 16), (4096, 64), (512, 1024), (1, 16)):
        rewards = rng.random((rows, n))
        shape = f"{rows:,} x {n:,}"
        for library, given in (("NumPy", rewards), ("torch float32", torch.tensor(rewards).float())):
            yield f"0.7*maxpo+0.3*rloo, {shape}, {library}", _on(mixed, given, 4), "maxpo", _on(one, given, 4)
    rewards = rng.random((4096, 16))
    by_name = partial(ml.advantages, rewards, 4, estimator="0.7*maxpo+0.3*rloo")
    alone = partial(ml.advantages, rewards, 4, estimator="maxpo")
    yield "advantages of 0.7*maxpo+0.3*rloo by name, 4,096 x 16, NumPy", by_name, "of maxpo", alone


def _batches(rewards: npt.NDArray[np.float64]) -> Iterator[Comparison]:
    for kind, given in (("NumPy", rewards), ("torch float32", torch.tensor(rewards, dtype=torch.float32))):
        for name, alone in _OF_BATCHES.items():
            rules = (ml.get_estimator(each) for each in (name, alone))
            ours, theirs = (_on(rule, given, 4) for rule in rules)
            yield f"{name}, 4,096 prompts x 16, {kind}", ours, alone, theirs


def losses() -> Iterator[Comparison]:
    """Weights of tokens, next to the forward and backward pass of a framework's loss on the same tensors."""
    torch.manual_seed(0)
    for rows, n, tokens in ((64, 8, 1024), (16, 16, 128)):
        shape = (rows, n, tokens)
        mask = torch.arange(tokens) < torch.randint(1, tokens + 1, (rows, n, 1))
        log_probs = torch.rand(shape).neg_()
        old, advantages = log_probs + 0.2 * torch.randn(shape), torch.randn(rows, n)
        log_ratios = log_probs - old
        for name, peer in AUTOGRAD_LOSSES.items():
            yield (
                f"weights of {name}, {rows} x {n} x {tokens:,}, torch float32",
                partial(ml.get_loss(name).weights, advantages, mask=mask, log_ratios=log_ratios),
                "its framework's loss, forward and backward",
                partial(peer, log_probs, old, advantages, mask),
            )


def filled(prompts: int = 1_000_000) -> ml.Replay:
    """A memory of so many prompts, of 64 rewards each, as a training loop fills it."""
    rng, memory = np.random.default_rng(0), ml.Replay(4)
    for some in np.array_split(rng.permutation(prompts), max(1, prompts // 8192)):
        memory.advantages((rng.random((len(some), 64)) < 0.2) * 1.0, some)
    return memory


def memory() -> Iterator[Comparison]:
    """A step of ``Replay`` on 4,096 prompts of a million, other ones in each call."""
    rng, maxpo, held = np.random.default_rng(0), ml.get_estimator("maxpo"), filled()
    drawn = cycle([rng.permutation(1_000_000)[:4096] for _ in range(50)])
    given = array_api_compat.array_namespace(np.empty(0))
    past, shares = (rng.random((4096, 64)) < 0.2) * 1.0, np.ones((4096, 64))
    past.sort(axis=-1)
    for name, rewards in (("0/1", (rng.random((4096, 16)) < 0.2) * 1.0), ("real", rng.random((4096, 16)))):
        label = f"Replay, 4,096 of 1,000,000 prompts x 16, {name}"
        step = partial(_step, held, rewards, drawn)
        yield label, step, "maxpo", _on(maxpo, rewards, 4)
        both = partial(parts, given, rewards, 4, past, shares, history_sorted=True)
        yield label, step, "its rule, the history given", both
        looked_up = partial(_looked_up, held, rewards, drawn)
        yield f"its look-up and update, {name}", looked_up, "maxpo", _on(maxpo, rewards, 4)


def _step(held: ml.Replay, rewards: npt.NDArray[np.float64], drawn: Iterator[Any]) -> None:
    held.advantages(rewards, next(drawn))


def _looked_up(held: ml.Replay, rewards: npt.NDArray[np.float64], drawn: Iterator[Any]) -> None:
    """All that a step does but for the rule: groups, hashes, rows, sorted histories, and the step stored."""
    batch = Batch.of(rewards, next(drawn), allow_nan=False)
    past = Past.of(held._table, batch, held.step + 1, held.half_life)
    remember(held._table, batch, past, None, held.step)


def values() -> Iterator[Comparison]:
    """pass@k over prompts."""
    graded = np.random.default_rng(0).random((1_000_000, 16))
    solved = (graded < 0.2) * 1.0
    ks = (1, 2, 4, 8, 16)
    for name, rewards in (("graded", graded), ("0/1", solved)):
        label = f"pass@k, 1,000,000 prompts x 16, {name}, 5 k's with intervals"
        yield label, _on(ml.pass_at_k, rewards, ks), "np.sort", _on(np.sort, rewards)


def exact() -> Iterator[Comparison]:
    """Moments without sampling."""
    maxpo = ml.get_estimator("maxpo")
    bandit = SparseBandit(arms=1000, good=100, success=0.1)
    levels = bandit.levels(bandit.theta)
    graded = SparseBandit(arms=100, good=12, success=0.1, grades=(0.25, 0.5, 0.75, 1.0))
    five = graded.levels(graded.theta)
    cliff = from_gymnasium("CliffWalking-v1", horizon=30)
    returns = cliff.levels(cliff.theta, covariances=None)
    sampler = bandit.sampler(bandit.theta)
    groups = np.random.default_rng(0).random((4845, 16))

    def sampled() -> torch.Tensor:
        rewards, scores = _drawn(sampler, 20_000)
        return scores.squared_norm(maxpo(rewards, 4)).mean()

    for n, label, other in (
        (16, "20,000 sampled groups", sampled),
        (1024, "the rule alone on its groups", _on(maxpo, np.tri(1025, 1024, -1), 4)),
    ):
        yield f"exact moments, n={n}, 0/1", _moments(levels, n), label, other
    yield "exact moments, n=16, 5 levels", _moments(five, 16), "the rule alone", _on(maxpo, groups, 4)
    name = f"exact moments, n=64, {len(returns.values)} levels, closed form"
    yield name, _moments(returns, 64), "20,000 sampled groups", sampled


def sampling() -> Iterator[Comparison]:
    """Samplers, and Monte Carlo."""
    few = SparseBandit(arms=100, good=10, success=0.05)
    hundred = few.sampler(few.theta)
    maze = Maze(size=8, loops=10, horizon=32)
    episodes = maze.sampler(maze.theta)
    yield (
        "1,000,000 bandit rollouts of 100 arms",
        lambda: _drawn(hundred, 62_500),
        "as many random numbers",
        lambda: torch.rand(1_000_000, dtype=torch.float64),
    )
    yield (
        "100,000 maze episodes of at most 32 steps",
        lambda: _drawn(episodes, 6_250),
        "32 random numbers for each",
        lambda: torch.rand(3_200_000, dtype=torch.float64),
    )
    yield (
        "moments of 8 rules on 16,384 sampled groups of 16",
        lambda: ml.monte_carlo_moments(EIGHT, hundred, n=16, k=4, groups=16_384, seed=0, workers=1),
        "sampling and sorting them",
        lambda: _drawn(hundred, 16_384)[0].sort(dim=-1),
    )


def card() -> Iterator[Comparison]:
    """The same on the first CUDA device, timed by its own clock; nothing where there is none."""
    if not torch.cuda.is_available():
        return
    maxpo, cuda = ml.get_estimator("maxpo"), torch.device("cuda", 0)
    generator = torch.Generator(cuda).manual_seed(0)
    for rows, n in ((1_000_000, 16), (65_536, 16), (4096, 1024)):
        rewards = torch.rand(rows, n, device=cuda, generator=generator)
        xp = array_api_compat.array_namespace(rewards)
        name = f"{rows:,} x {n:,}, CUDA float32"
        yield f"maxpo, {name}", _on(maxpo.unchecked, xp, rewards, 4), "torch.sort", rewards.sort
        several = tuple((ml.get_estimator(each), 4) for each in EIGHT)
        one = _on(rank_linear, xp, rewards, several[:1])
        yield f"8 rules, {name}", _on(rank_linear, xp, rewards, several), "one rule", one


PARTS: dict[str, Callable[[], Iterator[Comparison]]] = {
    "calls": calls,
    "losses": losses,
    "memory": memory,
    "values": values,
    "exact": exact,
    "sampling": sampling,
    "card": card,
}


def _on(function: Callable[..., Any], *arguments: Any) -> Call:
    """A call of a function on these arguments; NumPy sorts along the last axis."""
    return lambda: function(*arguments)


def _moments(levels: ml.RewardLevels, n: int) -> Call:
    return lambda: ml.exact_moments("maxpo", levels, n=n, k=4)


def _drawn(sampler: Any, groups: int) -> Any:
    return sampler(groups, 16, generator=torch.Generator().manual_seed(0))
