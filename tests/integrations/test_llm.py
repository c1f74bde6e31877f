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
from analysis.studies.llm.design import HELD_OUT, REFERENCE, SHARED, STARTS, Training  # noqa: E402
from analysis.studies.llm.start import questions, warm_start  # noqa: E402
from analysis.studies.llm.study import _only_errors, measure  # noqa: E402
from analysis.studies.llm.training import train  # noqa: E402
from envs.language_models.completions import success  # noqa: E402

#: 1 in a million by a normal deviate, for each of some tens of z-scores here.
FAR = 5.0


@pytest.fixture(scope="module")
def smoke() -> pd.DataFrame:
    return runner.run(STUDY, "smoke", workers=1, console=Console(quiet=True)).rows


def test_the_study_writes_its_results(smoke: pd.DataFrame, tmp_path: Path) -> None:
    assert set(smoke.kind) == {"curve", "history", "sample", "prompt", "variance"}
    report.write(STUDY, smoke, {"seed": STUDY.seed}, tmp_path)
    for name in ("figure", "variance", "learning_rate"):
        assert 0 < (tmp_path / STUDY.name / f"{name}.png").stat().st_size < 300_000


def test_all_runs_start_from_the_warm_start_and_then_part(smoke: pd.DataFrame) -> None:
    curves = smoke[smoke.kind == "curve"]
    found = success(warm_start("chain"), questions("chain")[1])
    assert set(curves.pass_at_1[curves.step == 0]) == {float(found.mean())}
    assert float(found.mean()) > STARTS["chain"]
    assert curves[curves.step == curves.step.max()].pass_at_1.nunique() == curves.rule.nunique() > 1


def test_what_trl_samples_is_what_was_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 256 rollouts a prompt; a temperature of 0.8 would be off by more than is allowed."""
    monkeypatch.setattr(training, "ROLLOUTS", 256)
    end = measure(Training("chain", "maxpo", SHARED, 0, 2, 1))[-1]
    assert end.kind == "sample"
    off = end.sampled_pass_at_k - end.pass_at_k
    assert abs(off) < FAR * end.sampled_pass_at_k_error
    assert end.sampled_pass_at_k_error < 0.01


def test_the_sample_agrees_with_the_exact_variance(smoke: pd.DataFrame) -> None:
    rows = smoke[smoke.kind == "variance"].set_index("rule")
    assert ((rows.sampled_trace - rows.total_trace).abs() < FAR * rows.sampled_trace_error).all()
    assert rows.loc[REFERENCE, "ratio"] == 1
    unbiased = rows[rows.efficiency.notna()]
    np.testing.assert_allclose(unbiased.scale, 1.0, rtol=1e-9)
    assert unbiased.efficiency.between(0, 1).all()


def test_training_teaches() -> None:
    """Sixty steps of MaxPO raise pass@4 of the training prompts, and repeat themselves to the bit."""
    cell = Training("chain", "maxpo", SHARED, 0, 60, 1)
    model = warm_start("chain")
    asked = questions("chain")[0]
    before = success(model, asked)
    with _only_errors():
        train(model, cell)
    assert np.mean(1 - (1 - success(model, asked)) ** 4) > np.mean(1 - (1 - before) ** 4) + 0.03
    short = Training("answer", "predictive", SHARED, 1, 2, 1)
    assert measure(short) == measure(short)
    assert len(questions("answer")[1].texts) == HELD_OUT
