"""pass@k with its interval among the metrics of a trainer of TRL.

::

    from trl import GRPOTrainer

    from maxpo_lab.integrations.trl import PassAtKMetrics


    class Trainer(PassAtKMetrics, GRPOTrainer):
        pass


    trainer = Trainer(..., report_ks=(1, 2, 4, 8))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.arrays import Float
from .trl_tested import TRLChangedError, check_methods
from .value_metrics import as_bounds, as_ks, as_threshold, numbers_by_k

#: What is overridden of TRL's trainer, with the first parameters it is known by, and what is read of it.
_METHODS = {
    "_calculate_rewards": ("self", "inputs", "prompts", "completions", "completion_ids_list"),
    "log": ("self", "logs", "start_time"),
}
_ATTRIBUTES = ("num_generations", "num_generations_eval", "reward_weights", "accelerator")
_USER = "PassAtKMetrics"


class _Scored(NamedTuple):
    """Rewards (G, n) of groups that were generated together, and the prompt of each."""

    rewards: Float
    prompts: list[str]


class PassAtKMetrics:
    """A mixin that adds pass@k to what ``trl.GRPOTrainer`` or ``trl.RLOOTrainer`` logs; it goes before it.

    A ``TrainerCallback`` cannot do this: TRL hands callbacks the means of its metrics, never the rewards.

    Parameters
    ----------
    *arguments, **settings
        As the trainer takes them.
    report_ks
        The k's to report; by default none, and nothing is computed. A k may exceed the groups of the training
        or of the evaluation, and is then not reported there, but not of both.
    report_threshold
        A reward of at least this is a success. None takes rewards as they are: of 0/1 rewards it is pass@k,
        of graded ones max@k, the expected largest of k.
    report_bounds
        Without a threshold: the lowest and the highest reward there can be, which the intervals of graded
        rewards rest on. By default the range of those in the sample.
    report_prompt
        The column of the dataset that says which prompt a row is. By default it is the text of ``prompt``;
        name a column where prompts differ in more than their text, such as in an image.

    Raises
    ------
    TypeError, ValueError
        An argument that cannot be honoured; an infinite reward, or one out of bounds; a dataset without the
        column ``report_prompt``.
    TRLChangedError
        A method or attribute that this class needs is not in the installed TRL, or its groups are not
        ``num_generations`` consecutive rows of one prompt.

    Notes
    -----
    *Metrics*, for each k, next to TRL's own under its prefixes (``eval_``, or ``eval_<name>_`` for one of
    several evaluation sets; in W&B ``train/`` and ``eval/``): ``pass@k/<k>``, the unbiased estimate, and with
    that name before them ``/standard_error``, ``/low`` and ``/high`` of the 95% interval, and ``/prompts``,
    the number of groups that were counted. What a sample does not determine, such as the error over one
    prompt, is not logged.

    *Rewards* are TRL's: weighted sums over the reward functions in float32, to which threshold and bounds are
    rounded, of all processes. A rollout that none scored is left out of its group; a group with fewer than k
    scored rollouts is left out of that k.

    *One log, one sample.* All groups since the last log are one sample: intervals are computed from it, not
    averaged over batches. In evaluation it is the whole evaluation set. In training it covers the policies of
    ``logging_steps`` steps, so the estimate is of their mean pass@k.

    *A prompt that is drawn again* in the sample keeps its groups apart, as its rollouts may come from another
    policy; each counts in the estimate as in TRL's ``reward``, and the standard error takes the groups of a
    prompt as one cluster, so that drawing a prompt twice is not taken for two prompts. On several processes
    the last batch of an evaluation is filled up with the first prompts, which are counted so too.

    *Cost*: per generation a gather of 16 bytes per rollout, per log O(P n log n) for P groups of n.
    """

    def __init__(
        self,
        *arguments: Any,
        report_ks: Sequence[int] | None = None,
        report_threshold: float | None = None,
        report_bounds: tuple[float, float] | None = None,
        report_prompt: str | None = None,
        **settings: Any,
    ) -> None:
        self._report_ks = () if report_ks is None else as_ks(report_ks, "report_ks")
        self._report_threshold = as_threshold(report_threshold, "report_threshold")
        self._report_bounds = as_bounds(report_bounds, "report_bounds")
        self._report_prompt = "prompt" if report_prompt is None else report_prompt
        self._since_log: dict[str, list[_Scored]] = {"train": [], "eval": []}
        if self._report_ks:
            check_methods(_trainer_below(type(self)), _METHODS, _USER)
        else:
            _check_unused(
                report_threshold=report_threshold, report_bounds=report_bounds, report_prompt=report_prompt
            )
        if report_bounds is not None and report_threshold is not None:
            raise ValueError(
                f"report_bounds={report_bounds!r} changes nothing beside report_threshold, which makes every "
                f"reward 0 or 1: give one of the two"
            )
        super().__init__(*arguments, **settings)
        if self._report_ks:
            self._check_built(max(self._report_ks))

    def _check_built(self, k: int) -> None:
        """That what is needed of the trainer is there, and groups of k in training or in evaluation."""
        for attribute in _ATTRIBUTES:
            if not hasattr(self, attribute):
                raise TRLChangedError(f"{type(self).__name__} has no attribute {attribute!r}", _USER)
        largest = max(map(self._group_size, self._since_log))
        if k > largest:
            raise ValueError(
                f"report_ks has k={k}, which needs groups of as many rollouts: the larger of num_generations "
                f"and num_generations_eval is {largest}"
            )

    def _calculate_rewards(self, inputs: Any, *others: Any, **named: Any) -> Any:
        gathered = super()._calculate_rewards(inputs, *others, **named)  # type: ignore[misc]
        if self._report_ks:
            self._since_log[self._mode].append(self._scored(inputs, gathered))
        return gathered

    def log(self, logs: dict[str, float], *others: Any, **named: Any) -> None:
        """Log as TRL does, with the numbers of the rewards since the last log among them."""
        since, self._since_log[self._mode] = self._since_log[self._mode], []
        if since:
            prefix = _prefix(logs, self._mode)
            logs.update({prefix + name: value for name, value in self._numbers(since)})
        super().log(logs, *others, **named)  # type: ignore[misc]

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """As TRL's; what ``predict`` or an evaluation that was broken off left behind is not counted."""
        self._since_log["eval"] = []
        found: dict[str, float] = super().evaluate(*arguments, **named)  # type: ignore[misc]
        return found

    @property
    def _mode(self) -> str:
        """As TRL tells it."""
        return "train" if self.model.training else "eval"  # type: ignore[attr-defined]

    def _group_size(self, mode: str) -> int:
        size: int = getattr(self, "num_generations" if mode == "train" else "num_generations_eval")
        return size

    def _scored(self, inputs: Any, gathered: Any) -> _Scored:
        """The groups of a generation, of all processes."""
        from accelerate.utils import gather_object  # noqa: PLC0415 - it comes with TRL

        n = self._group_size(self._mode)
        prompts: list[str] = gather_object(
            [prompt_id(row, self._report_prompt, "report_prompt") for row in inputs]
        )
        weights = self.reward_weights  # type: ignore[attr-defined]
        rows, functions = len(prompts), len(weights)
        if tuple(gathered.shape) != (rows, functions) or rows % n:
            raise TRLChangedError(
                f"rewards of shape {tuple(gathered.shape)}, expected ({rows}, {functions}): a row per "
                f"rollout of all processes, in groups of {n}, and a column per reward function",
                _USER,
            )
        for row, prompt in enumerate(prompts):
            if prompt != prompts[row - row % n]:
                raise TRLChangedError(f"row {row} has another prompt than its group of {n}", _USER)
        total = (gathered * weights.to(gathered.device)).nansum(dim=1)  # as TRL, so that sums round as its do
        total = total.masked_fill(gathered.isnan().all(dim=1), float("nan"))
        rewards = total.detach().cpu().double().numpy().reshape(-1, n)
        if np.isinf(rewards).any():
            raise ValueError("a reward is infinite: rewards must be finite, or NaN where none could be given")
        low, high = self._report_bounds or (-np.inf, np.inf)
        if (outside := (rewards < low) | (rewards > high)).any():
            raise ValueError(
                f"a reward is {float(rewards[outside][0])!r}, outside of "
                f"report_bounds={self._report_bounds}: they must be the lowest and the highest weighted sum "
                f"of rewards that there can be"
            )
        return _Scored(rewards, prompts[::n])

    def _numbers(self, since: list[_Scored]) -> Iterator[tuple[str, float]]:
        """Names, without a prefix, and values of one sample of groups."""
        rewards = np.concatenate([each.rewards for each in since])
        prompts = [prompt for each in since for prompt in each.prompts]
        found = numbers_by_k(
            rewards,
            self._report_ks,
            threshold=self._report_threshold,
            bounds=self._report_bounds,
            clusters=prompts,
        )
        for k, numbers in found.items():
            for name, value in numbers.items():
                yield f"pass@k/{k}" + ("" if name == "estimate" else f"/{name}"), value


