"""What a framework's own code gives some groups, called in the environment that its package is in.

As a program, ``python -m maxpo_lab.integrations.frameworks.numbers NAME ...``, it prints them as JSON.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from ...core.precision import as_numpy
from ..conventions import Adapted, adapt
from .framework import Framework, ShippedRule
from .registry import get_framework

#: Groups by what they are called, in float32.
GROUPS: dict[str, tuple[float, ...]] = {
    "1000": (1.0, 0.0, 0.0, 0.0),
    "1100": (1.0, 1.0, 0.0, 0.0),
    "3,1,2,-1": (3.0, 1.0, 2.0, -1.0),
    "1,-1,-1,-1": (1.0, -1.0, -1.0, -1.0),
    "eight 0.7": (0.7,) * 8,
    "eight 0.1": (0.1,) * 8,
    "all fail": (0.0,) * 4,
    "all right": (1.0,) * 4,
    "alone": (1.0,),
    "missing": (float("nan"), 1.0, 0.0, 0.0),
    "100,0,0,0": (100.0, 0.0, 0.0, 0.0),
}
#: Two groups that meet in one batch.
TOGETHER = ((1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0))
#: Rows of groups of different sizes, mixed, for rules that are told which belong together.
MIXED = ((1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0, 1, 0, 1, 0, 1, 0))

Numbers = dict[str, tuple[float, ...] | str]


def numbers(framework: Framework, rule: ShippedRule) -> Numbers:
    """Advantages of ``GROUPS``, of ``TOGETHER`` and of ``MIXED``; where a call raises, the error's name.

    Responses have one token each, where a call says how long they are.

    Also ``"couples"``, whether a group's advantages are others beside another group, and ``"interleaved"``,
    whether rows in another order get what they got. FrameworkVersionError: another version is installed.
    """
    framework.check()
    if rule.call is None:
        raise ValueError(f"{framework.name}: {rule.name} was read, and not run")
    called = adapt(rule.call(), rule.signature, settings=dict(rule.settings))

    def of(*groups: tuple[float, ...]) -> tuple[float, ...] | str:
        rewards = np.array(groups, dtype=np.float32).astype(np.float64)
        if isinstance(called, Adapted) and called.sees_lengths:
            return _tried(lambda: called.with_lengths(rewards, np.ones(rewards.shape, dtype=np.int64), 1))
        return _tried(lambda: called(rewards, 1))

    found: Numbers = {name: of(group) for name, group in GROUPS.items()}
    both = found["together"] = of(*TOGETHER)
    alone = [of(group) for group in TOGETHER]
    if isinstance(both, str) or any(isinstance(each, str) for each in alone):
        found["couples"] = "not known"
    else:
        apart = np.concatenate(alone)
        found["couples"] = "yes" if np.abs(apart - both).max() > 1e-5 * np.abs(apart).max() else "no"
    found |= _by_id(rule)
    return found


def _by_id(rule: ShippedRule) -> Numbers:
    if rule.by_id is None:
        return {"unequal": "by position", "interleaved": "by position"}
    called = rule.by_id()
    rewards, ids = np.array(MIXED[0]), np.array(MIXED[1])
    unequal = _tried(lambda: called(rewards, ids))
    equal, names = np.array(TOGETHER).reshape(-1), np.repeat([0, 1], 4)
    order = np.array([0, 4, 1, 5, 2, 6, 3, 7])
    plain, mixed = (_tried(lambda at=at: called(equal[at], names[at])) for at in (np.arange(8), order))
    same = (
        not isinstance(plain, str)
        and not isinstance(mixed, str)
        and np.allclose(np.array(plain)[order], mixed, rtol=1e-5, atol=1e-7)
    )
    return {"unequal": unequal, "interleaved": "the same" if same else "others"}


def _tried(call: Any) -> tuple[float, ...] | str:
    try:
        return tuple(float(each) for each in as_numpy(call()).reshape(-1))
    except Exception as error:  # what a package raises on a group is what is to be known of it
        return type(error).__name__


def main(names: list[str]) -> None:
    """Print the numbers of all rules of some frameworks that were run; what packages print goes elsewhere."""
    with redirect_stdout(sys.stderr):
        found = {
            name: {
                rule.name: numbers(get_framework(name), rule)
                for rule in get_framework(name).rules
                if rule.call
            }
            for name in names
        }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
