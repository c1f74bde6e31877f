"""Sampled updates: against exact ones, each batch by definition, their intervals, what they refuse."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from update_witness import tree

import maxpo_lab as ml
from maxpo_lab.losses import Aggregation, get_loss, list_losses, off_policy_advantages

torch = pytest.importorskip("torch")

from maxpo_lab.losses import definitions  # noqa: E402
from maxpo_lab.monte_carlo.updates import drawing, shards, weighing  # noqa: E402
from maxpo_lab.monte_carlo.updates.shards import Loop  # noqa: E402
from maxpo_lab.policies.listed import ListedRollouts  # noqa: E402

WORDS = tree(1)
SMALL = tuple(tree(seed, tokens=2, parameters=5) for seed in (1, 2, 3))
BANDIT = ml.Outcomes.from_softmax(
    np.log([0.16, 0.066, 0.02, 0.4, 0.3, 0.1]),
    [1, 1, 1, 0, 0, 0],
    lengths=[1, 4, 1, 1, 4, 4],
    behaviour=np.log([0.12, 0.06, 0.02, 0.4, 0.3, 0.1]),
)
OFF_POLICY = ml.ratio_rule(off_policy_advantages)
#: A false alarm in 1e4 of a normal; with about 200 comparisons below one in 50 runs of a changed seed.
FAR = 4.0


def deviations(found: ml.SampledUpdates, truth: ml.UpdateMoments) -> dict[str, float]:
    """How many standard errors each quantity is off; infinite where one of 0 is missed."""
    own = found[found.names[0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.abs(own.mean - truth.mean) / own.mean_standard_errors
    close = np.isclose(own.mean, truth.mean, rtol=1e-9, atol=1e-15)
    every = {"mean": float(np.where(close, 0.0, mean).max())}
    for name in ("scale", "trace_covariance", "along_gradient_variance"):
        at: ml.Estimate = getattr(own, name)
        every[name] = abs(at.value - getattr(truth, name)) / at.standard_error if at.standard_error else 0.0
    every["alive"] = abs(found.alive.value - truth.alive) / found.alive.standard_error
    return every


def compared(rule: Any, loss: str, policy: Any, **settings: Any) -> None:
    truth = ml.update_moments(rule, loss, policy, **settings)
    found = ml.monte_carlo_updates(rule, loss, policy, updates=6000, seed=3, **settings)
    off = deviations(found, truth)
    assert max(off.values()) < FAR, off
    assert np.array_equal(found.gradient, truth.gradient)


# Against exact moments ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_losses())
def test_every_loss_agrees_with_its_exact_moments(name: str) -> None:
    compared("maxpo", name, WORDS, n=4, k=2)


@pytest.mark.parametrize("dead_groups", ["keep", "drop", "redraw", "replace"])
@pytest.mark.parametrize("name", ["identity", "group-token-mean", "kl:over=token-mean", "verl:token-sum"])
def test_batches_and_dead_groups_agree_with_exact_moments(name: str, dead_groups: Any) -> None:
    prompts = [*SMALL, SMALL[0]]
    compared("pkpo-loo1", name, prompts, n=2, k=2, dead_groups=dead_groups)


@pytest.mark.parametrize("dead_groups", ["keep", "drop", "redraw"])
def test_duplicates_agree_with_exact_moments(dead_groups: Any) -> None:
    compared("pkpo-loo1", "kl", WORDS, n=3, k=2, duplicates=0.3, dead_groups=dead_groups)


def test_labels_of_length_and_rules_of_ratios_agree_with_exact_moments() -> None:
    for loss in ("sequence-mean", "group-token-mean", "ppo"):
        compared("maxpo", loss, BANDIT, n=4, k=2)
    compared(OFF_POLICY, "off-policy", BANDIT, n=4, k=2)


def test_rules_of_a_batch_agree_with_exact_moments_of_batches() -> None:
    """``batch_moments`` counts levels and knows no loss: the identity is its estimate."""
    prompts = [replace(each, behaviour=None) for each in SMALL]
    found = ml.monte_carlo_updates(
        ["whitened:maxpo", "jspo", "maxpo"], "identity", prompts, n=3, k=2, updates=6000, seed=1
    )
    levels = [each.levels() for each in prompts]
    for name in found:
        exact, own = ml.batch_moments(name, levels, n=3, k=2, batch=None), found[name]
        assert np.all(np.abs(own.mean - exact.mean) < FAR * own.mean_standard_errors), name
        trace = own.trace_covariance
        assert abs(trace.value - exact.trace_covariance) < FAR * trace.standard_error, name


def test_groups_that_cannot_be_counted_are_sampled() -> None:
    """Off-policy max@K of 30 outcomes has too many classes; sampled it is unbiased, and MaxPO is not."""
    rng = np.random.default_rng(0)
    old, right = rng.normal(size=30), [1.0] * 10 + [0.0] * 20
    words = ml.Outcomes.from_softmax(old + 0.3 * rng.normal(size=30), right, behaviour=old)
    with pytest.raises(ValueError, match="sample with monte_carlo_updates"):
        ml.update_moments(OFF_POLICY, "off-policy", words, n=8, k=4)
    found = ml.monte_carlo_updates(
        [OFF_POLICY, "maxpo"], "off-policy", words, n=8, k=4, updates=20_000, seed=0
    )
    first, second = (found[name].bias_p_value for name in found)
    assert first is not None
    assert second is not None
    assert first > 1e-3 > second


# Batch by batch -----------------------------------------------------------------------------------------


def by_definition(name: str, batches: drawing.Batches, prompts: int, rule: str) -> np.ndarray:
    """``(1/N) sum w s`` of each batch, through ``Loss.weights`` of the batch as a whole."""
    loss, found = get_loss(name), []
    n = batches.rewards.shape[1]
    for batch in range(len(batches.kept) // prompts):
        rows: list[tuple[Any, ...]] = []
        for place in range(batch * prompts, (batch + 1) * prompts):
            (part,) = (each for each in batches.parts if place in each.place)
            own = int(np.flatnonzero(part.place == place)[0])
            outcomes = part.policy.outcomes  # type: ignore[attr-defined]
            rows.append((outcomes, part.drawn[own * n : (own + 1) * n], bool(batches.kept[place])))
        kept = [(policy, group) for policy, group, is_kept in rows if is_kept]
        if not kept:
            found.append(np.zeros(rows[0][0].scores.shape[-1]))
            continue
        advantages = np.stack([ml.advantages(p.rewards[g], 1, estimator=rule) for p, g in kept])
        logs = {each: np.stack([p.log_ratios()[each][g] for p, g in kept]) for each in loss.needs}
        weights = loss.weights(advantages, mask=np.stack([p.mask[g] for p, g in kept]), **logs)
        scores = np.stack([p.token_scores[g] for p, g in kept])
        update = np.einsum("pit,pitd->d", weights, scores) / advantages.size
        sums = loss.aggregation.kind in ("token-mean", "token-sum")
        found.append(update if sums else update * len(kept) / prompts)
    return np.array(found)


def some_batches(policies: Any, **settings: Any) -> tuple[Loop, drawing.Batches]:
    given: dict[str, Any] = {"dead_groups": "drop", "duplicates": 0.0} | settings
    listed = {id(each): ListedRollouts(each) for each in policies}
    loop = Loop(
        loss=get_loss("identity"),
        policies=[listed[id(each)] for each in policies],
        n=3,
        k=1,
        seed=0,
        gradient=None,
        **given,
    )
    return loop, loop.batches(0, 12)


@pytest.mark.parametrize("name", list_losses())
def test_each_update_is_the_loss_of_its_batch(name: str) -> None:
    loop, batches = some_batches([*SMALL, SMALL[0]])
    assert not batches.kept.all()
    found = weighing.Weighing(get_loss(name), loop.n, 4).of(batches)(
        ml.advantages(batches.rewards, 1, estimator="rloo")
    )
    assert np.allclose(found, by_definition(name, batches, 4, "rloo"), rtol=0, atol=1e-13)


def test_rollouts_of_no_tokens_are_counted_or_skipped() -> None:
    """What exact moments refuse: how many rollouts are left is random."""
    empty = ml.Outcomes(
        [[1.0, 1.0], [0.3, 1.0], [0.7, 1.0]],
        [[[0.0], [0.0]], [[0.7], [0.0]], [[-0.3], [0.0]]],
        [0.0, 1.0, 0.0],
        lengths=[0, 1, 2],
        world=[0.25, 0.75, 0.75],
    )
    for name in ("verl:seq-mean-token-mean:empty=skip", "verl:seq-mean-token-sum:empty=skip", "trl:grpo"):
        loop, batches = some_batches([empty, empty], dead_groups="keep")
        found = weighing.Weighing(get_loss(name), loop.n, 2).of(batches)(
            ml.advantages(batches.rewards, 1, estimator="rloo")
        )
        assert np.allclose(found, by_definition(name, batches, 2, "rloo"), rtol=0, atol=1e-13), name
    with pytest.raises(ValueError, match="monte_carlo_updates"):
        ml.update_moments("rloo", "verl:seq-mean-token-mean:empty=skip", empty, n=3, k=1)


@pytest.mark.parametrize("mutant", ["factors of one prompt alone", "copies are fresh", "no gain from drops"])
def test_a_fault_is_seen(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, settings = list(SMALL), {"n": 2, "k": 2, "dead_groups": "keep", "duplicates": 0.0}
    name = "kl:over=token-mean"
    if mutant == "copies are fresh":
        settings["duplicates"] = 0.5
        monkeypatch.setattr(drawing._Source, "duplicates", property(lambda _: 0.0, lambda *_: None), False)
    elif mutant == "no gain from drops":
        settings["dead_groups"] = "drop"
        monkeypatch.setattr(
            drawing, "alive", lambda rewards: np.ones(len(rewards), dtype=bool) | rewards.any(1)
        )
    else:
        own = Aggregation.factors
        monkeypatch.setattr(
            Aggregation, "factors", lambda self, xp, x, *, width: own(self, xp, x, width=width) * 1.1
        )
    found = ml.monte_carlo_updates("pkpo-loo1", name, prompts, updates=6000, seed=3, **settings)
    monkeypatch.undo()
    truth = ml.update_moments("pkpo-loo1", name, prompts, **settings)
    assert max(deviations(found, truth).values()) > FAR


# Standard errors ----------------------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.parametrize("name", ["group-token-mean", "ppo"])
def test_intervals_cover(name: str) -> None:
    """Of 400 samples 95% of the intervals hold the truth, give or take 4 standard deviations of 0.011."""
    truth = ml.update_moments("maxpo", name, BANDIT, n=4, k=2)
    runs, held = 400, {"scale": 0, "trace_covariance": 0, "along_gradient_variance": 0, "direction_error": 0}
    coordinates = 0.0
    for seed in range(runs):
        own = ml.monte_carlo_updates("maxpo", name, BANDIT, n=4, k=2, updates=1000, seed=seed)["maxpo"]
        for quantity in held:
            low, high = getattr(own, quantity).interval()
            held[quantity] += low <= getattr(truth, quantity) <= high
        inside = np.abs(own.mean - truth.mean) <= 1.959964 * own.mean_standard_errors
        coordinates += inside.mean()
    assert coordinates / runs == pytest.approx(0.95, abs=0.03)
    for quantity, count in held.items():
        if quantity == "direction_error":  # where it is not resolved its interval begins at 0
            assert count / runs > 0.95 - 0.044
        else:
            assert count / runs == pytest.approx(0.95, abs=0.044), quantity


@pytest.mark.integration
def test_the_p_value_is_uniform_without_bias() -> None:
    policy = replace(BANDIT, behaviour=None, lengths=None)
    values = [
        ml.monte_carlo_updates("maxpo", "identity", policy, n=4, k=2, updates=500, seed=seed)[
            "maxpo"
        ].bias_p_value
        for seed in range(200)
    ]
    share = np.mean(np.array(values) < 0.05)
    assert 0.005 <= share <= 0.12  # 0.05, give or take 4 standard deviations of 0.015


# How it was made ----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"n": 3, "k": 2, "updates": 500}
    monkeypatch.setattr(shards, "_MOST", 128)
    one, two, other = (
        ml.monte_carlo_updates("maxpo", "ppo", WORDS, seed=seed, **settings) for seed in (0, 0, 1)
    )
    assert np.array_equal(one["maxpo"].mean, two["maxpo"].mean)
    assert one["maxpo"].trace_covariance == two["maxpo"].trace_covariance
    assert not np.array_equal(one["maxpo"].mean, other["maxpo"].mean)
    assert (one.method, one.updates, one.seed, one.loss, one.prompts) == ("monte-carlo", 500, 0, "ppo", 1)
    assert ml.update_moments("maxpo", "ppo", WORDS, n=3, k=2).method == "exact"


def test_shards_are_one_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean and variances of 5 shards are those of all their updates together."""
    monkeypatch.setattr(shards, "_MOST", 64)
    kept: list[np.ndarray] = []
    made = weighing.Weighing.of

    def watched(self: Any, batches: Any) -> Any:
        inner = made(self, batches)

        def updates(advantages: Any) -> Any:
            kept.append(inner(advantages))
            return kept[-1]

        return updates

    monkeypatch.setattr(weighing.Weighing, "of", watched)
    own = ml.monte_carlo_updates("maxpo", "ppo", WORDS, n=3, k=2, updates=300, seed=0)["maxpo"]
    every = np.concatenate(kept)
    assert len(kept) == 5
    assert np.allclose(own.mean, every.mean(axis=0), rtol=0, atol=1e-14)
    assert np.allclose(own.mean_standard_errors, every.std(axis=0, ddof=1) / np.sqrt(300), rtol=1e-12)
    assert own.trace_covariance.value == pytest.approx(every.var(axis=0, ddof=1).sum(), rel=1e-12)


