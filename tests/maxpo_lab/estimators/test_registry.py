"""The catalogue: complete, truthful about where it is defined, and its claims decided in rationals."""

from __future__ import annotations

import copy
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from checks import OBJECTIVE_SIZE, OF_A_MAXIMUM, check_claims_by_coefficients

import maxpo_lab as ml
from maxpo_lab.estimators import references
from maxpo_lab.estimators.definitions import groups as definitions

NAMES = ml.list_estimators()
ITEM_2 = (
    "reinforce", "rloo", "batch-mean", "grpo", "pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo", "canonical",
)  # fmt: skip


def test_the_rules_of_the_first_part_are_there() -> None:
    assert set(ITEM_2) <= set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_entry_is_complete(name: str) -> None:
    rule = ml.get_estimator(name)
    assert isinstance(rule, ml.Estimator)
    assert rule is ml.get_estimator(name)
    assert rule.name == name
    for text in (rule.title, rule.equation, rule.citation):
        assert isinstance(text, str)
        assert text.strip()
    own = ("l-statistic:", "pass-sum:", "maxrl-truncated:")
    assert rule.objective in OBJECTIVE_SIZE or rule.objective.startswith(own)
    assert isinstance(rule.uses_k, bool)
    assert isinstance(rule.claims, ml.Claims)
    assert name in definitions.BY_NAME or name == "grpo"


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_has_the_references_that_its_citation_names(name: str) -> None:
    rule = ml.get_estimator(name)
    entries = references.bibtex(rule)
    assert entries.startswith("@")
    for identifier in re.findall(r"\d{4}\.\d{5}", rule.citation):
        assert f"https://arxiv.org/abs/{identifier}" in entries


def test_a_citation_of_what_is_known_is_enough_and_another_is_refused() -> None:
    mine = replace(ml.get_estimator("rloo"), citation="arXiv 2606.06080 eq. 7; somebody/else")
    assert references.bibtex(mine) == references.bibtex(ml.get_estimator("maxpo"))
    mine = replace(mine, citation="somebody/else, its default")
    assert "https://github.com/somebody/else" in references.bibtex(mine)
    for citation in ("arXiv 9999.99999", "arXiv 2606.06080; arXiv 9999.99999", "a conversation"):
        with pytest.raises(ValueError, match=r"rloo: .*references\.py"):
            references.bibtex(replace(mine, citation=citation))


def test_nothing_is_defined_that_is_not_in_the_catalogue() -> None:
    assert set(definitions.BY_NAME) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", range(1, 7))
def test_why_not_agrees_with_the_call(name: str, n: int) -> None:
    rule, rewards = ml.get_estimator(name), (np.arange(n) % 2).astype(float)
    for k in (*range(-1, n + 3), 1000):
        reason = rule.why_not(n, k)
        if reason is None:
            assert rule(rewards, k).shape == (n,)
        else:
            with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared whole
                rule(rewards, k)
            assert str(raised.value) == reason
    assert rule.why_not(n, 0)
    defined = n >= rule.smallest_group and rule.why_not(n, 1) is None
    beyond = rule.largest_k(n) + 1
    assert (rule.why_not(n, beyond) is None) == (defined and not rule.uses_k)


def alternatives(name: str, reason: str) -> list[str]:
    """The other rules that a reason mentions; a name inside a longer one is not a mention."""
    words = "".join(" " if mark in ",;()" else mark for mark in reason).split()
    return [other for other in NAMES if other != name and other in words]


@pytest.mark.parametrize("name", NAMES)
def test_a_refusal_names_the_rule_and_a_way_out_that_is_open(name: str) -> None:
    rule = ml.get_estimator(name)
    for n in range(1, 7):
        for k in range(1, n + 1):
            if not (reason := rule.why_not(n, k)):
                continue
            assert name in reason
            others = alternatives(name, reason)
            defined = [other for other in others if ml.get_estimator(other).why_not(n, k) is None]
            _, _, nearest = reason.partition("nearest valid choice is ")
            near, at = (
                (rule, int(nearest[2:])) if nearest[:2] == "k=" else (ml.get_estimator(nearest or name), k)
            )
            valid = nearest and near.why_not(n, at) is None
            assert defined or valid, f"{reason!r}: none of {others} is defined at n={n}, k={k}"


