"""Updates from their definition: all outcomes of all rollouts of all groups, through ``Loss.weights``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb, prod

import numpy as np

import maxpo_lab as ml
from maxpo_lab.losses import Loss

#: A rule by name, or what gives the advantages (n,) of a group of outcomes of a prompt.
OfOutcomes = Callable[[ml.Outcomes, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Truth:
    """``E u`` and ``tr Cov u``."""

    mean: np.ndarray
    trace: float


def tree(
    seed: int,
    *,
    tokens: int = 3,
    parameters: int = 7,
    others: Sequence[str] = ("behaviour", "proximal", "reference"),
    spread: float = 0.3,
    graded: bool = True,
) -> ml.Outcomes:
    """Words of two tokens, 0 the end, by a log-linear policy with random features of each prefix."""
    rng = np.random.default_rng(seed)
    words: list[tuple[int, ...]] = []

    def grow(word: tuple[int, ...]) -> None:
        if len(word) == tokens or (word and word[-1] == 0):
            words.append(word)
            return
        grow((*word, 0))
        grow((*word, 1))

    grow(())
    prefixes = sorted({word[:t] for word in words for t in range(len(word))})
    features = rng.normal(size=(len(prefixes), 2, parameters))
    theta = rng.normal(size=parameters)

    def table(point: np.ndarray) -> np.ndarray:
        weights = np.exp(features @ point)
        return weights / weights.sum(axis=1, keepdims=True)

    def by_token(policy: np.ndarray) -> np.ndarray:
        found = np.ones((len(words), tokens))
        for i, word in enumerate(words):
            for t, token in enumerate(word):
                found[i, t] = policy[prefixes.index(word[:t]), token]
        return found

    current = table(theta)
    scores = np.zeros((len(words), tokens, parameters))
    for i, word in enumerate(words):
        for t, token in enumerate(word):
            at = prefixes.index(word[:t])
            scores[i, t] = features[at, token] - current[at] @ features[at]
    rewards = rng.choice([0.0, 0.5, 1.0] if graded else [0.0, 1.0], size=len(words))
    rewards[0], rewards[-1] = 1.0, 0.0
    beside = {name: by_token(table(theta + spread * rng.normal(size=parameters))) for name in others}
    lengths = [len(word) for word in words]
    return ml.Outcomes(by_token(current), scores, rewards, lengths=lengths, **beside)


def updates(
    rule: str | OfOutcomes,
    loss: Loss,
    prompts: Sequence[ml.Outcomes],
    *,
    n: int,
    k: int,
    dead_groups: str = "keep",
    duplicates: float = 0.0,
) -> Truth:
    """Mean and trace by enumeration of every batch. Cost: the product of all prompts' outcomes to the n."""
    pools = [_groups(prompt, n, duplicates, place) for place, prompt in enumerate(prompts)]
    if dead_groups in ("redraw", "replace"):
        pools = [[each for each in pool if not _dead(prompts, each)] for pool in pools]
    if dead_groups == "redraw":
        pools = [_normalised(pool) for pool in pools]
    if dead_groups == "replace":
        pools = [_normalised([each for pool in pools for each in pool])] * len(prompts)
    mean, second = np.zeros(prompts[0].scores.shape[-1]), 0.0
    for batch in product(*pools):
        chance = prod(each[0] for each in batch)
        kept = [each for each in batch if dead_groups != "drop" or not _dead(prompts, each)]
        if kept:
            update = _update(rule, loss, prompts, kept, k)
            if loss.aggregation.kind not in ("token-mean", "token-sum"):
                update = update * (len(kept) / len(prompts))  # a mean over the prompts, dropped ones 0
            mean += chance * update
            second += chance * float(update @ update)
    return Truth(mean, second - float(mean @ mean))


Drawn = tuple[float, np.ndarray, int]


def _groups(prompt: ml.Outcomes, n: int, duplicates: float, place: int) -> list[Drawn]:
    found: list[Drawn] = []
    for copies in range(1, n + 1) if duplicates else (1,):
        chance = comb(n - 1, copies - 1) * duplicates ** (copies - 1) * (1 - duplicates) ** (n - copies)
        for units in product(range(len(prompt.rewards)), repeat=n - copies + 1):
            own = chance * float(np.prod(prompt.drawn[list(units)]))
            found.append((own, np.array([units[0]] * copies + list(units[1:])), place))
    return found


def _dead(prompts: Sequence[ml.Outcomes], drawn: Drawn) -> bool:
    _, group, place = drawn
    return len(set(prompts[place].rewards[group].tolist())) == 1


def _normalised(pool: list[Drawn]) -> list[Drawn]:
    total = sum(chance for chance, *_ in pool)
    return [(chance / total, group, place) for chance, group, place in pool]


def _update(
    rule: str | OfOutcomes, loss: Loss, prompts: Sequence[ml.Outcomes], batch: list[Drawn], k: int
) -> np.ndarray:
    """``(1/N) sum_it w_it s_it`` of one batch."""
    groups = [(prompts[place], group) for _, group, place in batch]
    advantages = np.stack(
        [
            rule(prompt, group) if callable(rule) else ml.advantages(prompt.rewards[group], k, estimator=rule)
            for prompt, group in groups
        ]
    )
    given = {
        name: np.stack([prompt.log_ratios()[name][group] for prompt, group in groups]) for name in loss.needs
    }
    mask = np.stack([prompt.mask[group] for prompt, group in groups])
    weights = loss.weights(advantages, mask=mask, **given)
    scores = np.stack([prompt.token_scores[group] for prompt, group in groups])
    return np.einsum("pit,pitd->d", weights, scores) / advantages.size
