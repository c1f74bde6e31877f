"""The study of frameworks on the packages themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.studies.frameworks.study import cells, measure
from analysis.studies.frameworks.subjects import FROM_TRL, FROM_VERL

pytestmark = pytest.mark.integration

FOUND = {
    ("TRL", "GRPO, scale_rewards=group"): "= grpo:eps=0.0001",
    ("TRL", "GRPO, scale_rewards=none"): "= batch-mean",
    ("verl", "grpo"): "= grpo",
    ("verl", "grpo, no std"): "= batch-mean",
    ("verl", "grpo_vectorized"): "= grpo",
    ("verl", "rloo"): "= rloo",
    ("verl", "rloo_vectorized"): "= rloo",
    ("verl", "opo"): "= batch-mean",
    ("verl", "grpo_passk"): "= verl-grpo-passk",
    ("verl", "grpo_passk, no std"): "= verl-grpo-passk-nostd",
    ("TRL", "GRPO, scale_rewards=batch"): "= trl-batch",
    ("verl", "gpg"): "= verl-gpg",
    ("verl", "reinforce_plus_plus_baseline"): "= whitened:scale=std1,tokens=2:batch-mean",
    ("verl", "reinforce_plus_plus"): "= whitened:scale=std1,mean=1,tokens=2:reinforce",
}


@pytest.mark.parametrize("subject", [*FROM_TRL, *FROM_VERL], ids=lambda each: f"{each.framework} {each.name}")
def test_packages_compute_what_the_catalogue_says(subject) -> None:
    subjects = FROM_TRL if subject.origin == "TRL" else FROM_VERL
    place = (subject.origin, subjects.index(subject))
    cell = next(each for each in cells("paper") if (each.origin, each.index) == place)
    (row,) = measure(replace(cell, n=4, k=2))
    assert row.version
    expected = FOUND[subject.framework, subject.name]
    assert (row.nearest, row.misbehaves, row.precision) == (expected, None, "float32")
    if row.couples is not None:
        assert (row.verdict, row.order) == ("coupled", 1.0)
    if subject.name == "rloo":
        assert (row.verdict, row.centered) == ("unbiased", "yes")
    if subject.framework == "TRL" and row.couples is None:
        assert row.unscorable == "gets 0; the others as without it"