def test_memory_does_not_grow_with_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_MOST", 256)
    peaks = []
    for updates in (512, 512, 8192):
        tracemalloc.start()
        ml.monte_carlo_updates("maxpo", "ppo", WORDS, n=4, k=2, updates=updates, seed=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1]


def test_several_rules_meet_the_same_batches() -> None:
    found = ml.monte_carlo_updates(["maxpo", "rloo"], "ppo", WORDS, n=4, k=2, updates=2000, seed=0)
    alone = ml.monte_carlo_updates("rloo", "ppo", WORDS, n=4, k=2, updates=2000, seed=0)
    assert np.array_equal(found["rloo"].mean, alone["rloo"].mean)
    paired = found.difference("maxpo", "rloo", "scale")
    errors = [found[name].scale.standard_error for name in found]  # type: ignore[union-attr]
    assert paired.standard_error < 0.8 * np.hypot(*errors)


# Policies of one's own ----------------------------------------------------------------------------------


class Exponential:
    """Waiting times, paid ``exp(-x)``: continuous, with a score and a ratio in closed form."""

    parameters = 1

    def __init__(self, rate: float, old: float) -> None:
        self.rate, self.old = rate, old

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        return rng.exponential(1 / self.old, size)

    def rewards(self, drawn: np.ndarray) -> np.ndarray:
        return np.exp(-drawn)

    def tokens(self, drawn: np.ndarray) -> Any:
        from maxpo_lab.samplers import RolloutTokens

        logs = np.log(self.rate / self.old) - (self.rate - self.old) * drawn
        one = np.ones(len(drawn), dtype=np.intp)
        zero = np.zeros((len(drawn), 1))
        return RolloutTokens(
            one[:, None] > 0, one, {"log_ratios": logs[:, None], "behaviour_log_ratios": zero}, 1
        )

    def weighted_scores(self, drawn: np.ndarray, weights: np.ndarray, each: int) -> np.ndarray:
        return (weights[:, 0] * (1 / self.rate - drawn)).reshape(-1, each).sum(axis=1, keepdims=True)