def prompt_id(row: dict[str, Any], column: str, argument: str) -> str:
    """What stands for the prompt of a row of the dataset: 16 characters, equal where prompts are."""
    if column not in row:
        raise ValueError(
            f"{argument}={column!r}: the dataset has no such column, only {', '.join(sorted(row))}"
        )
    text = json.dumps(row[column], sort_keys=True, default=lambda part: type(part).__name__)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _check_unused(**given: Any) -> None:
    """ValueError where a setting of the report is given and no report is asked for."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name}={value!r} changes nothing without report_ks: give that too, e.g. report_ks=(1, 4, 8)"
            )


def _trainer_below(trainer: type) -> type:
    """TRL's class that comes after the mixin in a trainer's bases."""
    bases = trainer.__mro__[trainer.__mro__.index(PassAtKMetrics) :]
    theirs = next((base for base in bases if base.__module__.partition(".")[0] == "trl"), None)
    if theirs is None:
        raise TypeError(
            f"{trainer.__name__} has no trainer of TRL behind PassAtKMetrics: write "
            f"class {trainer.__name__}(PassAtKMetrics, GRPOTrainer)"
        )
    return theirs


def _prefix(logs: dict[str, float], mode: str) -> str:
    """Of the names in a log: of an evaluation that of its runtime, which names the evaluation set."""
    if mode == "train":
        return ""
    found = next((name for name in logs if name.endswith("_runtime")), "eval_runtime")
    return found.removesuffix("runtime")
