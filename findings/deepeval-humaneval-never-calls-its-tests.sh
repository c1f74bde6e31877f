#!/usr/bin/env bash
# deepeval 4.3.1: the HumanEval benchmark executes a completion followed by the task's test, which in that data set only
# defines check(candidate): nothing calls it. So every completion that can be executed counts as right, and a wrong one
# scores what a right one does. The score of the benchmark says whether code runs, not whether it is correct.
# Seen: has_close_elements that always answers "maybe" scores 1.0 as the right one does; with one more line, which calls
# the test, it scores 0.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q deepeval==4.3.1
"$work/venv/bin/pip" install -q pandas==3.1.1 datasets==5.2.0 2> "$work/log"  # what the benchmark imports besides
export DEEPEVAL_TELEMETRY_OPT_OUT=YES
cd "$work"
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log" || { tail -3 "$work/log"; exit 1; }
from importlib.metadata import version

from deepeval.benchmarks import HumanEval
from deepeval.benchmarks.tasks import HumanEvalTask
from deepeval.dataset import Golden
from deepeval.models import DeepEvalBaseLLM

RIGHT = """def has_close_elements(numbers, threshold):
    return any(abs(a - b) < threshold for i, a in enumerate(numbers) for b in numbers[i + 1:])"""
WRONG = "def has_close_elements(numbers, threshold):\n    return 'maybe'"
CHECK = """def check(candidate):
    assert candidate([1.0, 2.0, 3.9, 4.0], 0.3) == True
    assert candidate([1.0, 2.0, 3.9, 4.0], 0.05) == False"""


class Always(DeepEvalBaseLLM):
    """A model that gives one completion."""

    def __init__(self, completion: str) -> None:
        self.completion = completion
        super().__init__("always")

    def load_model(self): return self
    def get_model_name(self): return "always"
    def generate(self, prompt): return self.completion
    async def a_generate(self, prompt): return self.completion
    def generate_samples(self, prompt, n, temperature): return [self.completion] * n


def score(completion: str, test: str) -> float:
    task = HumanEvalTask.HAS_CLOSE_ELEMENTS
    golden = Golden(input="def has_close_elements(numbers, threshold):", expected_output=test)
    return float(HumanEval(tasks=[task], n=4).predict(Always(completion), task, golden, 1)["score"])


scores = {name: score(code, CHECK) for name, code in (("right", RIGHT), ("wrong", WRONG))}
called = {name: score(code, f"{CHECK}\ncheck(has_close_elements)") for name, code in (("right", RIGHT), ("wrong", WRONG))}
print(f"deepeval {version('deepeval')}: pass@1 with the data set's test {scores}; with a line that calls it {called}")
raise SystemExit(not (scores == {"right": 1.0, "wrong": 1.0} and called == {"right": 1.0, "wrong": 0.0}))
PYTHON
