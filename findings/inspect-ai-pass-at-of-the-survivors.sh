#!/usr/bin/env bash
# inspect-ai 0.3.285: an epoch that a scorer marks as unscored (NaN: a judge that timed out, an answer it cannot parse) is
# left out of its sample, and a sample with fewer than k scored epochs has no pass_at_k. It then leaves the accuracy and the
# standard error, which go over the samples that are left: those where every epoch got a verdict, which are the easy
# ones. The log counts it (unscored_samples); accuracy, the number that is printed and compared, does not tell.
# Seen: five samples, four right in one of four epochs and one never right with an epoch unscored: pass_at_4 is 1.0 with
# a standard error of 0, where pass_at_3 of the same log is 0.6.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q inspect-ai==0.3.285
cd "$work"
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log" || { tail -3 "$work/log"; exit 1; }
from importlib.metadata import version

from inspect_ai import Epochs, Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, accuracy, scorer, stderr
from inspect_ai.solver import generate


@scorer(metrics=[accuracy(), stderr()])
def verdict():
    """Right, wrong, or no verdict, as the answer says."""

    async def score(state, target):
        text = state.output.completion
        return Score(value=float("nan") if text == "?" else float(text == "right"))

    return score


ANSWERS = [["right", "no", "no", "no"]] * 4 + [["no", "no", "no", "?"]]


def outputs():
    for epoch in range(4):
        for answers in ANSWERS:
            output = ModelOutput.from_content("mockllm/model", answers[epoch])
            output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
            yield output


(log,) = evaluate(
    Task(
        dataset=[Sample(id=place, input="question") for place in range(5)],
        solver=generate(),
        scorer=verdict(),
        epochs=Epochs(4, ["pass_at_3", "pass_at_4"]),
    ),
    model=get_model("mockllm/model", custom_outputs=outputs()),
    max_samples=1,
    max_connections=1,
    display="none",
    log_dir="logs",
)
found = {
    each.reducer: (round(each.metrics["accuracy"].value, 4), round(each.metrics["stderr"].value, 4), each.scored_samples)
    for each in log.results.scores
}
print(f"inspect-ai {version('inspect-ai')}: accuracy, standard error and samples by reducer: {found}")
raise SystemExit(not (found["pass_at_3"][0] == 0.6 and found["pass_at_4"] == (1.0, 0.0, 4)))
PYTHON
