"""What all runs start from: the prompts, and one model that is warm."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from envs import ChainSum
from maxpo_lab.core.arrays import Float

from .design import BASE, DIGITS, HELD_OUT, STARTS, Verifier

if TYPE_CHECKING:
    import transformers

    from envs.language_models.questions import Questions

#: Supervised steps between two evaluations, and at most.
_BETWEEN, _AT_MOST = 5, 1000


@cache
def questions(verifier: Verifier) -> tuple[Questions, Questions]:
    """Prompts to train on, and the held-out ones: the same for both verifiers."""
    from envs.language_models.questions import Questions  # noqa: PLC0415 - transformers is heavy to import

    return Questions.split(ChainSum(BASE, DIGITS, verifier=verifier), held_out=HELD_OUT)


def warm_start(verifier: Verifier) -> transformers.Qwen2ForCausalLM:
    """A copy of the model that all runs of a setting start from."""
    return copy.deepcopy(_warm_start(verifier))


@dataclass(frozen=True, eq=False)
class Success:
    """Exact success on each held-out prompt, (prompts,): what the verifier rewards, and the right chain."""

    rewarded: Float
    chain: Float


def success_of(model: transformers.PreTrainedModel, verifier: Verifier) -> Success:
    """The success of a model."""
    from envs.language_models.completions import success  # noqa: PLC0415

    chain = success(model, questions("chain")[1])
    return Success(chain if verifier == "chain" else success(model, questions(verifier)[1]), chain)


@cache
def start_success(verifier: Verifier) -> Success:
    """The success of the warm start, which all runs of a setting share."""
    return success_of(_warm_start(verifier), verifier)


@cache
def _warm_start(verifier: Verifier) -> transformers.Qwen2ForCausalLM:
    """A random model after supervised steps on right chains, up to the first evaluation above the start."""
    from envs.language_models.causal_lm import causal_lm  # noqa: PLC0415
    from envs.language_models.completions import success  # noqa: PLC0415
    from envs.language_models.supervised import supervise  # noqa: PLC0415

    train, held_out = questions(verifier)
    model = causal_lm(train.task)

    def reached(step: int) -> bool:
        if step > _AT_MOST:
            raise RuntimeError(f"pass@1 is below {STARTS[verifier]} after {_AT_MOST} supervised steps")
        return not step % _BETWEEN and float(success(model, held_out).mean()) > STARTS[verifier]

    supervise(model, train, until=reached)
    return model
