"""Every rule that a framework ships, from its package, beside the catalogue and beside the study's rows."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import maxpo_lab as ml
from analysis.studies.frameworks import inside
from analysis.studies.frameworks.judged import values
from analysis.studies.frameworks.study import cells, measure, shown
from maxpo_lab.integrations.frameworks import get_framework, list_frameworks
from maxpo_lab.integrations.frameworks.numbers import GROUPS, TOGETHER

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
RUN = [
    (name, rule.name)
    for name in list_frameworks()
    for rule in get_framework(name).rules
    if rule.call is not None
]
NAMES = list(dict.fromkeys(name for name, _ in RUN))
BY_RULE = pytest.mark.parametrize(("framework", "rule"), RUN, ids=[f"{name} {rule}" for name, rule in RUN])


@cache
def called(environment: str, again: bool = False) -> dict[str, dict[str, dict[str, Any]]]:
    """Numbers of all rules of an environment, from its packages, in a process of its own."""
    del again  # a second call is another process
    home = inside.HOMES.get(environment)
    python = sys.executable if home is None else str(home / "bin" / "python")
    names = [name for name in NAMES if get_framework(name).environment == environment]
    command = [python, "-m", "maxpo_lab.integrations.frameworks.numbers", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def numbers(framework: str, rule: str, *, again: bool = False) -> dict[str, Any]:
    return called(str(get_framework(framework).environment), again)[framework][rule]


def test_at_least_seven_frameworks_are_run_from_their_packages() -> None:
    assert len(NAMES) >= 16
    assert len(RUN) >= 80


@pytest.mark.parametrize("name", NAMES)
def test_a_package_is_the_version_that_the_registry_is_of(name: str) -> None:
    framework = get_framework(name)
    found = inside.installed(framework)
    assert found, f"{name}: make test-integrations makes {inside.HOMES.get(str(framework.environment))}"
    assert found[str(framework.package)] == framework.version, (
        f"{name}: {framework.package} {found[str(framework.package)]} is installed; the registry, the "
        f"study's rows and the documentation are of {framework.version}: go through its entry anew"
    )


#: Where a float32 sum and its float64 double part, relative to the largest advantage: the batch's moments.
CLOSE = 2e-5
#: Rules of 0/1 rewards.
BINARY = ("maxrl",)


@BY_RULE
def test_a_rule_is_the_one_of_the_catalogue_that_it_is_said_to_equal(framework: str, rule: str) -> None:
    """On groups with spread, and on two that meet: whether they couple is the catalogue's word too."""
    shipped = get_framework(framework).rule(rule)
    got = numbers(framework, rule)
    named = ml.get_estimator(str(shipped.equals))
    for group in ("1000", "1100", "3,1,2,-1", "1,-1,-1,-1", "together"):
        rewards = np.array(TOGETHER if group == "together" else [GROUPS[group]])
        if rule in BINARY and not np.isin(rewards, (0, 1)).all():
            continue
        wanted = np.asarray(named(rewards, 2)).reshape(-1)
        assert got[group] == pytest.approx(wanted, abs=CLOSE * np.abs(wanted).max()), group
    assert got["couples"] == ("yes" if named.kind == "batch" else "no")


@BY_RULE
def test_a_second_call_gives_the_same_numbers(framework: str, rule: str) -> None:
    """In another process, to the bit; NaN is alike too."""
    first, second = numbers(framework, rule), numbers(framework, rule, again=True)
    assert json.dumps(first) == json.dumps(second)


@cache
def stored() -> pd.DataFrame:
    """The study's rows in the repository."""
    rows = pd.read_parquet(ROOT / "results" / "frameworks" / "rows.parquet")
    return rows[rows.origin == "package"]


@BY_RULE
def test_the_studys_row_has_the_numbers_that_the_package_gives(framework: str, rule: str) -> None:
    """To five digits; of a flat group, where machines round otherwise, only whether that shows."""
    rows = stored()
    mine = rows[(rows.framework == framework) & (rows.rule == rule)]
    assert len(mine) == 1, "the study has no row of this rule: make frameworks PRESET=paper"
    (row,) = mine.to_dict("records")
    assert row["version"] == get_framework(framework).version
    assert row["verdict"] != "not judged"
    now, before = shown(numbers(framework, rule)), json.loads(row["numbers"])
    assert set(before) == set(now)
    for name, text in now.items():
        old, new = values(before[name]), values(text)
        if name.startswith("eight") and old and new:
            assert (max(map(abs, old)) > 1e-6) == (max(map(abs, new)) > 1e-6), name
        elif old and new:
            assert old == pytest.approx(new, rel=2e-4, abs=1e-6, nan_ok=True), name
        else:
            assert before[name] == text, name


@pytest.mark.parametrize(
    ("framework", "rule", "nearest"),
    [
        ("verl", "grpo", "= grpo"),
        ("TRL", "GRPO, scale_rewards=batch", "= trl-batch"),
        ("OpenRLHF", "rloo", "= rloo"),
        ("ART", "packed", "= art"),
    ],
)
def test_a_row_is_measured_in_the_packages_environment(framework: str, rule: str, nearest: str) -> None:
    """The way from a cell to a row, for an environment each, at a small size."""
    from dataclasses import replace

    cell = next(each for each in cells("paper") if (each.framework, each.rule) == (framework, rule))
    (row,) = measure(replace(cell, n=4, k=2))
    assert (row.nearest, row.misbehaves) == (nearest, None)
    if rule == "rloo":
        assert (row.verdict, row.centered, row.law, row.law_up_to) == ("unbiased", "yes", "linear", 10.0)
        assert values(json.loads(row.numbers)["100,0,0,0"]) == [10.0, -10.0, -10.0, -10.0]
