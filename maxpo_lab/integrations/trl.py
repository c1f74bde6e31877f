"""TRL's ``GRPOTrainer`` on any advantage rule of the catalogue, and pass@k in what it logs.

::

    from datasets import Dataset
    from trl import GRPOConfig

    from maxpo_lab.integrations.trl import MaxPOTrainer


    def solved(completions, answer, **columns):
        return [float(a in text) for text, a in zip(completions, answer, strict=True)]


    trainer = MaxPOTrainer(
        model="Qwen/Qwen3-0.6B",
        reward_funcs=solved,
        args=GRPOConfig("out", num_generations=8, max_completion_length=64, scale_rewards="none"),
        train_dataset=Dataset.from_dict({"prompt": ["2 + 2 =", "3 * 5 ="], "answer": ["4", "15"]}),
        estimator="maxpo",
        k=4,
    )
    trainer.train()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from ..core.arguments import as_k
from ..estimators import (
    Estimator,
    VectorBatchEstimator,
    VectorEstimator,
    get_estimator,
    group_estimator,
)
from ..estimators.entry import Entry
from ..estimators.vector import Weighing
from ..memory.replay import Replay
from ..training import advantages
from .schedules import KSteps
from .trl_memory import Answer, PromptMemory, memory_of
from .trl_metrics import PassAtKMetrics
from .trl_tested import TESTED, TRLChangedError, check_methods

try:
    import torch
    from transformers import TrainerState
    from trl import GRPOConfig, GRPOTrainer
except ModuleNotFoundError as error:
    if error.name not in {"torch", "transformers", "trl"}:
        raise
    raise ImportError("maxpo_lab.integrations.trl needs TRL: pip install 'maxpo-lab[trl]'") from error

#: What may train: a rule of groups of one reward, or of several.
Rule: TypeAlias = Estimator | VectorEstimator | VectorBatchEstimator

__all__ = ["TESTED", "KSteps", "MaxPOTrainer", "PassAtKMetrics", "TRLChangedError"]

#: What is overridden or called of ``GRPOTrainer``, with the first parameters it is known by.
_METHODS = {
    "__init__": ("self", "model", "reward_funcs", "args"),
    "_calculate_rewards": ("self", "inputs", "prompts", "completions", "completion_ids_list"),
    "_generate_and_score_completions": ("self", "inputs"),
}
#: Settings under which TRL would scale advantages that are replaced: the only value each may have.
_SETTINGS = {"scale_rewards": "none", "multi_objective_aggregation": "sum_then_normalize"}
_ATTRIBUTES = ("num_generations", "num_generations_eval", "reward_weights", "_metrics", "_logs")


class MaxPOTrainer(PassAtKMetrics, GRPOTrainer):  # type: ignore[misc]
    r"""``trl.GRPOTrainer`` that trains on ``maxpo_lab.training`` in place of its own.

    With ``R_i = sum_f weight_f r_fi`` over the reward functions f that scored rollout i, the rollouts of a
    prompt get ``A = rule(R, k)``. One that no function scored (``None`` or NaN) is left out of its group and
    gets 0. A rule of several rewards gets those of all functions, with TRL's ``reward_weights``; each
    function is then over the rollouts that it scored. Generation, loss and all else are TRL's.

    Parameters
    ----------
    model, reward_funcs, args, *others, **settings
        As ``GRPOTrainer`` takes them. The rule defines its own scale, so ``args`` must say
        ``scale_rewards="none"`` and leave ``multi_objective_aggregation`` at ``"sum_then_normalize"``;
        ``args=None`` does.
    estimator
        A name such as ``"maxpo"`` or ``"grpo:eps=1e-4"``, or an ``Estimator``; of several rewards
        ``"per-reward:maxpo"``, ``"gdpo"`` or ``"multi-axis-maxk"``; of lengths in tokens ``"opo"``. Or
        ``"replay"``, or a ``Replay`` with settings of its own, which remember a prompt's earlier rewards.
    k
        The K of max@K; a rule for the mean reward takes it and does not use it. Or a schedule such as
        ``KSteps({0: 8, 100: 1})``, in optimizer steps, or a callable from the ``TrainerState`` to k; asked
        whenever completions are generated (in training, every ``steps_per_generation * num_iterations``
        micro-batches).
    small_groups
        In training, a group that unscored rollouts leave too small for the rule gets 0, or is an error. One
        without any scored rollout gets 0 either way, as in ``advantages``.
    prompt_column
        Of a memory: the column of the dataset that says which prompt a row is. By default prompts are known
        by their text.
    answer_of
        Of a memory, on 0/1 rewards: a function from a completion, as reward functions get it, to the answer
        it gave. Prompts whose right answers agree then get plug-in-floor; see ``Replay.advantages``.
    report_ks, report_threshold, report_bounds, report_prompt
        The k's whose pass@k is logged with its interval, by default none: see ``PassAtKMetrics``.

    Raises
    ------
    TypeError
        A k that is neither an integer nor callable, or a schedule that gives no integer.
    ValueError
        ``args`` would scale advantages; the rule is undefined at ``num_generations`` and k (said at
        construction, but for a schedule other than ``KSteps``: when it gives that k); an infinite reward, or
        one outside of the rule's domain. An argument of a memory without one; a checkpoint whose memory is
        damaged or of another kind.
    FileNotFoundError
        A checkpoint without a memory, for a trainer with one.
    TRLChangedError
        A method, parameter, setting or attribute that this class needs is not in the installed TRL. Also,
        at every step, where TRL's own advantages are not reward minus group mean of the rewards seen here:
        TRL, or a subclass, orders or weighs them in another way.

    Notes
    -----
    *Evaluation* has groups of ``num_generations_eval``. Where the rule is undefined on them, or on what
    unscored rollouts leave of them, they get 0: the advantages of an evaluation move nothing.

    *Metrics*, of the advantages used, over all processes: ``k``, ``advantages/mean``, ``advantages/rms``,
    ``advantages/dead_groups`` (share of groups whose advantages are all 0) and
    ``advantages/undefined_groups`` (share of groups too small for the rule; dead too). TRL averages them from
    one log to the next. Its completions table shows the advantages used.

    *Memory*. A generation is answered from what was remembered before it, and remembered once, whatever the
    inner epochs, the micro-batches and the processes; evaluations are answered, and not remembered. It is
    saved in each checkpoint (``maxpo_replay.npz``) and goes on from there with the same bits, on any number
    of processes. Its metrics are those of ``Replay`` under ``replay/``: ``replay/lambda``,
    ``replay/history_age`` and ``history_size``, ``replay/known``, ``replay/dead_groups``, ... Replay has
    advantages on dead groups; TRL drops none, and a subclass must not.

    *Loss*. The rules are for the mean convention, ``g = (1/n) sum_i A_i s_i`` with ``s_i`` the score of the
    whole completion. On-policy and with ``beta=0``, TRL ascends along the mean over prompts of

    - ``loss_type="luspo"``: g, for completions of any lengths;
    - ``"dr_grpo"``: g / ``max_completion_length``, for any lengths;
    - ``"dapo"`` (TRL's default), ``"bnpo"``: g / mean length in the batch, so a factor that varies;
    - ``"grpo"``: g with each ``s_i`` divided by the length of i, another direction unless lengths are equal.

    ``mask_truncated_completions=True`` drops scores whose rewards stay, which no rule allows for.

    *Cost* a generation of B rollouts: O(B log n) in float64 on the CPU, no communication.
    """

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: Any = None,
        *others: Any,
        estimator: str | Rule | Replay = "maxpo",
        k: int | KSteps | Callable[[TrainerState], int],
        small_groups: Literal["zero", "raise"] = "zero",
        prompt_column: str | None = None,
        answer_of: Answer | None = None,
        **settings: Any,
    ) -> None:
        check_methods(GRPOTrainer, _METHODS)
        if small_groups not in {"zero", "raise"}:
            raise ValueError(f"small_groups={small_groups!r}: must be 'zero' or 'raise'")
        if not callable(k):
            k = as_k(k)
        memory, rule = _memory_and_rule(type(self), estimator, k, prompt_column, answer_of)
        if args is None:
            name = model if isinstance(model, str) else getattr(model.config, "_name_or_path", "")
            args = GRPOConfig(f"{name.split('/')[-1]}-GRPO", scale_rewards="none")
        _check_settings(args)
        for known in k.starts.values() if isinstance(k, KSteps) else () if callable(k) else (k,):
            _check_defined(rule, args.num_generations, known)
        super().__init__(model, reward_funcs, args, *others, **settings)
        for attribute in _ATTRIBUTES:
            if not hasattr(self, attribute):
                raise TRLChangedError(f"GRPOTrainer has no attribute {attribute!r}")
        if "advantages" not in self._logs:
            raise TRLChangedError("GRPOTrainer._logs has no 'advantages'")
        self.estimator, self.k, self.small_groups = rule, k, small_groups
        self._memory = memory
        self._gathered: torch.Tensor | None = None
        self._lengths: torch.Tensor | None = None

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> torch.Tensor:
        rewards: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self._gathered = rewards.cpu().double().clone()
        if isinstance(self.estimator, Weighing) and self.estimator.takes_lengths:
            own = torch.tensor([len(ids) for ids in completion_ids_list], device=rewards.device)
            self._lengths = self.accelerator.gather(own).cpu()
        if self._memory is not None:
            self._memory.see(inputs, completions)
        return rewards

    @property
    def memory(self) -> Replay | None:
        """What is remembered of the prompts; None for a rule without a memory."""
        return None if self._memory is None else self._memory.replay

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self._memory is not None and self.args.should_save:
            self._memory.save(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self._memory is not None and checkpoint is not None:
            self._memory.load(checkpoint)

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        training = bool(self.model.training)  # as TRL tells its mode
        n = self.num_generations if training else self.num_generations_eval
        k = self._k_now(n if training else None)
        self._gathered = None
        outputs: dict[str, Any] = super()._generate_and_score_completions(inputs)
        theirs = outputs["advantages"]
        rows = self.accelerator.num_processes * len(inputs)
        scored = _Scored.of(self._gathered, self.reward_weights, rows=rows, n=n)
        small = self.small_groups if training else "zero"
        if self._memory is not None:
            used = self._memory.advantages(scored.rewards, k, small_groups=small, remember=training)
        elif isinstance(self.estimator, Weighing):
            used = advantages(
                scored.each,
                k,
                estimator=cast("Rule", self.estimator),
                nan_policy="omit",
                small_groups=small,
                reward_weights=self.reward_weights,
                lengths=None if self._lengths is None else self._lengths.reshape(-1, n),
            )
        else:
            used = advantages(
                scored.rewards,
                k,
                estimator=cast("Estimator", self.estimator),
                nan_policy="omit",
                small_groups=small,
            )
        used = used.reshape(-1).to(theirs.dtype)

        first = self.accelerator.process_index * len(inputs)
        here = slice(first, first + len(inputs))
        table = self._logs["advantages"]
        logged = min(rows, len(table))  # an evaluation's batch may be larger than what the table keeps
        newest, older = slice(rows - logged, rows), list(table)[: len(table) - logged]
        scored.check(theirs, here, "advantages")
        scored.check(torch.tensor(list(table)[len(older) :], dtype=theirs.dtype), newest, "logged advantages")

        outputs["advantages"] = used[here].to(theirs.device)
        table.clear()
        table.extend([*older, *used[newest].tolist()])
        metrics = self._metrics["train" if training else "eval"]
        found = _summary(used.reshape(-1, n), scored.rewards, self.estimator, k)
        for name, value in (found | (self._memory.metrics() if self._memory else {})).items():
            metrics[name].append(value)
        return outputs

    def _k_now(self, n: int | None) -> int:
        """The k of this step; where a group size is given, the rule is defined at the two."""
        step = self.state.global_step
        at = step if isinstance(self.k, KSteps) else self.state
        given = self.k(at) if callable(self.k) else self.k
        try:
            k = as_k(given)
        except (TypeError, ValueError) as error:
            raise type(error)(f"step {step}: {error}") from error
        if n is not None:
            _check_defined(self.estimator, n, k, f"step {step}: ")
        return k


@dataclass(frozen=True, eq=False)
class _Scored:
    """The rewards of a batch of all processes, and what TRL must have made of them.

    Attributes
    ----------
    rewards
        Weighted sums over the reward functions, shape (G, n), float64; NaN where none scored.
    size
        What rounding is relative to: the largest weighted sum of sizes in each group, shape (G, 1).
    functions
        Number of reward functions.
    each
        The rewards of each function, shape (G, n, functions).
    """

    rewards: torch.Tensor
    size: torch.Tensor
    functions: int
    each: torch.Tensor

    @classmethod
    def of(cls, gathered: torch.Tensor | None, weights: torch.Tensor, *, rows: int, n: int) -> _Scored:
        """From rewards (rows, functions); TRLChangedError where that is not their shape."""
        shape = None if gathered is None else tuple(gathered.shape)
        if gathered is None or shape != (rows, len(weights)) or rows % n:
            raise TRLChangedError(
                f"rewards of shape {shape}, expected ({rows}, {len(weights)}): a row per rollout of all "
                f"processes, in groups of {n}, and a column per reward function"
            )
        parts = gathered * weights.cpu().double()
        rewards = parts.nansum(dim=1).masked_fill(gathered.isnan().all(dim=1), float("nan"))
        size = parts.abs().nansum(dim=1).reshape(-1, n).amax(dim=1, keepdim=True)
        return cls(rewards.reshape(-1, n), size, len(weights), gathered.reshape(-1, n, len(weights)))

    def check(self, theirs: torch.Tensor, rows: slice, name: str) -> None:
        """TRLChangedError unless these are reward minus group mean (0 where unscored) up to rounding.

        With u = eps/2 and S the size: a sum of m products errs by m u S, and so do the rewards in the mean,
        which adds n u S; the difference, at most 2S, adds 2 u S. Allowed is twice (2m + n + 2) u S, for the
        terms of second order.
        """
        expected = (self.rewards - self.rewards.nanmean(dim=1, keepdim=True)).nan_to_num(nan=0.0)
        n = expected.shape[1]
        slack = torch.finfo(theirs.dtype).eps * (2 * self.functions + n + 2) * self.size.expand(-1, n)
        expected, slack = expected.reshape(-1)[rows], slack.reshape(-1)[rows]
        if theirs.shape != expected.shape:
            raise TRLChangedError(f"{name} of shape {tuple(theirs.shape)}, expected {tuple(expected.shape)}")
        wrong = ~((theirs.cpu().double() - expected).abs() <= slack)
        if wrong.any():
            row = int(wrong.int().argmax())
            raise TRLChangedError(
                f"{name}[{row}] is {float(theirs[row])}, but reward minus group mean is "
                f"{float(expected[row])}: TRL, or a subclass, orders or weighs rewards in another way"
            )


def _memory_and_rule(
    trainer: type,
    estimator: str | Rule | Replay,
    k: int | KSteps | Callable[[TrainerState], int],
    prompt_column: str | None,
    answer_of: Answer | None,
) -> tuple[PromptMemory | None, Entry]:
    """The memory that an estimator means, if any, and the rule; ValueError for what one would not use."""
    replay = memory_of(estimator, k)
    if replay is not None:
        return PromptMemory(replay, trainer, column=prompt_column, answer_of=answer_of), replay.rule
    for name, value in {"prompt_column": prompt_column, "answer_of": answer_of}.items():
        if value is not None:
            raise ValueError(f"{name}={value!r} changes nothing without a memory: use estimator='replay'")
    return None, _rule_of(cast("str | Rule", estimator))


def _summary(used: torch.Tensor, rewards: torch.Tensor, rule: Entry, k: int) -> dict[str, float]:
    """The metrics of advantages (G, n) given for rewards (G, n)."""
    sizes = (~rewards.isnan()).sum(dim=1).tolist()
    undefined = {size for size in set(sizes) if size == 0 or rule.why_not(size, k)}
    wide = used.double()
    return {
        "k": float(k),
        "advantages/mean": float(wide.mean()),
        "advantages/rms": float(wide.square().mean().sqrt()),
        "advantages/dead_groups": float((wide == 0).all(dim=1).double().mean()),
        "advantages/undefined_groups": sum(size in undefined for size in sizes) / len(sizes),
    }


def _rule_of(estimator: str | Rule) -> Rule:
    """The rule meant, of a group or of several rewards. Raises as ``group_estimator`` for another kind."""
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    if not isinstance(rule, Estimator | VectorEstimator | VectorBatchEstimator):
        return group_estimator(cast("str", estimator))
    if isinstance(rule, Weighing) and rule.reward_weights is not None:
        raise ValueError(
            f"estimator {rule.name!r} has reward_weights={rule.reward_weights}: here they are TRL's; pass "
            f"GRPOConfig(..., reward_weights=[...]) and the rule without"
        )
    return rule


def _check_defined(rule: Entry, n: int, k: int, where: str = "") -> None:
    if reason := rule.why_not(n, k):
        raise ValueError(f"{where}{rule.name} at num_generations={n} and k={k} is undefined: {reason}")


def _check_settings(args: Any) -> None:
    """ValueError where TRL would scale advantages that are replaced."""
    for name, needed in _SETTINGS.items():
        if not hasattr(args, name):
            raise TRLChangedError(f"{type(args).__name__} has no setting {name!r}")
        if (given := getattr(args, name)) != needed:
            raise ValueError(
                f"{name}={given!r}: the rule defines its own scale, so this would change nothing; pass "
                f"GRPOConfig(..., {name}={needed!r})"
            )