def test_a_policy_of_ones_own_with_continuous_rewards() -> None:
    """``max = exp(-min)``, and the least of K waits has the rate ``K r``: ``J = K r / (K r + 1)``."""
    rate, k = 1.4, 2
    gradient = [k / (k * rate + 1) ** 2]
    policy = Exponential(rate, 1.0)
    found = ml.monte_carlo_updates(
        [OFF_POLICY, "maxpo"], "off-policy", policy, n=4, k=k, updates=20_000, seed=0, gradient=gradient
    )
    own = found[OFF_POLICY.name].scale
    assert own is not None
    assert abs(own.value - 1) < FAR * own.standard_error
    other = found["maxpo"].scale
    assert other is not None
    assert abs(other.value - 1) > FAR * other.standard_error
    without = ml.monte_carlo_updates("maxpo", "off-policy", policy, n=4, k=k, updates=200, seed=0)
    assert without.gradient is None
    assert without["maxpo"].scale is None


@pytest.mark.parametrize(
    ("method", "answer", "message"),
    [
        ("rewards", lambda _, drawn: drawn[:-1], "Exponential.rewards gave shape"),
        ("rewards", lambda _, drawn: drawn * np.nan, "one finite number"),
        ("weighted_scores", lambda _, drawn, weights, each: weights, "weighted_scores gave shape"),
        (
            "tokens",
            lambda self, drawn, own=Exponential.tokens: replace(own(self, drawn), log_ratios={}),
            "Exponential.tokens gave no behaviour_log_ratios",
        ),
    ],
)
def test_a_policy_that_breaks_its_contract_is_named(
    method: str, answer: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Exponential, method, answer)
    with pytest.raises((TypeError, ValueError), match=message):
        ml.monte_carlo_updates("maxpo", "off-policy", Exponential(1.4, 1.0), n=4, k=2, updates=64, seed=0)


