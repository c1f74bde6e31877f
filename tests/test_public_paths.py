"""What others import, run and read by name: all of it is listed here, and what is added is added here too."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import gymnasium
import pandas as pd
import pytest
import stand_ins
from gymnasium.envs.registration import load_env_creator
from typer.main import get_command

import envs
import maxpo_lab as ml
from analysis.__main__ import app as analysis
from analysis.output import report
from analysis.run.registry import get_study, list_studies
from maxpo_lab.cli import app as maxpo_lab

ROOT = Path(__file__).parents[1]
#: Names by module: where the module has an ``__all__``, it is this.
PUBLIC = {
    "maxpo_lab": """
        BatchEstimator BatchMoments BatchRule Claims Estimator FixedPoint GroupIdError Laws LoopSpectrum Loss
        MemoryEstimator MemoryRule Moments Outcomes PassAtK RankLinear RatioRule Replay RewardLevels Spectrum
        StandardErrors UpdateMoments UpdateStep ValueMoments ValueRule VarianceFloor VectorBatchEstimator
        VectorEstimator VectorLevels VectorRule advantages batch_moments batch_rule exact_moments
        get_estimator get_loss get_value_rule list_estimators list_losses list_value_rules loop_spectrum
        max_at_k max_at_k_gradient memory_rule objective_spectrum pass_at_k pass_at_k_spectrum path_moments
        per_group ratio_rule side_by_side update_moments update_path value_estimate value_moments
        variance_floor vector_rule
    """,
    "maxpo_lab.auditing": "AuditReport ValueAuditReport adapt audit audit_value",
    "maxpo_lab.estimators": """
        BatchEstimator Claims Coefficients Estimator Laws MemoryEstimator RankLinear get_estimator
        group_estimator list_estimators VectorBatchEstimator VectorEstimator
    """,
    "maxpo_lab.evaluation": """
        Comparison Design PassAtK Plan ValueClaims ValueRule get_value_rule list_measures list_value_rules
        pass_at_k plan value_estimate
    """,
    "maxpo_lab.integrations.adapters.areal": "RuleWorkflow check",
    "maxpo_lab.integrations.adapters.by_rewards": "as_rewards refuse_clipped refuse_uncentered",
    "maxpo_lab.integrations.adapters.changed": "FrameworkChangedError MissingFrameworkError Release",
    "maxpo_lab.integrations.adapters.openrlhf": "install setup_hook",
    "maxpo_lab.integrations.adapters.ms_swift": "install",
    "maxpo_lab.integrations.adapters.prime_rl": "install",
    "maxpo_lab.integrations.adapters.rllm": "register",
    "maxpo_lab.integrations.adapters.skyrl": "register with_metrics",
    "maxpo_lab.integrations.adapters.slime": "log_rollouts post_process_rewards",
    "maxpo_lab.integrations.adapters.torchrl": "RuleAdvantage",
    "maxpo_lab.integrations.adapters.training_rule": "TrainingRule",
    "maxpo_lab.integrations.adapters.trinity": "RuleAdvantage",
    "maxpo_lab.integrations.adapters.tunix": "register",
    "maxpo_lab.integrations.frameworks": """
        Framework FrameworkVersionError ShippedRule get_framework list_frameworks
    """,
    "maxpo_lab.integrations.verl": "advantages_for_verl register verl_name",
    "maxpo_lab.integrations.verl_validation": "VerlChangedError install pass_at_k_metrics",
    "maxpo_lab.evaluation.as_reported": "Report get_report list_reports",
    "maxpo_lab.losses": """
        FILTERINGS Aggregation Clipped Correction Filtering Gamma GeometricMean Loss Penalty Plain Ratio
        Sigmoid Truncated get_loss list_losses off_policy_advantages penalised_rewards
    """,
    "maxpo_lab.moments": """
        DEAD MAX_STATES BatchMoments Moments ReportedMoments StandardErrors UpdateMoments UpdateStep
        ValueMoments VarianceFloor batch_moments exact_moments path_moments reported_moments side_by_side
        update_moments update_path value_moments variance_floor
    """,
    "maxpo_lab.monte_carlo": """
        QUANTITIES Accumulator Estimate Experiment RuleMoments SampledGradient SampledMoments SampledUpdates
        ShardTree Until UpdateEstimates experiment finish measure_shard merge monte_carlo_moments
        monte_carlo_updates on_numpy
        shard_sizes
    """,
    "maxpo_lab.samplers": "RolloutPolicy RolloutTokens Sampler Scores",
    "maxpo_lab.spectrum": "Spectrum objective_spectrum pass_at_k_spectrum",
    "maxpo_lab.testing": "assert_centered assert_equivariant assert_matches assert_unbiased",
    "maxpo_lab.theory": """
        Decision LinearSystem Proof canonical_baseline completeness_rank decide decide_by_moments lift
        multisets prove solve unbiased_and_centered
    """,
    "envs": """
        ChainSum CombinationLock ExactSpecimen GaussianBandit Maze PromptBandit SparseBandit Specimen
        check_step from_gymnasium
    """,
    "envs.networks": "GRU GRUConfig Transformer TransformerConfig initialise",
    "envs.rollouts": "RolloutSampler",
    "envs.sequence": "SequencePolicy SequenceTask",
}
#: Names of ``maxpo_lab`` that are imported when they are asked for.
LATER = """
    AuditReport Estimate SampledMoments SampledUpdates Until UpdateEstimates ValueAuditReport audit
    audit_value monte_carlo_moments monte_carlo_updates on_numpy
