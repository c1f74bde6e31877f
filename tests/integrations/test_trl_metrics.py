"""pass@k among TRL's metrics: from real training to what Weights & Biases holds of it.

Run as a script it is one of several processes: ``test_several_processes_log_one_sample`` starts them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)")]
trl = pytest.importorskip("trl", reason="TRL is not installed: make test-integrations")
from tiny_trl import GROUPS, N, Rewards, config, dataset, letter_tokenizer, tiny_model  # noqa: E402

from maxpo_lab.integrations.trl import MaxPOTrainer, PassAtKMetrics, TRLChangedError  # noqa: E402

KS = (1, 2, 4, 8)
STEPS = {"logging_strategy": "steps", "logging_steps": 1}
#: Sums of a few hundred terms in float64.
NEAR = {"rel": 1e-12, "abs": 1e-12}


class Keeping:
    """Keeps what was scored, of all processes: rewards (rows, functions) by mode."""

    def __init__(self, **arguments: Any) -> None:
        self.kept: dict[str, list[np.ndarray]] = {"train": [], "eval": []}
        self.prompts: dict[str, list[list[str]]] = {"train": [], "eval": []}
        super().__init__(**arguments)

    def _calculate_rewards(self, inputs: Any, *others: Any) -> Any:
        rewards = super()._calculate_rewards(inputs, *others)
        mode = "train" if self.model.training else "eval"
        self.kept[mode].append(rewards.double().numpy())
        self.prompts[mode].append([row["prompt"] for row in inputs])
        return rewards


class OfGRPO(Keeping, PassAtKMetrics, trl.GRPOTrainer):
    pass


class OfRLOO(Keeping, PassAtKMetrics, trl.RLOOTrainer):
    pass


class OfMaxPO(Keeping, MaxPOTrainer):
    pass


def early(completion_ids: list[list[int]], **others: Any) -> Rewards:
    """Succeeds with one first token in four."""
    return [float(ids[0] % 4 == 1) for ids in completion_ids]


def graded(completion_ids: list[list[int]], **others: Any) -> Rewards:
    return [len(set(ids)) / 7 for ids in completion_ids]


def patchy(completion_ids: list[list[int]], **others: Any) -> Rewards:
    """Nothing of group 0, one rollout of group 1, all but two of group 2."""
    known: Rewards = [None] * N + [None, 1.0] + [None] * (N - 2) + [None, None]
    return known + graded(completion_ids[2 * N + 2 :])


def made(kind: type, folder: Path, *rules: Any, extra: dict[str, Any], **settings: Any) -> Any:
    if kind is OfMaxPO:
        extra, settings = {"k": 4} | extra, {"scale_rewards": "none"} | settings
    args = config(folder, **{"max_steps": 1} | settings)
    if kind is OfRLOO:
        names = set(trl.RLOOConfig.__dataclass_fields__)
        args = trl.RLOOConfig(
            output_dir=str(folder), use_cpu=True, bf16=False, num_generations=N, disable_tqdm=True, beta=0.0,
            per_device_train_batch_size=N * GROUPS, max_completion_length=8, report_to="none",
            **{"max_steps": 1} | {name: value for name, value in settings.items() if name in names},
        )  # fmt: skip
    evaluation = extra.pop("eval_dataset", dataset())
    return kind(
        model=tiny_model(),
        reward_funcs=list(rules),
        args=args,
        train_dataset=dataset(),
        eval_dataset=evaluation,
        processing_class=letter_tokenizer(),
        **extra,
    )


def by_enumeration(groups: np.ndarray, k: int) -> float:
    """The mean over groups, of the largest over all subsets of k scored rollouts."""
    each = []
    for group in groups:
        scored = group[~np.isnan(group)]
        if len(scored) >= k:
            each.append(np.mean([max(chosen) for chosen in combinations(scored, k)]))
    return float(np.mean(each))


def totals(kept: list[np.ndarray], n: int = N) -> np.ndarray:
    """Sums over the functions that scored, (P, n)."""
    rows = np.concatenate(kept)
    total = np.nansum(rows, axis=1)
    total[np.isnan(rows).all(axis=1)] = np.nan
    return total.astype(np.float64).reshape(-1, n)


def clusters(prompts: list[list[str]], n: int = N) -> list[str]:
    return [prompt for batch in prompts for prompt in batch[::n]]


def check(
    found: dict[str, float], groups: np.ndarray, prompts: list[str], prefix: str = "", **more: Any
) -> None:
    """The numbers of a log against enumeration, and against ``ml.pass_at_k`` of the whole sample."""
    table = ml.pass_at_k(groups, KS, clusters=prompts, nan_policy="omit", small_groups="leave-out", **more)
    for at, k in enumerate(KS):
        name = f"{prefix}pass@k/{k}"
        assert found[name] == pytest.approx(by_enumeration(groups, k), **NEAR)
        assert found[f"{name}/prompts"] == table.prompts[at]
        for field in ("standard_error", "low", "high"):
            assert found[f"{name}/{field}"] == pytest.approx(float(getattr(table, field)[at]), **NEAR), name
        assert found[f"{name}/low"] <= found[name] <= found[f"{name}/high"]


def logs(trainer: Any, name: str) -> list[dict[str, float]]:
    return [entry for entry in trainer.state.log_history if name in entry]


@pytest.mark.parametrize("kind", [OfGRPO, OfRLOO, OfMaxPO])
def test_one_sample_from_one_log_to_the_next(kind: type, tmp_path: Path) -> None:
    """Two logs of four steps of three prompts each, so that all twelve prompts come once in each."""
    settings = {"max_steps": 8, "logging_strategy": "steps", "logging_steps": 4}
    trainer = made(kind, tmp_path, early, extra={"report_ks": KS}, **settings)
    trainer.train()
    found = logs(trainer, "pass@k/4")
    assert len(found) == 2
    for at, entry in enumerate(found):
        part = slice(4 * at, 4 * at + 4)
        check(entry, totals(trainer.kept["train"][part]), clusters(trainer.prompts["train"][part]))
        assert entry["pass@k/4/prompts"] == 12
        assert 0 < entry["pass@k/1"] < entry["pass@k/8"]
    if kind is OfMaxPO:
        assert all(entry["k"] == 4 for entry in found)


def test_an_evaluation_is_one_sample_and_comes_back_from_evaluate(tmp_path: Path) -> None:
    """Three batches of it; the mean of their intervals is another one."""
    settings = {"per_device_eval_batch_size": 4 * N, "metric_for_best_model": "pass@k/4"}
    trainer = made(OfGRPO, tmp_path, early, extra={"report_ks": KS}, **settings)
    trainer.predict(dataset())  # which nothing logs
    del trainer.kept["eval"][:], trainer.prompts["eval"][:]
    metrics = trainer.evaluate()
    assert len(trainer.kept["eval"]) == 3
    check(metrics, totals(trainer.kept["eval"]), clusters(trainer.prompts["eval"]), "eval_")
    batches = [ml.pass_at_k(totals([batch]), [4]) for batch in trainer.kept["eval"]]
    widths = [float(batch.high[0] - batch.low[0]) for batch in batches]
    assert metrics["eval_pass@k/4/high"] - metrics["eval_pass@k/4/low"] < 0.8 * np.mean(widths)
    assert logs(trainer, "eval_pass@k/4")[-1]["eval_pass@k/4"] == metrics["eval_pass@k/4"]


def test_training_and_evaluation_have_groups_of_their_own(tmp_path: Path) -> None:
    """A k is reported where groups are large enough; each evaluation set under its name."""
    sets = {"first": dataset().select(range(5)), "second": dataset().select(range(5, 12))}
    settings = {"num_generations_eval": 4, "eval_strategy": "steps", "eval_steps": 1, "max_steps": 2}
    extra = {"report_ks": KS, "eval_dataset": sets}
    trainer = made(OfGRPO, tmp_path, early, extra=extra, **settings, **STEPS)
    trainer.train()
    assert [entry["pass@k/8/prompts"] for entry in logs(trainer, "pass@k/8")] == [3, 3]
    for name, size in {"first": 5, "second": 7}.items():
        found = logs(trainer, f"eval_{name}_pass@k/4")
        assert [entry[f"eval_{name}_pass@k/4/prompts"] for entry in found] == [size, size]
        assert not logs(trainer, f"eval_{name}_pass@k/8")
    first = totals(trainer.kept["eval"][:1], 4)
    assert logs(trainer, "eval_first_pass@k/4")[0]["eval_first_pass@k/4"] == by_enumeration(first, 4)


def test_unscored_rollouts_leave_their_group_and_small_groups_the_mean(tmp_path: Path) -> None:
    def second(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return [None if number % N < 7 else 0.5 for number in range(len(completion_ids))]

    weights = {"reward_weights": [1.0, 2.0]}
    trainer = made(OfGRPO, tmp_path, patchy, second, extra={"report_ks": KS}, **weights, **STEPS)
    trainer.train()
    (found,) = logs(trainer, "pass@k/1")
    rows = (trainer.kept["train"][0] * [1.0, 2.0]).astype(np.float32)  # both exact: TRL adds them in float32
    groups = totals([rows])
    assert np.isnan(groups).sum(1).tolist() == [7, 6, 2]
    assert [found[f"pass@k/{k}/prompts"] for k in (1, 2, 4)] == [3, 2, 1]
    for k in (1, 2, 4):
        assert found[f"pass@k/{k}"] == pytest.approx(by_enumeration(groups, k), **NEAR)
    assert "pass@k/4/standard_error" not in found, "one prompt has no error"
    assert "pass@k/8" not in found


def test_a_prompt_drawn_twice_is_no_second_prompt(tmp_path: Path) -> None:
    """Two passes over the prompts in one log: 24 groups, 12 clusters; a column can say which they are."""
    settings = {"max_steps": 8, "logging_strategy": "steps", "logging_steps": 8}
    pairs = dataset().add_column("pair", [number // 2 for number in range(12)])
    trainer = made(OfGRPO, tmp_path, early, extra={"report_ks": KS}, **settings)
    trainer.train()
    (found,) = logs(trainer, "pass@k/4")
    groups, names = totals(trainer.kept["train"]), clusters(trainer.prompts["train"])
    assert len(groups) == 24
    assert len(set(names)) == 12
    check(found, groups, names)
    assert found["pass@k/4/prompts"] == 24
    apart = ml.pass_at_k(groups, [4])
    assert found["pass@k/4/standard_error"] != pytest.approx(float(apart.standard_error[0]), rel=1e-3)

    trainer = made(
        OfGRPO, tmp_path, early, extra={"report_ks": KS, "report_prompt": "pair", "eval_dataset": pairs}
    )
    metrics = trainer.evaluate()
    of = dict(zip(pairs["prompt"], pairs["pair"], strict=True))
    check(
        metrics,
        totals(trainer.kept["eval"]),
        [str(of[text]) for text in clusters(trainer.prompts["eval"])],
        "eval_",
    )


def test_a_threshold(tmp_path: Path) -> None:
    trainer = made(OfGRPO, tmp_path, graded, extra={"report_ks": KS, "report_threshold": 5 / 7}, **STEPS)
    trainer.train()
    groups = totals(trainer.kept["train"])
    successes = (groups >= 5 / 7).astype(float)
    assert 0 < successes.mean() < 1
    assert logs(trainer, "pass@k/2")[0]["pass@k/2"] == pytest.approx(by_enumeration(successes, 2), **NEAR)


def test_thresholds_and_bounds_mean_what_float32_makes_of_them(tmp_path: Path) -> None:
    """A reward of 0.7 is one of at least 0.7, and 0.6 and 0.4 together are no more than 1."""

    def seven(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return [0.7] * len(completion_ids)

    def full(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return [1.0] * len(completion_ids)

    trainer = made(OfGRPO, tmp_path, seven, extra={"report_ks": KS, "report_threshold": 0.7})
    assert trainer.evaluate()["eval_pass@k/1"] == 1
    weights = {"reward_weights": [0.6, 0.4]}
    trainer = made(OfGRPO, tmp_path, full, full, extra={"report_ks": KS, "report_bounds": (0, 1)}, **weights)
    assert trainer.evaluate()["eval_pass@k/1"] == 1


def test_bounds_of_graded_rewards(tmp_path: Path) -> None:
    trainer = made(OfGRPO, tmp_path, graded, extra={"report_ks": KS, "report_bounds": (0, 2)}, **STEPS)
    trainer.train()
    (found,) = logs(trainer, "pass@k/2")
    groups, names = totals(trainer.kept["train"]), clusters(trainer.prompts["train"])
    check(found, groups, names, bounds=(0, 2))
    assert found["pass@k/2/high"] > float(ml.pass_at_k(groups, [2]).high[0])

    trainer = made(OfGRPO, tmp_path, graded, extra={"report_ks": KS, "report_bounds": (0, 0.5)})
    with pytest.raises(ValueError, match=r"a reward is .*outside of report_bounds=\(0.0, 0.5\)"):
        trainer.train()


def test_nothing_is_reported_unless_asked_for(tmp_path: Path) -> None:
    trainer = made(OfGRPO, tmp_path, early, extra={}, **STEPS)
    trainer.train()
    assert not [name for entry in trainer.state.log_history for name in entry if "pass@k" in name]


@pytest.mark.parametrize(
    ("extra", "error", "message"),
    [
        ({"report_ks": (1, 16)}, ValueError, "report_ks has k=16.*num_generations_eval is 8"),
        ({"report_ks": (2, 2)}, ValueError, "each once"),
        ({"report_ks": ()}, ValueError, r"report_ks=\(\): must hold at least one"),
        ({"report_ks": 4}, TypeError, "report_ks=4 is a int"),
        ({"report_ks": "1,4"}, TypeError, "report_ks='1,4' is a str"),
        ({"report_ks": (0,)}, ValueError, "k >= 1"),
        ({"report_threshold": 1.0}, ValueError, "report_threshold=1.0 changes nothing without report_ks"),
        ({"report_bounds": (0, 1)}, ValueError, r"report_bounds=\(0, 1\) changes nothing without report_ks"),
        ({"report_ks": KS, "report_bounds": (1, 0)}, ValueError, "report_bounds=.*in order"),
        ({"report_ks": KS, "report_bounds": 1}, TypeError, "report_bounds=1 is a int"),
        ({"report_ks": KS, "report_bounds": (0, 1), "report_threshold": 1}, ValueError, "one of the two"),
        ({"report_prompt": "id"}, ValueError, "report_prompt='id' changes nothing without report_ks"),
        ({"report_ks": KS, "report_threshold": "1"}, TypeError, "report_threshold='1' is a str"),
        (
            {"report_ks": KS, "report_threshold": float("nan")},
            ValueError,
            "report_threshold=nan: must be finite",
        ),
    ],
)
def test_what_could_not_be_honoured_is_refused_at_once(
    extra: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        made(OfGRPO, tmp_path, early, extra=extra)


def test_what_only_the_data_tell(tmp_path: Path) -> None:
    trainer = made(OfGRPO, tmp_path, early, extra={"report_ks": KS, "report_prompt": "id"})
    with pytest.raises(ValueError, match="report_prompt='id': the dataset has no such column, only prompt"):
        trainer.train()

    def endless(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return [float("inf")] * len(completion_ids)

    trainer = made(OfGRPO, tmp_path, endless, extra={"report_ks": KS})
    with pytest.raises(ValueError, match="a reward is infinite"):
        trainer.train()


def test_the_mixin_goes_before_a_trainer_of_trl(tmp_path: Path) -> None:
    class Behind(trl.GRPOTrainer, PassAtKMetrics):
        pass

    class Alone(PassAtKMetrics):
        pass

    with pytest.raises(TypeError, match="report_ks"):
        made(Behind, tmp_path, early, extra={"report_ks": KS})
    with pytest.raises(TypeError, match=r"class Alone\(PassAtKMetrics, GRPOTrainer\)"):
        Alone(report_ks=KS)


def test_a_trl_that_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = rf"^TRL {trl.__version__}: {{}}.*PassAtKMetrics is tested with TRL 1.16"
    theirs = trl.GRPOTrainer._calculate_rewards
    monkeypatch.setattr(trl.GRPOTrainer, "log", lambda self, logs, start_time, more: None)
    with pytest.raises(
        TRLChangedError, match=says.format(r"GRPOTrainer.log takes \(self, logs, start_time, more\)")
    ):
        made(OfGRPO, tmp_path, early, extra={"report_ks": KS})
    monkeypatch.undo()

    def halved(self: Any, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        return theirs(self, inputs, prompts, completions, completion_ids_list)[::2]

    monkeypatch.setattr(trl.GRPOTrainer, "_calculate_rewards", halved)
    trainer = made(OfGRPO, tmp_path, early, extra={"report_ks": KS})
    with pytest.raises(TRLChangedError, match=says.format(r"rewards of shape \(12, 1\), expected \(24, 1\)")):
        trainer.train()
    monkeypatch.undo()

    monkeypatch.setattr(trl.GRPOTrainer, "_get_train_sampler", lambda self, dataset=None: range(len(dataset)))
    trainer = made(OfGRPO, tmp_path, early, extra={"report_ks": KS}, per_device_train_batch_size=N)
    with pytest.raises(TRLChangedError, match=says.format("row 1 has another prompt than its group of 8")):
        trainer.train()


def test_weights_and_biases_holds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training and evaluation with ``report_to="wandb"``, read back from the run's own file."""
    wandb = pytest.importorskip("wandb")
    from wandb_files import read_items, read_records

    for name, value in {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true", "PROJECT": "tiny"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    settings = {
        "report_to": "wandb",
        "run_name": "tiny",
        "max_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 2,
    }
    trainer = made(OfMaxPO, tmp_path, early, extra={"report_ks": KS}, **settings, **STEPS)
    try:
        trainer.train()
    finally:
        wandb.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    rows: dict[tuple[str, ...], list[float]] = {}
    for record in read_records(run):
        for name, value in read_items(record.history.item).items():
            rows.setdefault(name, []).append(value)
    for step in range(2):
        found = {name.removeprefix("train/"): rows[name,][step] for (name,) in rows if "train/pass@k" in name}
        check(
            found,
            totals(trainer.kept["train"][step : step + 1]),
            clusters(trainer.prompts["train"][step : step + 1]),
        )
    found = {name.removeprefix("eval/"): rows[name,][0] for (name,) in rows if "eval/pass@k" in name}
    check(found, totals(trainer.kept["eval"]), clusters(trainer.prompts["eval"]))


