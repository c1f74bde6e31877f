r"""Unbiased pass@k with its interval among verl's validation metrics: importing this module adds it.

verl reports ``best@N`` of a validation as the mean of redraws with replacement, which is low for N > 1 (of 8
responses with one success best@8 is 0.66, and pass@8 is 1), and no error of it. With this module imported its
``process_validation_metrics`` returns those numbers as before and, for each variable that has them, these,
which trackers such as W&B show under ``val-aux/<data source>/<variable>/``:

- ``pass@<k>/unbiased``: the counterpart of ``best@<k>/mean``; of graded values the expected largest of k;
- ``pass@<k>/standard_error``, ``pass@<k>/low``, ``pass@<k>/high``: its error and 95% interval over prompts;
  values that are not all 0 or 1 are taken to be bounded by the range that was seen;
- ``pass@<k>/prompts``: the number of prompts with k scored responses, which alone count.

The module must be imported where verl's trainer runs. ``VERL_USE_EXTERNAL_MODULES`` takes several, separated
by commas without blanks; Hydra wants such a value in quotes of its own::

    modules=maxpo_lab.integrations.verl,maxpo_lab.integrations.verl_validation
    python -m verl.trainer.main_ppo \
        +ray_kwargs.ray_init.runtime_env.env_vars.VERL_USE_EXTERNAL_MODULES="'$modules'" \
        +ray_kwargs.ray_init.runtime_env.env_vars.MAXPO_LAB_KS="'1,4,16'" \
        actor_rollout_ref.rollout.val_kwargs.n=16 actor_rollout_ref.rollout.val_kwargs.do_sample=True ...

verl hands its configuration to no metric, so the settings are environment variables, read at import:

- ``MAXPO_LAB_KS=1,4,16``: the k's. Groups too small for one are left out of it, and a k that all groups of a
  data source are too small for is not reported. Default: powers of two up to its smallest group.
- ``MAXPO_LAB_THRESHOLD=1.0``: a value of at least this, both rounded to float32, in which verl sums rewards,
  is a success. Default: values are taken as they are.

A value of None or NaN is a response without a score: it is left out of its group. A variable with a value
that is neither a finite number nor such, or too large for its square, is left out, with a warning.

Checked with verl 0.9.1.
"""

from __future__ import annotations

import functools
import inspect
import logging
import math
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

from .value_metrics import as_ks, as_threshold, in_float32, numbers_by_k, powers_of_two

try:
    _metric_utils: Any = import_module("verl.trainer.ppo.metric_utils")
except ModuleNotFoundError as error:
    if error.name != "verl":
        raise
    raise ImportError("maxpo_lab.integrations.verl_validation needs verl: pip install verl") from error

#: The function that is wrapped, wherever verl's modules hold it, and its parameters.
_FUNCTION = "process_validation_metrics"
_PARAMETERS = ("data_sources", "sample_uids", "infos_dict", "seed", "expected_acc_counts")

#: Numbers by data source, variable and name.
Metrics = dict[str, dict[str, dict[str, float]]]

_log = logging.getLogger(__name__)


class VerlChangedError(RuntimeError):
    """The installed verl computes its validation metrics by a function with other parameters."""


def pass_at_k_metrics(
    data_sources: Sequence[str],
    sample_uids: Sequence[str],
    infos_dict: Mapping[str, Sequence[Any]],
    *,
    ks: Sequence[int] | None = None,
    threshold: float | None = None,
    expected_acc_counts: Mapping[tuple[str, str], int] | None = None,
) -> Metrics:
    """Unbiased pass@k of a validation, by data source and variable.

    Parameters
    ----------
    data_sources, sample_uids, infos_dict, expected_acc_counts
        As verl's ``process_validation_metrics`` takes them: of each response the source and the prompt it is
        of, and its value of each variable. With expected counts, ``acc`` of a response that is missing is 0,
        and ``acc_success_only`` is over those that are there, as in verl.
    ks, threshold
        As ``MAXPO_LAB_KS`` and ``MAXPO_LAB_THRESHOLD`` set them, see the module.

    Returns
    -------
    dict
        ``{source: {variable: {"pass@4/unbiased": ..., "pass@4/standard_error": ..., "pass@4/low": ...,
        "pass@4/high": ..., "pass@4/prompts": ...}}}``. A number that the sample does not determine, such as
        the error over one prompt, is absent.

    Raises
    ------
    TypeError, ValueError
        ks or a threshold that are none.

    Notes
    -----
    Responses of one uid are one prompt. verl makes the uids anew for every row of its dataset, so a prompt
    that the dataset holds twice counts as two.

    Cost O(B log B) for B responses of a source and variable.
    """
    ks = None if ks is None else as_ks(ks, "ks")
    threshold = as_threshold(threshold, "threshold")
    found: Metrics = {}
    values = _by_prompt(data_sources, sample_uids, infos_dict, expected_acc_counts or {})
    for source, variables in values.items():
        for variable, prompts in variables.items():
            try:
                rewards = [
                    [_number(value) for value in each] for each in prompts.values() if not _is_text(each)
                ]
                numbers = _numbers(rewards, ks, threshold)
            except (ArithmeticError, TypeError, ValueError) as error:
                _log.warning("no pass@k of %s of data source %s: %s", variable, source, error)
                continue
            if numbers:
                found.setdefault(source, {})[variable] = numbers
    return found


