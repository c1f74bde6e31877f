"""Admission: rules without advantages of a group's own are refused by name, whoever is about to use them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab import rules, theory
from maxpo_lab.moments.exact import moments_under
from maxpo_lab.moments.updates import updates_of
from maxpo_lab.moments.updates.draws import draws
from maxpo_lab.rules.errors import (
    BadShapeError,
    CoupledRowsError,
    NotFiniteError,
    NotRealError,
    RandomRuleError,
    StatefulRuleError,
)
from maxpo_lab.rules.samples import sample_groups
from maxpo_lab.spectrum import advantages_by_failures

torch = pytest.importorskip("torch")

from analysis.trainer import SGD, Arm, signal, train, world_of  # noqa: E402
from analysis.trainer.arms import ArmRules  # noqa: E402
from envs import SparseBandit  # noqa: E402
from maxpo_lab.integrations.schedules import KSteps  # noqa: E402
from maxpo_lab.monte_carlo import experiment  # noqa: E402
from maxpo_lab.monte_carlo.batched_rules import admit as admit_together  # noqa: E402
from maxpo_lab.monte_carlo.updates.admission import admitted  # noqa: E402

ROOT = Path(__file__).parents[3]
N, K = 4, 2
BANDIT = SparseBandit(arms=6, good=2, success=0.3, grades=(0.5, 1.0))
LEVELS = BANDIT.levels(BANDIT.theta)
Rule = Callable[[Any, int], Any]

# Rules for NumPy and torch alike ------------------------------------------------------------------------


def rloo(rewards: Any, k: int) -> Any:
    n = rewards.shape[-1]
    return n / (n - 1) * (rewards - rewards.mean(-1)[..., None])


def whitened(rewards: Any, k: int) -> Any:
    advantages = rloo(rewards, k)
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def whitened_bare(rewards: Any, k: int) -> Any:
    """0/0 where all groups are dead: what it says of a dead group depends on those beside it."""
    advantages = rloo(rewards, k)
    with np.errstate(invalid="ignore"):
        return (advantages - advantages.mean()) / advantages.std()


def batch_mean_baseline(rewards: Any, k: int) -> Any:
    return rewards - rewards.mean()


def batch_scale(rewards: Any, k: int) -> Any:
    return rloo(rewards, k) / (rewards.std() + 1e-6)


def batch_maximum(rewards: Any, k: int) -> Any:
    return rloo(rewards, k) / (abs(rewards).max() + 1e-6)


def by_live_groups(rewards: Any, k: int) -> Any:
    advantages = rloo(rewards, k)
    live = ((advantages**2).sum(-1) > 0).sum()
    return advantages * len(rewards) / (live + 1e-9)


def without_duplicates(rewards: Any, k: int) -> Any:
    seen, advantages = set(), rloo(rewards, k)
    for i, row in enumerate(rewards.tolist()):
        advantages[i] *= tuple(row) not in seen
        seen.add(tuple(row))
    return advantages


def next_groups_mean(rewards: Any, k: int) -> Any:
    means = rewards.mean(-1)
    return rewards - means[[*range(1, len(means)), 0]][..., None]


def refuses_one_group(rewards: Any, k: int) -> Any:
    if len(rewards) < 2:
        raise ValueError("a batch has at least two prompts")
    return rloo(rewards, k)


def noise_by_row(rewards: Any, k: int) -> Any:
    """Its seed fixed inside the call, as one might be told to: the noise is that of a place in the batch."""
    noise = np.random.default_rng(0).random(tuple(rewards.shape)).tolist()
    return rewards + _like(noise, rewards)


def _like(values: Any, rewards: Any) -> Any:
    return torch.tensor(values) if isinstance(rewards, torch.Tensor) else np.array(values)


def in_large_batches(rewards: Any, k: int) -> Any:
    return rloo(rewards, k) if len(rewards) < 100 else whitened(rewards, k)


COUPLED = (
    whitened,
    whitened_bare,
    batch_mean_baseline,
    batch_scale,
    batch_maximum,
    by_live_groups,
    without_duplicates,
    next_groups_mean,
    refuses_one_group,
    noise_by_row,
)


def dithered() -> Rule:
    stream = np.random.default_rng(5)

    def dithered(rewards: Any, k: int) -> Any:
        return rloo(rewards, k) + _like(stream.normal(size=tuple(rewards.shape)), rewards)

    return dithered


def coin() -> Rule:
    """One sign a call, so that most pairs of answers agree or are opposite."""
    stream = np.random.default_rng(5)

    def coin(rewards: Any, k: int) -> Any:
        return rloo(rewards, k) * float(stream.choice([-1, 1]))

    return coin


class Remembers:
    """A rule with a memory: ``update(memory, rewards)`` gives the next one, ``use`` the advantages."""

    def __init__(self, name: str, update: Callable[[float, Any], float], use: Callable[..., Any]) -> None:
        self.name, self.update, self.use, self.memory = name, update, use, 0.0

    def __call__(self, rewards: Any, k: int) -> Any:
        self.memory = self.update(self.memory, rewards)
        return self.use(self.memory, rewards, k)


def moving_mean() -> Rule:
    return Remembers("moving_mean", lambda m, r: 0.9 * m + 0.1 * float(r.mean()), lambda m, r, k: r - m)


def moving_scale() -> Rule:
    return Remembers(
        "moving_scale",
        lambda m, r: 0.9 * m + 0.1 * float(r.std()),
        lambda m, r, k: rloo(r, k) / (m + 0.1),
    )


def running_maximum() -> Rule:
    return Remembers("running_maximum", lambda m, r: max(m, float(r.max())), lambda m, r, k: r * (1 + m))


def counter() -> Rule:
    return Remembers("counter", lambda m, r: m + 1, lambda m, r, k: rloo(r, k) * m)


def mean_of_the_last_call() -> Rule:
    """Equal calls in a row get equal answers."""
    last = [0.0, 0.0]

    def mean_of_the_last_call(rewards: Any, k: int) -> Any:
        now = float(rewards.mean())
        if now != last[1]:
            last[:] = last[1], now
        return rewards - last[0]

    return mean_of_the_last_call


def late() -> Rule:
    return Remembers("late", lambda m, r: m + 1, lambda m, r, k: rloo(r, k) * (1 + (m > 20)))


RANDOM = (dithered, coin)
STATEFUL = (moving_mean, moving_scale, running_maximum, counter, mean_of_the_last_call, late)
#: On 0/1 rewards the maximum is 1, or no advantage depends on it: RLOO, and twice the reward.
ON_GRADED_REWARDS = ("batch_maximum", "running_maximum")
CASES = [
    *((lambda rule=rule: rule, rule.__name__, CoupledRowsError) for rule in COUPLED),
    *((make, make.__name__, RandomRuleError) for make in RANDOM),
    *((make, make.__name__, StatefulRuleError) for make in STATEFUL),
]

# Every consumer -----------------------------------------------------------------------------------------


def trained(rule: Rule) -> Any:
    return train(
        world_of(BANDIT),
        [
            Arm(rule="maxpo", step_size=0.1, schedule=KSteps({0: K})),
            Arm(rule=rule, step_size=0.1, schedule=KSteps({0: K, 5: 1})),
        ],
        n=N,
        groups=2,
        steps=1,
        seeds=[0, 1],
        optimiser=SGD(),
        evaluate_k=K,
        points=(0, 1),
    )


def sampled(rule: Rule, **changes: Any) -> Any:
    settings: dict[str, Any] = {"n": N, "k": K, "groups": 64, "seed": 0}
    return ml.monte_carlo_moments(rule, BANDIT.sampler(BANDIT.theta), **(settings | changes))


def valued(rule: Rule) -> Rule:
    """A value that tells which advantages it was made from."""

    def value(rewards: Any, k: int) -> Any:
        return rule(rewards, k) @ np.arange(1.0, rewards.shape[-1] + 1)

    value.__name__ = rules.describe(rule)
    return value


def one_arm(rule: Rule) -> Any:
    return ArmRules.of([Arm(rule=rule, step_size=1.0, schedule=KSteps({0: K}))], [K], N)


#: What evaluates rules and takes a group's advantages for its own, by module and name. Whatever else takes a
#: rule is below, with the reason.
CONSUMERS: dict[str, Callable[[Rule], Any]] = {
    "maxpo_lab.moments.exact.exact_moments": lambda rule: ml.exact_moments(rule, LEVELS, n=N, k=K),
    "maxpo_lab.moments.exact.moments_under": lambda rule: moments_under([LEVELS], rule, n=N, k=K),
    "maxpo_lab.moments.batches.over_prompts.batch_moments": lambda rule: ml.batch_moments(
        rule, [LEVELS], n=N, k=K, batch=2
    ),
    "maxpo_lab.moments.values.of_groups.value_moments": lambda rule: ml.value_moments(
        valued(rule), LEVELS, n=N, k=K
    ),
    "maxpo_lab.spectrum.pass_at_k_spectrum": lambda rule: ml.pass_at_k_spectrum(rule, n=N, k=K),
    "maxpo_lab.spectrum.advantages_by_failures": lambda rule: advantages_by_failures(rule, N, K),
    "maxpo_lab.loops.loop_spectrum": lambda rule: ml.loop_spectrum(rule, n=N, k=K),
    "maxpo_lab.moments.updates.exact.update_moments": lambda rule: ml.update_moments(
        rule, "ppo", BANDIT.outcomes(BANDIT.theta), n=N, k=K
    ),
    "maxpo_lab.moments.updates.exact.updates_of": lambda rule: updates_of(
        ["maxpo", rule], "ppo", BANDIT.outcomes(BANDIT.theta), n=N, k=K
    ),
    "maxpo_lab.moments.updates.path.update_path": lambda rule: ml.update_path(
        rule,
        "ppo",
        lambda theta, old: BANDIT.outcomes(theta, behaviour=old),
        BANDIT.theta,
        n=N,
        k=K,
        step_size=0.1,
        epochs=2,
    ),
    "maxpo_lab.moments.updates.draws.draws": lambda rule: list(
        draws(
            rule,
            LEVELS.values,
            LEVELS.probabilities,
            n=N,
            k=K,
            dead_groups="keep",
            duplicates=0.0,
            max_states=1000,
        )
    ),
    "maxpo_lab.monte_carlo.sampled.monte_carlo_moments": sampled,
    "maxpo_lab.monte_carlo.updates.sampled.monte_carlo_updates": lambda rule: ml.monte_carlo_updates(
        rule, "ppo", BANDIT.outcomes(BANDIT.theta), n=N, k=K, updates=64, seed=0
    ),
    "maxpo_lab.monte_carlo.updates.admission.admitted": lambda rule: admitted(
        {"mine": rule}, N, K, prompts=1, rewards=np.arange(12.0).reshape(-1, N), log_ratios=np.zeros((3, N))
    ),
    "maxpo_lab.monte_carlo.experiments.experiment": lambda rule: experiment(
        {"mine": "maxpo", rules.describe(rule): rule},
        BANDIT.sampler(BANDIT.theta),
        n=N,
        k=K,
        groups=64,
        seed=0,
    ),
    "maxpo_lab.monte_carlo.batched_rules.admit": lambda rule: admit_together(
        rule, N, K, device=torch.device("cpu"), batch=64, draw=lambda: torch.ones(64, N)
    ),
    "maxpo_lab.rules.behaviour.admit": lambda rule: rules.admit(rule, N, K),
    "analysis.trainer.trainer.train": trained,
    "analysis.trainer.arms.ArmRules.of": one_arm,
    "analysis.trainer.signals.signal": lambda rule: signal(BANDIT, BANDIT.theta, rule, n=N, k=K, groups=2),
}
#: Takes arms, whose rules are in them.
BY_ARMS = {"analysis.trainer.trainer.train", "analysis.trainer.arms.ArmRules.of"}

NO_CONSUMERS = {
    "maxpo_lab.training.advantages": "hands a batch to its rule once and measures nothing",
    "maxpo_lab.rules.calling.per_group": "a lift: what comes out is admitted where it is used",
    "maxpo_lab.monte_carlo.batched_rules.named": "calls nothing",
    "maxpo_lab.monte_carlo.batched_rules.on_numpy": "a lift",
    "maxpo_lab.monte_carlo.one_sort.OneSort.of": "calls nothing",
    "maxpo_lab.monte_carlo.one_sort.from_one_sort": "calls nothing",
    "maxpo_lab.theory.lift": "a lift",
    "maxpo_lab.rules.answers.checked": "a lift: the call behind advantages",
    "maxpo_lab.rules.calling.describe": "calls nothing",
    "maxpo_lab.rules.calling.resolve": "calls nothing",
    "maxpo_lab.rules.calling.resolve_value": "calls nothing",
    "maxpo_lab.rules.calling.evaluate": "one call, of what was admitted",
    "maxpo_lab.rules.batch_calls.of_batches": "calls of what was admitted",
    "maxpo_lab.rules.rounding.tolerance": "calls nothing",
    "maxpo_lab.rules.rounding.finest": "calls nothing",
    "maxpo_lab.rules.rounding.precision_of": "calls nothing",
    "maxpo_lab.rules.behaviour.observe": "says what admission asks, and more",
    "maxpo_lab.moments.by_states.over_states": "exact_moments' own, and admits",
    "maxpo_lab.rules.behaviour.equivariance": "of a rule that was admitted",
    "maxpo_lab.rules.numbered.by_number": "a lift: what comes out is admitted where it is used",
    "analysis.studies.training_speed.path.noise_at": "moments_under admits",
    "maxpo_lab.estimators.definitions.memories.along": "the definitions of the catalogue",
}


#: Modules that call a rule and do not admit it.
CALL_WHAT_IS_THEIRS = {
    "maxpo_lab/rules/behaviour.py": "admission itself",
    "maxpo_lab/rules/answers.py": "on behalf of advantages",
    "maxpo_lab/rules/calling.py": "on behalf of admission",
    "maxpo_lab/core/precision.py": "on behalf of admission: in which type a rule computes",
    "maxpo_lab/theory.py": "lift",
    "maxpo_lab/integrations/conventions.py": "on behalf of the audit: which call fits",
    "maxpo_lab/integrations/adapters/by_rewards.py": "a TrainingRule, which is of the catalogue",
    "maxpo_lab/integrations/adapters/prime_rl.py": "the same",
    "maxpo_lab/integrations/adapters/slime.py": "the same",
    "maxpo_lab/training.py": "hands a batch to its rule once and measures nothing",
    "maxpo_lab/core/ragged.py": "on behalf of advantages",
    "maxpo_lab/rules/batch_calls.py": "of what admit_batch admits",
    "analysis/measure/success_tables.py": "of the laboratory's own rules",
    "maxpo_lab/estimators/definitions/batches.py": "the definitions of the catalogue",
    "maxpo_lab/estimators/definitions/memories.py": "the definitions of the catalogue",
    "maxpo_lab/estimators/of_vectors/definitions.py": "the definitions of the catalogue",
    "maxpo_lab/rules/vectors.py": "on behalf of advantages",
    "maxpo_lab/rules/numbered.py": "a lift: what comes out is admitted where it is used",
    "maxpo_lab/moments/updates/ratio_classes.py": "a lift: what comes out is admitted by draws",
    "maxpo_lab/monte_carlo/updates/shards.py": "of what updates.admission admits",
}


@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize(("make", "name", "error"), CASES, ids=[name for _, name, _ in CASES])
def test_every_consumer_refuses(
    consumer: str, make: Callable[[], Rule], name: str, error: type[Exception]
) -> None:
    if consumer.endswith(("spectrum", "by_failures")) and name in ON_GRADED_REWARDS:
        CONSUMERS[consumer](make())
        return
    with pytest.raises(error, match=name) as raised:
        CONSUMERS[consumer](make())
    assert type(raised.value) is error
    advice = {
        CoupledRowsError: "rows of a batch influence each other.*per_group",
        RandomRuleError: "deterministic",
        StatefulRuleError: "remembers earlier calls.*constant",
    }
    assert raised.match(advice[error])


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def public(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Public functions of a module and of its classes, by their dotted names."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for node in parsed(path).body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("_"):
            continue
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        home = f"{module}.{node.name}" if isinstance(node, ast.ClassDef) else module
        for each in inner:
            if isinstance(each, ast.FunctionDef) and not each.name.startswith("_"):
                yield f"{home}.{each.name}", each


def takes_rules(function: ast.FunctionDef) -> bool:
    """Whether an argument is annotated as a callable rule, alone or among others, or as arms."""
    given = [*function.args.args, *function.args.kwonlyargs]
    found = (ast.unparse(each.annotation) for each in given if each.annotation)
    words = {word for text in found for word in text.replace("[", " ").replace("]", " ").split()}
    return bool(words & {"Rule", "rules.Rule", "Estimators", "Arm", "AnyRule"})


def test_the_consumers_are_all_there_are() -> None:
    """The audit alone asks for itself: what it finds of such a rule is a finding, not an error."""
    paths = [path for package in ("maxpo_lab", "envs", "analysis") for path in (ROOT / package).rglob("*.py")]
    found = {
        name
        for path in paths
        if "auditing" not in path.parts
        for name, function in public(path)
        if takes_rules(function)
    }
    assert found == CONSUMERS.keys() | NO_CONSUMERS.keys()


def test_rules_are_called_where_they_are_admitted() -> None:
    """A module that calls a rule admits it; the others call what they made or what was handed to them."""
    calling, admitting = set(), set()
    for package in ("maxpo_lab", "envs", "analysis"):
        for path in (ROOT / package).rglob("*.py"):
            calls = {ast.unparse(node.func) for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)}
            name = path.relative_to(ROOT).as_posix()
            if calls & {"evaluate", "rules.evaluate", "_evaluate", "rule", "estimator", "signal"}:
                calling.add(name)
            if calls & {"admit", "rules.admit", "batched_rules.admit"}:
                admitting.add(name)
    left = {name for name in calling - admitting if "auditing" not in name and "studies" not in name}
    assert left == set(CALL_WHAT_IS_THEIRS)
    assert {
        f"maxpo_lab/{each}.py" for each in ("moments/by_states", "spectrum", "monte_carlo/batched_rules")
    } <= admitting
    assert "analysis/trainer/arms.py" in admitting


@pytest.mark.integration
def test_the_audit_says_so() -> None:
    for make, _, error in CASES:
        if error is not CoupledRowsError:
            assert [each.kind for each in ml.audit(make(), n=N, k=K).misbehaviours] == ["random"]
    for rule, expected in WHAT_THE_AUDIT_SAYS.items():
        report = ml.audit(rule, n=N, k=K)
        assert [each.kind for each in report.misbehaviours] == ([] if report.coupling else [expected])
        if report.coupling:
            met = report.coupling.met
            assert (met.effect if met else "alone") == expected


#: Coupled rules are measured, but for those that tell the places of a batch apart, or have no answer.
WHAT_THE_AUDIT_SAYS = {
    whitened: "scale",
    whitened_bare: "not finite",
    batch_mean_baseline: "shift",
    batch_scale: "scale",
    batch_maximum: "scale",
    by_live_groups: "scale",
    without_duplicates: "coupled rows",
    next_groups_mean: "coupled rows",
    refuses_one_group: "alone",
    noise_by_row: "coupled rows",
    in_large_batches: "scale",
}


# What it saw before, and does not measure any more -------------------------------------------------------


def test_a_rule_is_tried_in_batches_as_large_as_they_come() -> None:
    """1024 groups a batch: seen. Five states, no larger batch: what is measured there is RLOO."""
    with pytest.raises(CoupledRowsError, match="in_large_batches"):
        sampled(in_large_batches, groups=100_000)
    with pytest.raises(CoupledRowsError, match="in_large_batches"):
        train(
            world_of(BANDIT),
            [Arm(rule=in_large_batches, step_size=0.1, schedule=KSteps({0: K}))],
            n=N,
            groups=8,
            steps=1,
            seeds=range(20),
            optimiser=SGD(),
            evaluate_k=K,
            points=(0, 1),
        )
    ml.exact_moments(in_large_batches, LEVELS, n=N, k=K)


def test_a_lift_of_a_coupled_rule_is_refused_too() -> None:
    for lifted in (theory.lift(whitened), ml.on_numpy(whitened)):
        with pytest.raises(CoupledRowsError):
            sampled(lifted if "lift" not in rules.describe(lifted) else ml.on_numpy(lifted))


def test_estimators_of_others_are_tried_as_callables_are() -> None:
    class Whitened(type(ml.get_estimator("grpo"))):  # type: ignore[misc]
        def unchecked(self, xp: Any, rewards: Any, k: int) -> Any:
            return whitened(rewards, k)

    own = ml.get_estimator("grpo")
    given = {each.name: getattr(own, each.name) for each in fields(own)}
    theirs = Whitened(**(given | {"name": "theirs"}))
    for consumer in (
        "maxpo_lab.moments.exact.exact_moments",
        "maxpo_lab.monte_carlo.sampled.monte_carlo_moments",
    ):
        with pytest.raises(CoupledRowsError, match="theirs"):
            CONSUMERS[consumer](theirs)


# What passes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ml.list_estimators(), "l-statistic:TopM:2"])
def test_the_catalogue_passes_unasked_and_deserves_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = ml.get_estimator(name)
    for n, k in ((5, 2), (6, 3)):
        if rule.why_not(n, k):
            continue
        assert rules.admit(name, n, k) is rule
        # Asked all the same, as a callable: 0/1 and graded rewards where it is defined on them.
        rules.admit(rule.__call__, n, k, batch=500)
        values = np.array([0.0, 1.0]) if rule.domain == "binary" else np.array([0.0, 0.25, 0.5, 1.0])
        level = sample_groups(n, len(values))
        assert rules.observe(rule.__call__, values[level], level, k).equivariant == rule.claims.equivariant
        if rule.claims.equivariant:
            monkeypatch.setattr("maxpo_lab.rules.behaviour.evaluate", None)
        assert rules.equivariance(rule, values[level], level, k).equivariant == rule.claims.equivariant
        monkeypatch.undo()


def single(rewards: Any, k: int) -> Any:
    """Sums whose last bits depend on the shape of the batch: the reduction runs over another axis."""
    values = rewards.astype(np.float32)
    return values - np.asarray(values.T.copy().sum(axis=0))[:, None] / np.float32(values.shape[1])


def by_index(rewards: Any, k: int) -> Any:
    """Ties go to the first."""
    best = np.zeros_like(rewards)
    np.put_along_axis(best, rewards.argmax(axis=1)[:, None], 1.0, axis=1)
    return best * (rewards.max(axis=1) - rewards.mean(axis=1))[:, None]


def for_binary_rewards(rewards: Any, k: int) -> Any:
    if not ((rewards == 0) | (rewards == 1)).all():
        raise ValueError("0/1 rewards alone")
    return rloo(rewards, k)


def seeded_by_its_group(rewards: Any, k: int) -> Any:
    def one(group: Any, k: int) -> Any:
        seed = np.asarray(group, dtype=np.float64).tobytes()
        return group + np.random.default_rng(list(seed)).normal(size=len(group))

    return ml.per_group(one)(rewards, k)


ON_NUMPY = (
    rloo,
    single,
    by_index,
    for_binary_rewards,
    seeded_by_its_group,
    ml.per_group(lambda group, k: group - sum(group) / len(group)),
    theory.lift(rloo),
)


@pytest.mark.parametrize("rule", ON_NUMPY, ids=rules.describe)
def test_rules_on_numpy_pass(rule: Rule) -> None:
    if rule is not for_binary_rewards:
        ml.exact_moments(rule, LEVELS, n=N, k=K)
        ml.batch_moments(rule, [LEVELS], n=N, k=K, batch=2)
        trained(ml.on_numpy(rule))
        assert sampled({"mine": ml.on_numpy(rule)}).groups == 64
    else:
        rules.admit(rule, N, K)
        ml.pass_at_k_spectrum(rule, n=N, k=K)
        with pytest.raises(ValueError, match="0/1 rewards alone"):
            ml.exact_moments(rule, LEVELS, n=N, k=K)


@pytest.mark.parametrize(
    "rule", [rloo, lambda r, k: rloo(r.float(), k), lambda r, k: torch.as_tensor(ml.advantages(r, k))]
)
def test_rules_on_torch_pass_in_float32_too(rule: Rule) -> None:
    assert sampled(rule, groups=100_000 // 8).groups == 12_500
    trained(rule)


def test_a_policys_own_floor_is_tried_on_the_policys_rewards() -> None:
    """It answers on these levels alone, which are neither 0/1 nor the graded ones."""
    bandit = SparseBandit(arms=6, good=2, success=0.4, grades=(0.125, 3.0))
    levels = bandit.levels(bandit.theta)
    floor = ml.variance_floor(levels, n=N, k=K)
    found = ml.monte_carlo_moments(
        ml.on_numpy(floor.rule), bandit.sampler(bandit.theta), n=N, k=K, groups=500, seed=0
    )
    assert found.groups == 500
    assert ml.exact_moments(floor.rule, levels, n=N, k=K).relative_bias < 1e-12


def test_admission_changes_no_bit_of_a_sample() -> None:
    """It draws from streams of its own: a user's MaxPO gives the numbers of the catalogue's."""
    mine = sampled(ml.advantages, groups=500)
    theirs = sampled("maxpo", groups=500)
    for name in mine:
        assert mine[name].trace_covariance.value == pytest.approx(
            theirs["maxpo"].trace_covariance.value, rel=1e-13
        )


# Answers of any kind ------------------------------------------------------------------------------------


class Foreign:
    """An array of some other library: it has ``__array__`` and nothing else."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)


