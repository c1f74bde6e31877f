"""What all runs of a setting start from: the prompts, and one model."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from envs import ChainSum
from maxpo_lab.core.arrays import Float

from .design import SETTINGS, Verifier

if TYPE_CHECKING:
    import transformers

    from envs.language_models.questions import Questions

#: The width of the model at size 1; its layers have parameters like its square.
WIDTH = 32
#: Supervised steps between two evaluations, and at most.
_BETWEEN, _AT_MOST = 5, 1000


@cache
def questions(verifier: Verifier) -> tuple[Questions, Questions]:
    """Prompts to train on, and the held-out ones: the same for both verifiers of one task."""
    from envs.language_models.any_order import AnyOrderSum  # noqa: PLC0415 - questions needs transformers
    from envs.language_models.questions import Questions  # noqa: PLC0415

    setting = SETTINGS[verifier]
    if verifier == "order":
        task: ChainSum | AnyOrderSum = AnyOrderSum(setting.base, setting.digits, derivations=30)
    else:
        task = ChainSum(setting.base, setting.digits, verifier=verifier)
    others, held_out = Questions.split(task, held_out=setting.held_out)
    return (others if setting.prompts is None else spread(others, setting.prompts)), held_out


def spread(asked: Questions, count: int) -> Questions:
    """Some of the prompts, evenly spread among them."""
    places = np.linspace(0, len(asked.chosen) - 1, count).round().astype(int)
    return type(asked)(asked.task, asked.chosen[places])


def warm_start(verifier: Verifier, size: int = 1) -> transformers.Qwen2ForCausalLM:
    """A copy of the model that all runs of a setting start from, on the CPU."""
    return copy.deepcopy(_warm_start(verifier, size))


@dataclass(frozen=True, eq=False)
class Success:
    """Exact, of each of some prompts, (prompts,): pass@1, and how many right completions count in effect."""

    rewarded: Float
    diversity: Float


def success_of(model: transformers.PreTrainedModel, asked: Questions) -> Success:
    """The success of a model."""
    from envs.language_models.completions import diversity, right_probabilities  # noqa: PLC0415

    found = right_probabilities(model, asked)
    return Success(found.sum(axis=1), diversity(found))


@cache
def _warm_start(verifier: Verifier, size: int) -> transformers.Qwen2ForCausalLM:
    """A random model after supervised steps on right chains, up to the first evaluation above the start."""
    from envs.language_models.causal_lm import causal_lm  # noqa: PLC0415
    from envs.language_models.completions import success  # noqa: PLC0415
    from envs.language_models.supervised import supervise  # noqa: PLC0415

    (train, held_out), start = questions(verifier), SETTINGS[verifier].start
    model = causal_lm(train.task, width=width(size))
    if start is None:
        return model

    def reached(step: int) -> bool:
        if step > _AT_MOST:
            raise RuntimeError(f"pass@1 is below {start} after {_AT_MOST} supervised steps")
        return not step % _BETWEEN and float(success(model, held_out).mean()) > start

    supervise(model, train, until=reached)
    return model


def width(size: int) -> int:
    """The width whose square is ``size`` times that of size 1, to a multiple of 8: heads of even width."""
    return 8 * round(WIDTH * math.sqrt(size) / 8)
