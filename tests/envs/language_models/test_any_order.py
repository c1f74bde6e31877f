"""AnyOrderSum against orders that are walked one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import permutations, product
from math import factorial, prod

import numpy as np
import pytest

from envs.language_models.any_order import AnyOrderSum

#: Base, digits and how many derivations.
CASES = [(3, 5, 30), (2, 4, 6), (5, 3, 3), (4, 3, 6), (3, 1, 1)]


def walked(prompt: tuple[int, ...], base: int) -> set[tuple[int, ...]]:
    """All chains of running sums, one order of the digits after another."""
    found = set()
    for order in permutations(range(len(prompt))):
        total, chain = 0, []
        for place in order:
            total = (total + prompt[place]) % base
            chain.append(total)
        found.add(tuple(chain))
    return found


@pytest.mark.parametrize(("base", "digits", "count"), CASES)
def test_what_is_right_is_what_some_order_writes(base: int, digits: int, count: int) -> None:
    task = AnyOrderSum(base, digits, derivations=count)
    outputs = list(product(range(base), repeat=digits))
    for place, prompt in enumerate(task.prompt_tokens.tolist()[:12]):
        right = walked(tuple(prompt), base)
        assert [output in right for output in outputs] == task.verify(place, outputs).astype(bool).tolist()
        assert {tuple(each) for each in task.right(place).tolist()} == right
        assert len(task.right(place)) == len(right) == count
        # Every derivation ends in the sum of all digits, and that alone is not enough.
        assert {each[-1] for each in right} == {sum(prompt) % base}


def test_prompts_are_all_that_have_as_many_derivations() -> None:
    task = AnyOrderSum(3, 5, derivations=30)
    every = product(range(3), repeat=5)
    ways = {each: factorial(5) // prod(factorial(m) for m in Counter(each).values()) for each in every}
    assert [tuple(each) for each in task.prompt_tokens.tolist()] == [p for p, n in ways.items() if n == 30]
    with pytest.raises(ValueError, match=r"derivations=7: .*1, 5, 10, 20, 30: choose one of these"):
        AnyOrderSum(3, 5, derivations=7)


def answer_alone(task: AnyOrderSum, place: int, tokens: np.ndarray) -> np.ndarray:
    return tokens[:, -1] == task.prompt_tokens[place].sum() % task.base


def digits_used_again(task: AnyOrderSum, place: int, tokens: np.ndarray) -> np.ndarray:
    added = np.diff(tokens, axis=1, prepend=0) % task.base
    return np.isin(added, task.prompt_tokens[place]).all(axis=1) & answer_alone(task, place, tokens)


def order_of_the_prompt(task: AnyOrderSum, place: int, tokens: np.ndarray) -> np.ndarray:
    return (tokens == np.cumsum(task.prompt_tokens[place]) % task.base).all(axis=1)


def first_step_unchecked(task: AnyOrderSum, place: int, tokens: np.ndarray) -> np.ndarray:
    added = np.sort(np.diff(tokens, axis=1) % task.base, axis=1)
    given = np.sort(task.prompt_tokens[place])
    return np.array([not Counter(a) - Counter(given) for a in added.tolist()])


@pytest.mark.parametrize(
    "wrong", [answer_alone, digits_used_again, order_of_the_prompt, first_step_unchecked]
)
def test_easier_and_stricter_verifiers_are_others(wrong: Callable[..., np.ndarray]) -> None:
    task = AnyOrderSum(3, 4, derivations=12)
    outputs = np.array(list(product(range(3), repeat=4)))
    assert any(
        (wrong(task, place, outputs) != task.verify(place, outputs)).any()
        for place in range(len(task.prompt_tokens))
    )


@pytest.mark.parametrize(
    ("tokens", "error"),
    [([[0, 1]], "expected"), ([[0, 1, 5]], "must be 0 to 4"), ([[0.0, 1.0, 2.0]], "integers")],
)
def test_outputs_of_another_form_are_refused(tokens: list[list[float]], error: str) -> None:
    with pytest.raises((ValueError, TypeError), match=error):
        AnyOrderSum(5, 3, derivations=6).verify(0, tokens)