"""
GYMNASIUM = "SparseBandit PromptBandit CombinationLock Maze ChainSum GaussianBandit"
COMMANDS = {
    "maxpo-lab": "list show advantages audit pass-at-k",
    "python -m analysis": "list run verify claims figures report compare gallery page rules",
}
TARGETS = "help setup reproduce verify smoke paper figures page docs test test-integrations check bench clean"
STUDIES = """
    batches beyond-n decomposition efficiency evaluation field-claims frameworks history learning llm loops
    monte-carlo phase-diagram prompts several-rewards specimens spectrum training-speed unbiasedness variance
"""
RESULTS = "rows.parquet manifest.json table.csv table.md table.tex figure.png figure.pdf"


@pytest.fixture
def frameworks() -> Iterator[None]:
    with stand_ins.in_place():
        yield


@pytest.mark.usefixtures("frameworks")
@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_has_its_public_names(module: str) -> None:
    found, names = import_module(module), set(PUBLIC[module].split())
    assert all(hasattr(found, name) for name in names)
    assert set(getattr(found, "__all__", names)) == names


def test_adapters_have_public_names() -> None:
    folder = ROOT / "maxpo_lab/integrations/adapters"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == {name.rpartition(".")[2] for name in PUBLIC if ".adapters." in name}


def test_names_that_are_imported_later_are_there() -> None:
    assert set(ml._LATER) - set(ml.__all__) == set(LATER.split()) <= set(dir(ml))
    assert set(ml._LATER) <= set(dir(ml))
    assert all(callable(getattr(ml, name)) for name in ml._LATER)


#: A directive of a page, with its options: what it describes.
_ENTRY = re.compile(r"^\.\. (?:py:)?(currentmodule|auto\w+|data):: (\S+)\n((?:   :.*\n)*)", re.MULTILINE)


def described() -> set[str]:
    """Dotted names that the reference has an entry of; ``module.*`` where it has all of a module's."""
    found = set()
    for page in (ROOT / "docs/reference").glob("*.md"):
        here = ""
        for kind, name, options in _ENTRY.findall(page.read_text()):
            if kind in {"currentmodule", "automodule"}:
                here = name
                for members in re.findall(r":members:(.*)\n", options):
                    found |= {f"{name}.{each.strip() or '*'}" for each in members.split(",")}
            else:
                found.add(name if name.partition(".")[0] in {"maxpo_lab", "envs"} else f"{here}.{name}")
    return found


@pytest.mark.usefixtures("frameworks")
def test_every_public_name_has_an_entry_in_the_reference() -> None:
    """Under any of its paths; a constant under the one that is public."""
    entries = described()
    objects = set()
    for module in {entry.rpartition(".")[0] for entry in entries}:
        if module.startswith("maxpo_lab.integrations.trl"):
            continue  # imports TRL, and is looked at below by name
        found = import_module(module)
        objects |= {id(getattr(found, name, None)) for name in vars(found) if f"{module}.{name}" in entries}
        objects |= {id(getattr(ml, name)) for name in ml._LATER if f"{module}.{name}" in entries}
    lacking = []
    for module, names in PUBLIC.items():
        for name in [*names.split(), *(LATER.split() if module == "maxpo_lab" else ())]:
            named = {f"{module}.{name}", f"{module}.*"} & entries
            value = getattr(import_module(module), name)
            if not named and not (callable(value) and id(value) in objects):
                lacking.append(f"{module}.{name}")
    assert not lacking
    assert "maxpo_lab.integrations.trl.*" in entries


def test_no_module_hides_a_name() -> None:
    import_module("maxpo_lab.training")
    assert inspect.isfunction(ml.advantages)
    assert find_spec("maxpo_lab.advantages") is None
    assert not [name for name in (*ml.__all__, *ml._LATER) if isinstance(getattr(ml, name), ModuleType)]


@pytest.mark.integration  # TRL takes ten seconds to import
@pytest.mark.filterwarnings("ignore")
def test_the_trainer_for_trl() -> None:
    pytest.importorskip("trl", reason="TRL is not installed: make test-integrations")
    found = import_module("maxpo_lab.integrations.trl")
    assert set(found.__all__) == {"TESTED", "KSteps", "MaxPOTrainer", "PassAtKMetrics", "TRLChangedError"}
    assert all(inspect.isclass(getattr(found, name)) for name in set(found.__all__) - {"TESTED"})


def test_gymnasium_knows_the_specimens() -> None:
    ids = {f"maxpo/{name}-v0" for name in GYMNASIUM.split()}
    assert {each for each in gymnasium.registry if each.startswith("maxpo/")} == ids
    for each in map(gymnasium.spec, ids):
        assert load_env_creator(str(each.entry_point)) is getattr(envs, each.name)
        assert callable(load_env_creator(str(each.vector_entry_point)))


def test_the_commands() -> None:
    for program, app in (("maxpo-lab", maxpo_lab), ("python -m analysis", analysis)):
        assert set(get_command(app).commands) == set(COMMANDS[program].split())  # type: ignore[attr-defined]
    scripts = entry_points(group="console_scripts", name="maxpo-lab")
    assert {script.value for script in scripts} == {"maxpo_lab.cli:main"}


def test_the_targets_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*) \$\(STUDIES\)$", makefile, re.MULTILINE)
    assert phony.split() == TARGETS.split()
    assert set(TARGETS.split()) <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert list(list_studies()) == STUDIES.split()


def test_the_files_of_a_study(tmp_path: Path) -> None:
    rows = pd.read_parquet(ROOT / "results/specimens/rows.parquet")
    report.write(get_study("specimens"), rows, {}, tmp_path)
    for results in (tmp_path / "specimens", *(ROOT / "results" / study for study in list_studies())):
        assert set(RESULTS.split()) <= {path.name for path in results.iterdir()}, results