def tracked(rewards: Any) -> Any:
    return torch.as_tensor(rewards) * torch.ones(1, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    "rule",
    [
        lambda r, k: tracked(rloo(r, k)),
        lambda r, k: torch.nn.Parameter(torch.as_tensor(rloo(r, k))),
        lambda r, k: tracked(rloo(r, k)).bfloat16(),
        lambda r, k: Foreign(rloo(r, k)),
        lambda r, k: rloo(r, k).tolist(),
        lambda r, k: list(tracked(rloo(r, k))),
        lambda r, k: tuple(tracked(rloo(r, k))),
        lambda r, k: [list(row) for row in tracked(rloo(r, k))],
        ml.per_group(lambda group, k: tracked(rloo(group[None], k))[0]),
        ml.per_group(lambda group, k: list(tracked(rloo(group[None], k))[0].bfloat16())),
        theory.lift(lambda r, k: tracked(r)),
    ],
)
def test_tensors_on_a_graph_and_arrays_of_any_library_are_measured(rule: Rule) -> None:
    """Constants of the loss: detached. bfloat16 keeps 8 bits of 4/3, 2/3 and the like."""
    want = ml.exact_moments("rloo", LEVELS, n=N, k=K, target="mean")
    seen = ml.exact_moments(rule, LEVELS, n=N, k=K, target="mean")
    np.testing.assert_allclose(seen.mean, want.mean, atol=2.0**-8)
    assert seen.states == 15
    weights = ml.pass_at_k_spectrum(rule, n=N, k=K).weights.astype(float)
    np.testing.assert_allclose(weights, [1, 0, 0, 0], atol=16 * 2.0**-8)


