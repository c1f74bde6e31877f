"""The study ``llm`` end to end at its smoke preset, with TRL, and what TRL samples against what is exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

# Warnings of this project stay errors; TRL gives some through how it calls what it depends on.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|envs|analysis|tests)"),
]
pytest.importorskip("trl", reason="TRL is not installed: make test-integrations")

from analysis.output import report  # noqa: E402
from analysis.run import runner  # noqa: E402
from analysis.studies.llm import STUDY, training  # noqa: E402
from analysis.studies.llm.design import REFERENCE, REPLAY, SETTINGS, Contest  # noqa: E402
from analysis.studies.llm.plan import LARGE  # noqa: E402
from analysis.studies.llm.start import questions, warm_start  # noqa: E402
from analysis.studies.llm.study import _only_errors, measure  # noqa: E402
from analysis.studies.llm.training import Run, sampled, train  # noqa: E402
from envs.language_models.completions import success  # noqa: E402

#: 1 in a million by a normal deviate, for each of some tens of z-scores here.
FAR = 5.0


@pytest.fixture(scope="module")
def smoke() -> pd.DataFrame:
    return runner.run(STUDY, "smoke", workers=1, console=Console(quiet=True)).rows


def test_the_study_writes_its_results(smoke: pd.DataFrame, tmp_path: Path) -> None:
    kinds = {"curve", "tuning", "run", "power", "prediction", "prompt", "variance", "history", "scores"}
    assert set(smoke.kind) == kinds
    report.write(STUDY, smoke, {"seed": STUDY.seed}, tmp_path)
    for name in ("figure", "variance", "learning_rate"):
        assert 0 < (tmp_path / STUDY.name / f"{name}.png").stat().st_size < 300_000


def test_all_runs_start_from_one_model_and_then_part(smoke: pd.DataFrame) -> None:
    curves = smoke[smoke.kind == "curve"]
    found = success(warm_start("order"), questions("order")[0])
    (start,) = set(curves.pass_at_1[curves.step == 0])
    # Runs have one thread; here sums of float32 may be split among several, as the machine's load has it.
    assert start == pytest.approx(float(found.mean()), rel=1e-6)
    last = curves[(curves.step == curves.step.max()) & (curves.seed == 0)].set_index("rule").pass_at_1
    # In the first epoch, of six steps, nothing is remembered, and replay without a history is maxpo.
    assert last["maxpo"] == last[REPLAY] != last[REFERENCE]


@pytest.mark.parametrize("verifier", ["chain", "answer"])
def test_a_warm_start_is_above_its_start(verifier: str) -> None:
    found = success(warm_start(verifier), questions(verifier)[1])
    assert SETTINGS[verifier].start < found.mean() < SETTINGS[verifier].start + 0.1


def test_what_trl_samples_is_what_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 256 rollouts a prompt; a temperature of 0.8 would be off by more than is allowed."""
    monkeypatch.setattr(training, "ROLLOUTS", 256)
    model, held_out = warm_start("chain"), questions("chain")[1]
    with _only_errors():
        path = train(model, Run("chain", "maxpo", 3e-4, 0, 2, 1))
        estimate, error = sampled(path.trainer, held_out)
    exact = float(np.mean(1 - (1 - success(model, held_out)) ** 4))
    assert abs(estimate - exact) < FAR * error
    assert error < 0.01


def test_the_sample_agrees_with_the_exact_variance(smoke: pd.DataFrame) -> None:
    rows = smoke[smoke.kind == "variance"].set_index("rule")
    assert ((rows.sampled_trace - rows.total_trace).abs() < FAR * rows.sampled_trace_error).all()
    assert rows.loc[REFERENCE, "ratio"] == 1
    unbiased = rows[rows.efficiency.notna()]
    np.testing.assert_allclose(unbiased.scale, 1.0, rtol=1e-9)
    assert unbiased.efficiency.between(0, 1).all()


def test_training_teaches_and_narrows() -> None:
    """Forty-eight steps of MaxPO raise pass@4 of the training prompts, on fewer derivations."""
    with _only_errors():
        path = train(warm_start("order"), Run("order", "maxpo", 1e-3, 0, 48, 1))
    assert path.pass_at_k[1] > path.pass_at_k[0] + 0.1
    assert path.curve[1].diversity.mean() < 0.7 * path.curve[0].diversity.mean()


@pytest.mark.parametrize("rule", ["predictive", REPLAY])
def test_a_contest_repeats_itself_to_the_bit(rule: str) -> None:
    """Over more than one epoch of the 24 prompts, so that a memory has something to remember."""
    cell = Contest("order", rule, 1, 8, 2, 1)
    assert measure(cell) == measure(cell)


def test_replay_remembers_across_epochs() -> None:
    """Eight steps of four prompts: each of 24 was seen, eight of them twice."""
    with _only_errors():
        path = train(warm_start("order"), Run("order", REPLAY, 1e-3, 0, 8, 1))
    state = path.trainer.memory.state_dict()
    assert sorted(np.asarray(state["count"]).tolist()) == [16] * 16 + [32] * 8
    assert path.trainer.memory.metrics["known"] == 1.0


def test_a_run_that_diverges_scores_0_and_is_counted() -> None:
    with _only_errors():
        path = train(warm_start("order"), Run("order", "maxpo", float("inf"), 0, 6, 3))
    assert path.diverged
    assert path.pass_at_k[0] > 0
    assert path.pass_at_k[1:].tolist() == [0.0] * 3


def test_the_large_model_trains_and_is_evaluated() -> None:
    """A few steps on the CPU of what a GPU is given."""
    rows = measure(Contest("order", "maxpo", 1, 2, 1, 1, size=LARGE))
    end = next(row for row in rows if row.kind == "run")
    assert (end.size, end.device) == (50, "cpu")
    assert 0.9e6 < end.parameters < 1.2e6
    start = next(row for row in rows if row.kind == "curve" and row.step == 0)
    assert end.pass_at_k != start.pass_at_k
    assert 0 < end.held_out_pass_at_k < 1