def in_one_process(folder: Path) -> None:
    """Groups of 4 in batches of 6 a process, so that the second group is split."""
    trainer = made(
        OfGRPO, folder, early, extra={"report_ks": (1, 2, 4)}, num_generations=4, num_generations_eval=3,
        per_device_train_batch_size=6, per_device_eval_batch_size=6, max_steps=2, **STEPS,
    )  # fmt: skip
    trainer.train()
    trainer.evaluate()
    kept = {mode: [batch.tolist() for batch in batches] for mode, batches in trainer.kept.items()}
    found = {"kept": kept, "history": trainer.state.log_history}
    (folder / f"{trainer.accelerator.process_index}.json").write_text(json.dumps(found))


def test_several_processes_log_one_sample(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},  # tests/witnesses, which pytest put there
    )
    assert done.returncode == 0, done.stderr[-4000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first["kept"] == second["kept"]
    for mode, n, k in (("train", 4, 4), ("eval", 3, 2)):
        prefix = "" if mode == "train" else "eval_"
        name = f"{prefix}pass@k/{k}"
        both = [[entry for entry in each["history"] if name in entry] for each in (first, second)]
        assert both[0]
        assert [entry[name] for entry in both[0]] == [entry[name] for entry in both[1]]
        batches = [np.array(batch) for batch in first["kept"][mode]]
        samples = [[batch] for batch in batches] if mode == "train" else [batches]
        for entry, sample in zip(both[0], samples, strict=True):
            assert entry[name] == pytest.approx(by_enumeration(totals(sample, n), k), **NEAR)
            assert entry[f"{name}/prompts"] == len(totals(sample, n))


if __name__ == "__main__":
    in_one_process(Path(sys.argv[1]))