@pytest.mark.parametrize("name", NAMES)
def test_the_nearest_valid_k_is_valid(name: str) -> None:
    rule = ml.get_estimator(name)
    for n in (4, 8):
        for k in (-1, 0, rule.largest_k(n) + 1, 100):
            reason = rule.why_not(n, k)
            if not rule.uses_k and k >= 1:
                assert reason is None
                continue
            assert reason
            nearest = int(reason.rpartition("k=")[2])
            assert rule.why_not(n, nearest) is None, f"{name}, n={n}: {reason!r}"


@pytest.mark.parametrize("name", OF_A_MAXIMUM)
def test_claims_are_decided_by_the_coefficients(name: str) -> None:
    check_claims_by_coefficients(ml.get_estimator(name), name)


def test_where_k_matters_is_as_claimed() -> None:
    for name in NAMES:
        rule = ml.get_estimator(name)
        usable = [k for k in range(1, 9) if rule.why_not(8, k) is None]
        rewards = np.array([0.0, 1, 0, 0, 1, 0, 0, 0])
        results = {rule(rewards, k).tobytes() for k in usable}
        assert (len(results) > 1) == rule.uses_k, name


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("maxop", "maxpo"), ("rlo", "rloo"), ("pkpo-loo2", "pkpo-loo1"), ("MaxPO", "maxpo"), ("GRPO", "grpo")],
)
def test_an_unknown_name_gets_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean .*{nearest}"):
        ml.get_estimator(asked)


PARAMETRISED = (
    "grpo:eps=1e-4", "grpo:eps=1.2345678e-6", "grpo:eps=1.23456789e-6,ddof=0", "maxrl:eps=1e-6",
    "leader:alpha=0.7", "entropic:beta=2.0000001", "l-statistic:TopM:3", "l-statistic:LowerTailMean:1/4",
)  # fmt: skip


@pytest.mark.parametrize("name", [*NAMES, *PARAMETRISED])
def test_a_pickled_rule_is_the_rule_itself(name: str) -> None:
    rule = ml.get_estimator(name)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(rule, protocol)) is rule
    assert copy.copy(rule) is copy.deepcopy(rule) is rule
    assert ml.get_estimator(rule.name) is rule


def test_a_rule_has_one_name_and_a_name_one_rule() -> None:
    assert ml.get_estimator("grpo:eps=1e-6") is ml.get_estimator("grpo:ddof=1") is ml.get_estimator("grpo")
    assert ml.get_estimator("grpo:eps=1e-4,ddof=1") is ml.get_estimator("grpo:eps=0.0001")
    assert ml.get_estimator("maxrl:eps=0") is ml.get_estimator("maxrl")
    made = [ml.get_estimator(name) for name in PARAMETRISED]
    assert len({rule.name for rule in made}) == len(made)


def own_table(n: int, k: int, exact: bool) -> Any:
    return ml.get_estimator("rloo").coefficients(n, k, exact=exact)


@pytest.mark.parametrize("name", ["mine", "rloo"])
def test_a_users_own_rule_is_pickled_as_it_is(name: str) -> None:
    mine = replace(ml.get_estimator("batch-mean"), name=name, table=own_table)
    for again in (*(pickle.loads(pickle.dumps(mine, p)) for p in (0, 2, 5)), copy.deepcopy(mine)):
        assert again.name == name
        assert again.table is own_table
        assert again([1.0, 0.0, 1.0], 1).tolist() == ml.get_estimator("rloo")([1.0, 0.0, 1.0], 1).tolist()


def test_rules_go_to_other_processes() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        names = [f"{rule.name}" for rule in pool.map(_same, map(ml.get_estimator, ("maxpo", *PARAMETRISED)))]
    assert names == [ml.get_estimator(name).name for name in ("maxpo", *PARAMETRISED)]


def _same(rule: ml.Estimator) -> ml.Estimator:
    assert ml.get_estimator(rule.name) is rule
    return rule


def test_coefficients_refuse_where_the_rule_is_undefined() -> None:
    with pytest.raises(ValueError, match="pkpo-loo1"):
        ml.get_estimator("maxpo").coefficients(4, 4)