def _by_prompt(
    data_sources: Sequence[str],
    sample_uids: Sequence[str],
    infos_dict: Mapping[str, Sequence[Any]],
    expected_acc_counts: Mapping[tuple[str, str], int],
) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """The values by source, variable and prompt."""
    found: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row, (source, uid) in enumerate(zip(data_sources, sample_uids, strict=True)):
        for variable, values in infos_dict.items():
            found[source][variable][uid].append(values[row])
    judged = {
        source for source in found if any(_scored(each) for each in found[source].get("acc", {}).values())
    }
    for (source, uid), count in expected_acc_counts.items():
        if source in judged:
            there = _scored(found[source]["acc"][uid])
            found[source]["acc_success_only"][uid] = there
            found[source]["acc"][uid] = there + [0.0] * (count - len(there))
    plain: dict[str, dict[str, dict[str, list[Any]]]] = found
    return plain


def _numbers(
    prompts: list[list[float]], ks: tuple[int, ...] | None, threshold: float | None
) -> dict[str, float]:
    """Names and values for the values of each prompt, NaN for unscored."""
    sizes = [len(each) for each in prompts if each]
    if not sizes:
        return {}
    found = numbers_by_k(
        [value if threshold is None else in_float32(value) for each in prompts for value in each],
        powers_of_two(min(sizes)) if ks is None else ks,
        threshold=threshold,
        group_ids=[number for number, each in enumerate(prompts) for _ in each],
    )
    return {
        f"pass@{k}/{'unbiased' if name == 'estimate' else name}": value
        for k, numbers in found.items()
        for name, value in numbers.items()
    }


def _scored(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def _is_text(values: Sequence[Any]) -> bool:
    """Whether verl takes a prompt's values for text, of which it computes nothing."""
    return any(isinstance(value, str) for value in _scored(values)[:1])


def _number(value: Any) -> float:
    number = math.nan if value is None else float(value)
    if math.isinf(number):
        raise ValueError(f"a value is {number}")
    return number


def _setting(name: str, example: str, read: Callable[[str], Any]) -> Any:
    """An environment variable as ``read`` reads it, None where it is not set; ValueError where it cannot."""
    text = os.environ.get(name)
    if text is None:
        return None
    try:
        return read(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={text!r}: {error}; set it as {name}={example}, or not at all") from error


def install() -> None:
    """Wrap verl's function in every module of verl that has it, now or when it is imported; once.

    Raises
    ------
    ValueError
        A malformed ``MAXPO_LAB_KS`` or ``MAXPO_LAB_THRESHOLD``.
    VerlChangedError
        verl has no such function, or it takes other parameters.
    """
    theirs: Any = getattr(_metric_utils, _FUNCTION, None)
    if getattr(theirs, "with_pass_at_k", False):
        return
    found = () if theirs is None else tuple(inspect.signature(theirs).parameters)
    if found != _PARAMETERS:
        said = f"takes ({', '.join(found)}), not ({', '.join(_PARAMETERS)})" if theirs else "is not there"
        raise VerlChangedError(
            f"verl {version('verl')}: {_FUNCTION} of verl.trainer.ppo.metric_utils {said}; "
            f"maxpo_lab.integrations.verl_validation is checked with verl 0.9.1"
        )
    ks = _setting("MAXPO_LAB_KS", "1,4,16", lambda text: as_ks(list(map(int, text.split(","))), "k's"))
    threshold = _setting("MAXPO_LAB_THRESHOLD", "1.0", lambda text: as_threshold(float(text), "threshold"))
    ours = _with_pass_at_k(theirs, ks, threshold)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "verl" and getattr(module, "__dict__", {}).get(_FUNCTION) is theirs:
            setattr(module, _FUNCTION, ours)


def _with_pass_at_k(
    theirs: Callable[..., Metrics], ks: tuple[int, ...] | None, threshold: float | None
) -> Callable[..., Metrics]:
    """The function of verl, whose result holds ours too."""

    @functools.wraps(theirs)
    def process_validation_metrics(*arguments: Any, **named: Any) -> Metrics:
        result = theirs(*arguments, **named)
        given = inspect.signature(theirs).bind(*arguments, **named).arguments
        given.pop("seed", None)
        ours = pass_at_k_metrics(**given, ks=ks, threshold=threshold)
        for source, variables in result.items():
            for variable, numbers in variables.items():
                numbers.update(ours.get(source, {}).get(variable, {}))
        return result

    process_validation_metrics.with_pass_at_k = True  # type: ignore[attr-defined]
    return process_validation_metrics


install()
