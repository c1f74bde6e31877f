"""``Replay`` against a memory kept in lists and definitions in rationals; what a group must not see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import maxpo_lab as ml
from maxpo_lab.estimators.definitions import histories as exact
from maxpo_lab.memory import answers as of_answers
from maxpo_lab.memory.replay import Replay

#: Rewards are of size 1 and K at most 5: some hundred roundings of K.
ROUNDED = 1e-12


class Listed:
    """The witness: a dict of lists, lambda by its formula, everything in rationals."""

    def __init__(self, k: int, *, keep: int = 64, weight: str = "ema", half_life: int | None = None) -> None:
        self.k, self.keep, self.weight, self.half_life = k, keep, weight, half_life
        self.held: dict[Any, list[tuple[Fraction, int]]] = defaultdict(list)
        self.along = self.apart = Fraction(0)
        self.step = 0

    def advantages(self, groups: list[list[float]], prompts: list[Any]) -> list[list[float]]:
        found, sums = [], []
        for group, prompt in zip(groups, prompts, strict=True):
            past = self.held[prompt][-self.keep :]
            y = [reward for reward, _ in past]
            w = [self._weight(self.step - step) for _, step in past]
            plain = exact.without_history(group, self.k)
            against = exact.hist(group, self.k, y, w)
            most = exact.fair(len(group), self.k, w)
            apart = [a - b for a, b in zip(plain, against, strict=True)]
            n = len(group)
            sums.append(
                (
                    sum(a * d for a, d in zip(plain, apart, strict=True)) / n**2,
                    sum(d * d for d in apart) / n**2,
                )
            )
            found.append((plain, apart, most))
        result = []
        for row, (plain, apart, most) in enumerate(found):
            lam = self._lambda(sums, row, most)
            result.append([float(a - lam * d) for a, d in zip(plain, apart, strict=True)])
        for group, prompt in zip(groups, prompts, strict=True):
            self.held[prompt] += [(Fraction(reward), self.step) for reward in group]
        self.along = Fraction(19, 20) * self.along + Fraction(1, 20) * sum(a for a, _ in sums)
        self.apart = Fraction(19, 20) * self.apart + Fraction(1, 20) * sum(d for _, d in sums)
        self.step += 1
        return result

    def _weight(self, age: int) -> Fraction:
        return Fraction(1) if self.half_life is None else Fraction(2.0 ** (-age / self.half_life))

    def _lambda(self, sums: list[tuple[Fraction, Fraction]], row: int, most: Fraction) -> Fraction:
        if self.weight == "fair":
            return most
        if self.weight == "ema":
            top, bottom = self.along, self.apart
        else:
            others = [each for i, each in enumerate(sums) if i != row]
            ridge = 1 + Fraction(2, len(others))
            top, bottom = sum(a for a, _ in others), ridge * sum(d for _, d in others)
        return min(max(top / bottom if bottom else Fraction(0), Fraction(0)), most)


def steps_of(
    seed: int, *, steps: int = 6, prompts: int = 5, n: int = 4, batch: int = 4
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Graded rewards with ties, and prompts of which some come twice in a step."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield rng.integers(0, 5, (batch, n)) / 4, rng.integers(0, prompts, batch)


@pytest.mark.parametrize("weight", ["ema", "others", "fair"])
@pytest.mark.parametrize("settings", [{}, {"keep": 6}, {"keep": 3}, {"half_life": 2, "keep": 10}], ids=str)
def test_it_is_the_memory_in_lists(weight: str, settings: dict[str, Any]) -> None:
    """Also where keep is below n, and where the ring turns in the middle of a group."""
    ours, witness = Replay(2, weight=weight, **settings), Listed(2, weight=weight, **settings)
    for rewards, prompts in steps_of(1, steps=8):
        found = ours.advantages(rewards, prompts)
        wanted = witness.advantages(rewards.tolist(), prompts.tolist())
        np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDED)
    assert ours.metrics["known"] == 1
    assert ours.step == 8


@pytest.mark.parametrize("k", [1, 3, 4])
def test_every_k_up_to_n(k: int) -> None:
    ours, witness = Replay(k), Listed(k)
    for rewards, prompts in steps_of(k):
        found = ours.advantages(rewards, prompts)
        np.testing.assert_allclose(
            found, witness.advantages(rewards.tolist(), prompts.tolist()), rtol=0, atol=ROUNDED
        )


def test_without_a_history_it_is_maxpo_and_with_a_fair_share_the_rule_of_the_catalogue() -> None:
    memory, held = Replay(2, weight="fair"), defaultdict(list)
    for step, (rewards, prompts) in enumerate(steps_of(3, prompts=9)):
        found = memory.advantages(rewards, prompts)
        history = [held[prompt][-64:] for prompt in prompts]
        assert np.array_equal(found, ml.advantages(rewards, 2, estimator="replay", history=history))
        if not step:
            assert np.array_equal(found, ml.advantages(rewards, 2))
        for prompt, group in zip(prompts, rewards, strict=True):
            held[prompt] += group.tolist()


def test_the_rules_memory_of_the_catalogue_learns_the_same_lambda() -> None:
    """``replay:share=ema`` numbers its prompts and forgets by visit; without decay the two are one."""
    rule, ours = ml.get_estimator("replay:share=ema"), Replay(3)
    state, rng = rule.init(6), np.random.default_rng(0)
    for _ in range(12):
        prompts = rng.permutation(6)[:4]
        rewards = rng.random((4, 8))
        wanted, state = rule.update(state, rewards, 3, prompts)
        np.testing.assert_allclose(ours.advantages(rewards, prompts), wanted, rtol=0, atol=ROUNDED)
    assert 0 < ours.metrics["lambda"] < 1


def test_a_rollout_a_row_in_groups_of_any_size() -> None:
    ours, witness = Replay(2), Listed(2)
    rng = np.random.default_rng(2)
    for _ in range(5):
        sizes = rng.integers(2, 6, 4)
        prompts = np.repeat(rng.permutation(6)[:4], sizes)
        order = rng.permutation(len(prompts))
        rewards = rng.integers(0, 4, len(prompts)) / 4
        found = ours.advantages(rewards[order], prompts[order])
        back = np.empty(len(prompts))
        back[order] = found
        names = list(dict.fromkeys(prompts[order].tolist()))
        groups = {name: rewards[order][prompts[order] == name].tolist() for name in names}
        wanted = witness.advantages([groups[name] for name in names], names)
        for name, row in zip(names, wanted, strict=True):
            np.testing.assert_allclose(found[prompts[order] == name], row, rtol=0, atol=ROUNDED)


def test_a_prompt_twice_in_a_step_sees_the_memory_before_it() -> None:
    """Both of its groups, and the next step sees both."""
    rewards = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
    memory = Replay(2, weight="fair")
    memory.advantages(np.array([[0.0, 0.0, 0.0, 1.0]]), ["a"])
    both = memory.advantages(rewards, ["a", "a"])
    for row in range(2):
        alone = ml.advantages(rewards[row : row + 1], 2, estimator="replay", history=[[0, 0, 0, 1]])
        assert np.array_equal(both[row], alone[0])
    after = memory.advantages(rewards[:1], ["a"])
    history = [[0, 0, 0, 1, *rewards.ravel().tolist()]]
    assert np.array_equal(after, ml.advantages(rewards[:1], 2, estimator="replay", history=history))


def test_evaluation_changes_nothing() -> None:
    memory = Replay(2)
    for rewards, prompts in steps_of(0):
        memory.advantages(rewards, prompts)
    before = memory.state_dict()
    memory.advantages(np.array([[1.0, 0.0, 1.0]]), ["new"], remember=False)
    assert all(np.array_equal(before[name], each) for name, each in memory.state_dict().items())
    assert memory.metrics["known"] == 0


def grown(**settings: Any) -> Replay:
    """A memory of prompts 0 and 1: the right answers of prompt 0 agree, those of 1 differ."""
    memory = Replay(2, **settings)
    if not STATE:
        rng, first = np.random.default_rng(5), Replay(2)
        for _ in range(4):
            rewards = (rng.random((2, 6)) < 0.6) * 1.0
            first.advantages(rewards, [0, 1], answers=[["x"] * 6, [f"{i}" for i in range(6)]])
        STATE.update(first.state_dict())
    memory.load_state_dict(STATE)
    return memory


STATE: dict[str, np.ndarray] = {}


SIX = st.lists(st.sampled_from([0.0, 1.0]), min_size=6, max_size=6)


@pytest.mark.parametrize("weight", ["ema", "others", "fair"])
@given(groups=st.tuples(SIX, SIX), agree=st.booleans(), rollout=st.integers(0, 5), prompt=st.integers(0, 1))
def test_what_is_subtracted_does_not_see_the_rollout(
    weight: str, groups: tuple[list[float], list[float]], agree: bool, rollout: int, prompt: int
) -> None:
    """A_i - K q_i is the same whatever R_i is, its answer too: so it is unbiased whatever is chosen."""
    subtracted = []
    for own in (0.0, 1.0):
        memory = grown(weight=weight)
        mine, other = groups[0].copy(), groups[1]
        mine[rollout] = own
        answers = ["x"] * 6
        answers[rollout] = "x" if agree or not own else "another"
        rewards = np.array([mine, other])
        found = memory.advantages(rewards, [prompt, 1 - prompt], answers=[answers, ["x"] * 6])
        inclusion = ml.advantages(rewards[:1], 2, estimator="pkpo-s")[0]
        subtracted.append(found[0, rollout] - inclusion[rollout])
    assert abs(subtracted[0] - subtracted[1]) <= ROUNDED


def test_answers_that_agree_choose_plug_in_floor_and_others_replay() -> None:
    memory = grown(weight="fair")
    state = memory.state_dict()
    y = [row[:count] for row, count in zip(state["rewards"], state["count"], strict=True)]
    rewards = np.array([[1.0, 0, 0, 1, 0, 0]] * 2)
    found = memory.advantages(rewards, [0, 1], answers=[["x"] * 6] * 2)
    for row, rule in enumerate(("plug-in-floor", "replay")):
        wanted = ml.advantages(rewards[row : row + 1], 2, estimator=rule, history=[y[row]])
        assert np.array_equal(found[row], wanted[0]), rule
    assert memory.metrics["one_answer"] == 0.5
    plain = grown(weight="fair").advantages(rewards, [0, 1])
    assert np.array_equal(plain[1], found[1])
    assert not np.array_equal(plain[0], found[0])


def test_the_share_of_agreeing_pairs_is_counted_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        answers, right = rng.integers(0, 3, (4, 7)), rng.random((4, 7)) < 0.6
        equal, pairs = of_answers.agreement(answers, right)
        for row in range(4):
            mine = [answers[row, i] for i in range(7) if right[row, i]]
            listed = [(a, b) for i, a in enumerate(mine) for b in mine[:i]]
            assert (equal[row], pairs[row]) == (sum(a == b for a, b in listed), len(listed))


def test_the_share_estimates_how_many_right_answers_there_are() -> None:
    """Over groups of a prompt with G equal right answers: 1/G, within 5 standard errors."""
    rng = np.random.default_rng(1)
    for right in (1, 2, 5):
        equal, pairs = of_answers.agreement(rng.integers(0, right, (4000, 8)), rng.random((4000, 8)) < 0.4)
        share = equal.sum() / pairs.sum()
        error = np.sqrt(((equal - share * pairs) ** 2).sum()) / pairs.sum()
        assert abs(share - 1 / right) <= 5 * error + 1e-12
        assert (share > of_answers.ONE_ANSWER) == (right == 1)


def test_a_prompt_without_pairs_of_its_own_is_taken_to_be_like_the_others() -> None:
    memory = Replay(2)
    for _ in range(3):
        memory.advantages(np.ones((3, 4)), ["a", "b", "c"], answers=np.zeros((3, 4), np.int64))
    memory.advantages(np.zeros((1, 4)), ["new"], answers=np.zeros((1, 4), np.int64))
    assert memory.metrics["one_answer"] == 1.0
    empty = Replay(2)
    empty.advantages(np.ones((1, 4)), ["new"], answers=np.zeros((1, 4), np.int64))
    assert empty.metrics["one_answer"] == 0.0


def test_unscored_rollouts_are_left_out_and_not_remembered() -> None:
    memory, whole = Replay(2, weight="fair"), Replay(2, weight="fair")
    nan = np.nan
    memory.advantages([[1.0, nan, 0.0, 0.0]], ["a"], nan_policy="omit")
    whole.advantages([[1.0, 0.0, 0.0]], ["a"])
    rewards = np.array([[nan, 1.0, 0.0, 0.0, 1.0]])
    found = memory.advantages(rewards, ["a"], nan_policy="omit")
    assert np.array_equal(found[0, 1:], whole.advantages(rewards[:, 1:], ["a"])[0])
    assert found[0, 0] == 0
    nothing = memory.advantages([[nan, nan]], ["a"], nan_policy="omit")
    assert not nothing.any()
    assert memory.step == 3


def test_small_groups() -> None:
    memory = Replay(3)
    with pytest.raises(
        ValueError, match=r"group of prompts\[1\] has 2 scored rollouts and 0 earlier rewards"
    ):
        memory.advantages([[1.0, 0, 0], [1.0, 0, np.nan]], ["a", "b"], nan_policy="omit")
    assert (memory.step, memory.state_dict()["ids"].size) == (0, 0)
    found = memory.advantages(
        [[1.0, 0, 0], [1.0, 0, np.nan]], ["a", "b"], nan_policy="omit", small_groups="zero"
    )
    assert found[0].any()
    assert not found[1].any()
    assert memory.state_dict()["count"].tolist() == [3, 2]


def test_rules_that_need_a_history_say_so_and_begin_with_0() -> None:
    rewards = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for rule, k in (("centered-replay", 3), ("pooled", 4)):
        memory = Replay(k, estimator=rule)
        with pytest.raises(ValueError, match=r"0 earlier rewards.*small_groups='zero'"):
            memory.advantages(rewards, [7, 8])
        assert not memory.advantages(rewards, [7, 8], small_groups="zero").any()
        found = memory.advantages(rewards, [7, 8])
        assert np.array_equal(found, ml.advantages(rewards, k, estimator=rule, history=list(rewards)))
    memory = Replay(2, estimator="plug-in-floor")
    assert np.array_equal(
        memory.advantages(rewards, [7, 8]), ml.advantages(rewards, 2, estimator="pkpo-loo1")
    )


def test_a_schedule_gives_the_k_of_a_step() -> None:
    memory, rewards = Replay(2, weight="fair"), np.array([[1.0, 0.0, 0.0, 0.5]])
    memory.advantages(rewards, [0])
    found = memory.advantages(rewards, [0], k=3)
    assert np.array_equal(found, ml.advantages(rewards, 3, estimator="replay", history=list(rewards)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_come_back_as_they_are(dtype: torch.dtype) -> None:
    memory, other = Replay(2), Replay(2)
    for rewards, prompts in steps_of(4):
        tensor = torch.tensor(rewards, dtype=dtype, requires_grad=True)
        found = memory.advantages(tensor, torch.tensor(prompts))
        assert (found.dtype, found.requires_grad) == (dtype, False)
        wanted = torch.tensor(other.advantages(rewards, prompts)).to(dtype)  # quarters are exact in all
        assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (np.array([3, 4], np.int32), [3, 4]),
        (np.array([3, 4], np.uint64), torch.tensor([3, 4])),
        (["a", "b"], np.array(["a", "b"])),
        ([UUID(int=1), UUID(int=2)], [UUID(int=1), UUID(int=2)]),
        ([b"a", b"b"], np.array([b"a", b"b"])),
        ([2**70, 1], [2**70, 1]),
    ],
)
def test_an_id_is_known_again_however_it_is_held(first: Any, again: Any) -> None:
    memory = Replay(2)
    memory.advantages(np.eye(2), first)
    memory.advantages(np.eye(2), again)
    assert memory.metrics["known"] == 1
    assert memory.metrics["prompts"] == 2


def test_ids_of_other_kinds_are_other_prompts() -> None:
    memory = Replay(2)
    for ids in ([1], ["1"], [b"1"], [True], [UUID(int=1)], [2**64 + 1], ["1 "]):
        memory.advantages(np.eye(2)[:1], ids)
        assert memory.metrics["known"] == 0
    assert memory.metrics["prompts"] == 7


def test_many_prompts_in_one_table() -> None:
    """Every prompt keeps its own rewards while the arrays and the index grow, in any order of visits."""
    memory, rng = Replay(1, keep=2, weight="fair"), np.random.default_rng(0)
    ids = rng.permutation(np.arange(-2500, 2500))
    for part in np.array_split(ids, 17):
        memory.advantages(part[:, None] * np.ones(2), part)
    order = rng.permutation(ids)
    found = memory.advantages(np.zeros((5000, 2)), order)
    # K = 1, W = 2: lambda is 2/3, and A = (1 - 2/3) RLOO + 2/3 (R - mean of the history).
    np.testing.assert_allclose(found, np.repeat(-2 / 3 * order[:, None], 2, axis=1), rtol=1e-12)


def test_a_step_of_one_group_has_no_others_to_learn_from() -> None:
    memory, rewards = Replay(2, weight="others"), np.array([[1.0, 0.0, 0.0]])
    for _ in range(2):
        assert np.array_equal(memory.advantages(rewards, ["a"]), ml.advantages(rewards, 2))
    assert memory.metrics["lambda"] == 0


def test_metrics() -> None:
    memory = Replay(2)
    memory.advantages([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]], ["a", "b"])
    assert memory.metrics == {"known": 0.0, "dead_groups": 0.5, "prompts": 2.0}
    memory.advantages([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]], ["c", "a"])
    assert memory.metrics == {
        "known": 0.5,
        "dead_groups": 0.5,
        "history_size": 3.0,
        "history_age": 1.0,
        "lambda": 0.0,
        "prompts": 3.0,
    }
    memory.advantages([[0.0, 0.0, 1.0]], ["b"])
    assert memory.metrics["history_age"] == 2.0


@pytest.mark.parametrize(
    ("settings", "error", "fragments"),
    [
        ({"k": 0}, ValueError, ["k=0", "k >= 1"]),
        ({"k": 2.0}, TypeError, ["k=2.0"]),
        ({"estimator": "maxpo"}, ValueError, ["estimator='maxpo'", "centered-replay"]),
        ({"keep": 0}, ValueError, ["keep=0", "keep=64"]),
        ({"keep": 1.5}, TypeError, ["keep=1.5"]),
        ({"half_life": 0}, ValueError, ["half_life=0", "None"]),
        ({"half_life": float("inf")}, ValueError, ["half_life=inf"]),
        ({"weight": "learned"}, ValueError, ["weight='learned'", "'ema'"]),
        ({"weight": "fair", "estimator": "plug-in-floor"}, ValueError, ["weight='fair'", "replay alone"]),
        ({"half_life": 3, "estimator": "pooled"}, ValueError, ["half_life=3", "pooled"]),
    ],
)
def test_settings_that_cannot_be_honoured(
    settings: dict[str, Any], error: type[Exception], fragments: list[str]
) -> None:
    with pytest.raises(error) as caught:
        Replay(**{"k": 2} | settings)
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)


PAIR = np.array([[1.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("call", "error", "fragments"),
    [
        (lambda m: m.advantages(PAIR, ["a"]), ValueError, ["prompts have shape (1,)"]),
        (lambda m: m.advantages(PAIR, ["a", None]), ml.GroupIdError, ["prompts[1] is missing"]),
        (lambda m: m.advantages(PAIR, ["a", 1]), ml.GroupIdError, ["prompts[1]"]),
        (lambda m: m.advantages(PAIR, [0.5, 1.5]), ml.GroupIdError, ["prompts[0] is 0.5"]),
        (lambda m: m.advantages(PAIR[None], ["a"]), ValueError, ["(1, 2, 2)", "(P, n)"]),
        (lambda m: m.advantages(PAIR * np.nan, ["a", "b"]), ValueError, ["nan"]),
        (lambda m: m.advantages(PAIR, ["a", "b"], k=3), ValueError, ["k=3"]),
        (lambda m: m.advantages(PAIR, ["a", "b"], nan_policy="drop"), ValueError, ["nan_policy='drop'"]),
        (lambda m: m.advantages(PAIR, ["a", "b"], answers=["x"]), (ValueError, TypeError), ["answers"]),
        (lambda m: m.advantages(PAIR, ["a", "b"], answers="text"), TypeError, ["answers is a str"]),
        (lambda m: m.advantages(PAIR, ["a", "b"], answers=[["x"], ["y"]]), ValueError, ["answers have rows"]),
        (
            lambda m: m.advantages(PAIR / 2, ["a", "b"], answers=[["x"] * 2] * 2),
            ValueError,
            ["answers with a reward of 0.5", "leave answers out"],
        ),
        (
            lambda m: Replay(2, estimator="pooled").advantages(PAIR, ["a", "b"], answers=[["x"] * 2] * 2),
            ValueError,
            ["answers with pooled", "estimator='replay'"],
        ),
    ],
)
def test_a_step_that_is_refused_is_not_remembered(
    call: Callable[[Replay], Any], error: type[Exception], fragments: list[str]
) -> None:
    memory = Replay(2)
    memory.advantages(PAIR, ["a", "b"])
    before = memory.state_dict()
    with pytest.raises(error) as caught:
        call(memory)
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)
    assert all(np.array_equal(before[name], each) for name, each in memory.state_dict().items())


class RemembersFirst(Replay):
    """The mutant that this file is against: a group's own rollouts are in its history."""

    def advantages(self, rewards: Any, prompts: Any, **others: Any) -> Any:
        super().advantages(rewards, prompts, **others)
        self.step -= 1
        return super().advantages(rewards, prompts, **(others | {"remember": False}))


class SeesTheFirstCopy(Replay):
    """Groups of a step one by one: the second of a prompt sees the first."""

    def advantages(self, rewards: Any, prompts: Any, **others: Any) -> Any:
        rows = [
            super(SeesTheFirstCopy, self).advantages(rewards[i : i + 1], prompts[i : i + 1], **others)
            for i in range(len(rewards))
        ]
        return np.concatenate(rows)


class Forgets(Replay):
    """Every step begins anew."""

    def advantages(self, rewards: Any, prompts: Any, **others: Any) -> Any:
        self.load_state_dict(Replay(self.k).state_dict())
        return super().advantages(rewards, prompts, **others)


@pytest.mark.parametrize("mutant", [RemembersFirst, SeesTheFirstCopy, Forgets])
def test_mutants_are_caught(mutant: type[Replay]) -> None:
    ours, witness, apart = mutant(2, weight="fair"), Listed(2, weight="fair"), 0.0
    for rewards, prompts in steps_of(1, prompts=3):
        found = ours.advantages(rewards, prompts)
        wanted = np.array(witness.advantages(rewards.tolist(), prompts.tolist()))
        apart = max(apart, float(np.abs(found - wanted).max()))
    assert apart > 1e-3