def test_tensors_on_a_graph_are_measured_by_the_sampler_and_the_trainer() -> None:
    plain = sampled({"mine": rloo}, groups=500)["mine"]
    mine = sampled({"mine": lambda r, k: tracked(rloo(r, k))}, groups=500)["mine"]
    assert mine.trace_covariance == plain.trace_covariance
    through = sampled({"mine": ml.on_numpy(lambda r, k: tracked(rloo(r, k)))}, groups=500)["mine"]
    assert through.trace_covariance == plain.trace_covariance
    sampled({"mine": lambda r, k: rloo(r, k).bfloat16()})
    found, want = (trained(rule).objective for rule in (lambda r, k: tracked(rloo(r, k)), rloo))
    np.testing.assert_array_equal(found, want)
    trained(lambda r, k: rloo(r, k).bfloat16())


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (lambda r, k: torch.tensor(1.0, requires_grad=True), BadShapeError, r"returned shape \(\)"),
        (lambda r, k: 3.0, BadShapeError, r"returned shape \(\)"),
        (lambda r, k: [[1.0], [1.0, 2.0]], BadShapeError, r"returned no array of shape \(B, n\)"),
        (lambda r, k: torch.as_tensor(r).to_sparse(), BadShapeError, r"returned no array of shape"),
        (lambda r, k: [torch.ones(2), torch.ones(3)], BadShapeError, r"returned no array of shape"),
        (lambda r, k: tracked(r) * 1j, NotRealError, "complex"),
        (lambda r, k: np.ma.array(r, mask=r > 0), NotFiniteError, "nan"),
    ],
)
def test_what_is_no_array_of_advantages_is_named(rule: Rule, error: type[Exception], message: str) -> None:
    def mine(rewards: Any, k: int) -> Any:
        return rule(rewards, k)

    with pytest.raises(error, match=f"mine .*{message}"):
        ml.exact_moments(mine, LEVELS, n=N, k=K)
    with pytest.raises(error, match=f"mine .*{message}"):
        ml.pass_at_k_spectrum(mine, n=N, k=K)
