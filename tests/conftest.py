"""Fixtures of the suite: the array libraries that are present, and hypothesis' settings."""

from __future__ import annotations

import gc
import os

# A notebook leaves its backend to the processes it starts, where matplotlib may not import because of it.
os.environ.pop("MPLBACKEND", None)

import hypothesis
import pytest

pytest.register_assert_rewrite("brute_force", "checks", "specimen_witness")

from backends import BACKENDS, TYPED, Backend  # noqa: E402 - after the line that rewrites the helpers' asserts

# Derandomised: the same commit gets the same verdict on every machine.
hypothesis.settings.register_profile(
    "lab", deadline=None, derandomize=True, database=None, max_examples=30, print_blob=False
)
hypothesis.settings.load_profile("lab")


def pytest_collection_finish() -> None:
    """Leave what the test modules imported out of every later collection of garbage: it stays."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=BACKENDS, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each array library and device that is present, in turn, in float64."""
    return request.param


@pytest.fixture(params=TYPED, ids=str)
def arrays(request: pytest.FixtureRequest) -> Backend:
    """Each array library, device and dtype: what a kernel is called with."""
    return request.param
