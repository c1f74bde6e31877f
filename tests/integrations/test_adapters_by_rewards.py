"""MaxPO's advantages handed over as rewards, through all shipped rules that only subtract a mean."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from maxpo_lab.integrations.adapters.by_rewards import as_rewards
from maxpo_lab.integrations.adapters.training_rule import TrainingRule
from maxpo_lab.integrations.frameworks import get_framework, list_frameworks

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("trinity") is None, reason="they are not here: make test-integrations"),
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)"),
]
#: What each of these rules does to rewards that sum to 0 in their group, by the size of that.
LEAVES = {"batch-mean": lambda n: 1.0, "rloo": lambda n: n / (n - 1)}
RULES = [
    (name, rule.name, rule.equals)
    for name in list_frameworks()
    for rule in get_framework(name).rules
    if get_framework(name).environment == "frameworks" and rule.call and rule.equals in LEAVES
]


def test_there_are_such_rules() -> None:
    found = {name for name, *_ in RULES}
    assert {"OpenRLHF", "ms-swift", "AReaL", "Tunix", "oat", "tinker-cookbook"} <= found


@pytest.mark.parametrize(("framework", "rule", "equals"), RULES)
def test_advantages_come_out_as_they_went_in(framework: str, rule: str, equals: str) -> None:
    call: Any = get_framework(framework).rule(rule).call()
    rng = np.random.default_rng(3)
    for n in (4, 8):
        rewards = rng.integers(0, 2, (6, n)).astype(float)
        ids = np.repeat(np.arange(6), n)
        given = as_rewards(TrainingRule("maxpo", 2), rewards.reshape(-1), ids, clip=10).reshape(6, n)
        np.testing.assert_allclose(call(given), given * LEAVES[equals](n), rtol=1e-6, atol=1e-6)
