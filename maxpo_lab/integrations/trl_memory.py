"""The memory of a ``MaxPOTrainer``: the prompts and answers of a generation, and the file it is saved in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..memory.replay import RULES, Replay
from . import replay_files
from .schedules import KSteps
from .trl_metrics import prompt_id
from .trl_tested import TRLChangedError, check_methods

#: What is overridden of transformers' trainer for a memory, with the parameters it is known by.
METHODS = {
    "_save_optimizer_and_scheduler": ("self", "output_dir"),
    "_load_optimizer_and_scheduler": ("self", "checkpoint"),
}
Answer = Callable[[Any], Any]


def memory_of(estimator: Any, k: int | KSteps | Callable[..., int]) -> Replay | None:
    """The memory that an estimator means: a ``Replay``, or the name of a rule with a history; else None.

    ValueError: such a name with settings of its own, or a ``Replay`` with another k.
    """
    if isinstance(estimator, Replay):
        if isinstance(k, int) and k != estimator.k:
            raise ValueError(
                f"k={k} with a Replay of k={estimator.k}: give one of the two, e.g. k={estimator.k}"
            )
        return estimator
    name, colon, _ = estimator.partition(":") if isinstance(estimator, str) else ("", "", "")
    if name not in RULES:
        return None
    first = next(iter(k.starts.values())) if isinstance(k, KSteps) else 1 if callable(k) else k
    if colon:
        raise ValueError(
            f"estimator={estimator!r}: a memory has its settings from Replay; pass "
            f"estimator=maxpo_lab.Replay({first}, estimator={name!r}, keep=..., half_life=...)"
        )
    return Replay(first, estimator=name)


class PromptMemory:
    """A ``Replay`` in the hands of a trainer.

    Every process is given the rewards, prompts and answers of all, so their memories stay equal to the bit,
    and process 0 saves its own.

    Attributes
    ----------
    replay
        The memory.
    column
        The column of the dataset that says which prompt a row is; None for the text of ``prompt``.
    answer_of
        From a completion to its answer; None where answers are not looked at.
    """

    def __init__(
        self, replay: Replay, trainer: type, *, column: str | None, answer_of: Answer | None
    ) -> None:
        check_methods(trainer, METHODS)
        if answer_of is not None and not callable(answer_of):
            raise TypeError(f"answer_of={answer_of!r}: must be a function from a completion to its answer")
        if answer_of is not None and replay.estimator != "replay":
            raise ValueError(f"answer_of with {replay.estimator}: answers are for estimator='replay' alone")
        self.replay, self.column, self.answer_of = replay, column, answer_of
        self._prompts: list[str] = []
        self._answers: list[str] | None = None

    def see(self, inputs: Any, completions: Any) -> None:
        """Gather the prompts and answers of a generation from all processes, in the order of the rewards."""
        from accelerate.utils import gather_object  # noqa: PLC0415 - it comes with TRL

        column = "prompt" if self.column is None else self.column
        self._prompts = gather_object([prompt_id(row, column, "prompt_column") for row in inputs])
        self._answers = None
        if self.answer_of is not None:
            self._answers = gather_object([repr(self.answer_of(each)) for each in completions])

    def advantages(self, rewards: Any, k: int, *, small_groups: Any, remember: bool) -> Any:
        """Advantages (G, n) of rewards (G, n), NaN where none scored, of the generation seen last."""
        groups, n = rewards.shape
        if len(self._prompts) != groups * n:
            raise TRLChangedError(f"{len(self._prompts)} prompts were gathered for {groups} groups of {n}")
        for row, prompt in enumerate(self._prompts):
            if prompt != self._prompts[row - row % n]:
                raise TRLChangedError(f"row {row} has another prompt than its group of {n}")
        answers = None
        if self._answers is not None:
            answers = [self._answers[row * n : (row + 1) * n] for row in range(groups)]
        return self.replay.advantages(
            rewards,
            self._prompts[::n],
            answers=answers,
            k=k,
            nan_policy="omit",
            small_groups=small_groups,
            remember=remember,
        )

    def metrics(self) -> dict[str, float]:
        """Of the latest generation, for TRL to average."""
        return {f"replay/{name}": value for name, value in self.replay.metrics.items()}

    def save(self, folder: str) -> None:
        """Into the folder of a checkpoint."""
        replay_files.save(self.replay, folder)

    def load(self, folder: str) -> None:
        """From the folder of a checkpoint. Raises as ``replay_files.load``."""
        replay_files.load(self.replay, folder)