# What is refused ----------------------------------------------------------------------------------------


def noise(rewards: np.ndarray, k: int) -> np.ndarray:
    return rewards + np.random.default_rng().normal(size=rewards.shape)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "pop"}, "loss 'pop'"),
        ({"loss": 3}, "loss=3 is a int"),
        ({"policy": []}, "policy is empty"),
        ({"policy": WORDS.levels()}, "must be an Outcomes, or a RolloutPolicy"),
        ({"policy": [WORDS, SMALL[0]]}, "5 and 7 parameters"),
        ({"k": 5}, "k=5"),
        ({"updates": 1}, "updates=1"),
        ({"seed": -1}, "seed=-1"),
        ({"dead_groups": "leave"}, "dead_groups='leave'"),
        ({"duplicates": 1.0}, "duplicates=1.0"),
        ({"gradient": [1.0]}, "gradient has 1 entries"),
        ({"estimators": "replay"}, "replay is a rule with memory"),
        ({"estimators": "gdpo"}, "several numbers of a rollout"),
        ({"estimators": noise}, "deterministic"),
        ({"estimators": ["maxpo", "maxpo"]}, "holds 'maxpo' twice"),
        ({"loss": "kl", "policy": tree(1, others=("behaviour",))}, "needs a reference"),
        ({"loss": "gspo", "policy": BANDIT}, "one a token"),
        (
            {
                "policy": ml.Outcomes.from_softmax([0.0, 1.0], [1, 1]),
                "dead_groups": "redraw",
            },
            "none had unequal rewards",
        ),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "HOPELESS", 1 << 12)
    given: dict[str, Any] = {"estimators": "maxpo", "loss": "ppo", "policy": WORDS, "n": 3, "k": 2}
    given |= {"updates": 100, "seed": 0} | change
    with pytest.raises((TypeError, ValueError), match=message):
        ml.monte_carlo_updates(given.pop("estimators"), given.pop("loss"), given.pop("policy"), **given)


def test_errors_of_exact_moments_say_how_to_sample() -> None:
    with pytest.raises(ValueError, match="monte_carlo_updates"):
        ml.update_moments("maxpo", "ppo", WORDS, n=3, k=2, max_states=3)
    with pytest.raises(ValueError, match="monte_carlo_updates"):
        ml.update_moments("whitened:maxpo", "ppo", SMALL, n=3, k=2)


def test_the_definition_of_off_policy_advantages_is_the_rule() -> None:
    rewards, ratios = [0.0, 1.0, 0.5], [0.7, 1.2, 1.1]
    found = OFF_POLICY(np.array([rewards]), 2, log_ratios=np.log([ratios]))
    assert np.allclose(found, [definitions.off_policy(rewards, ratios, 2)], rtol=1e-13)
