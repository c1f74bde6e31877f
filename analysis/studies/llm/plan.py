"""How much is measured in a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec

from ...run.presets import Preset
from .design import REFERENCE, REPLAY, SETTINGS, TRAINED, Cell, Checkpoint, Contest, Pilot, Variance, Verifier

#: Reported seeds of a setting.
SEEDS: Mapping[Verifier, int] = {"order": 24, "chain": 5, "answer": 5}
#: Those of the preset standard: the first ones.
_FIRST = 12
#: Tuning seeds of a setting.
_TUNING: Mapping[Verifier, int] = {"order": 6, "chain": 3, "answer": 3}
#: Rules of the preset standard.
_IN_STANDARD = (REFERENCE, "maxpo")
#: Prompts and sampled groups of a checkpoint.
_MEASURED: Mapping[Verifier, tuple[int, int]] = {"order": (24, 600), "chain": (6, 300), "answer": (6, 300)}
#: How many times the parameters of the model that are trained where a GPU is at hand.
LARGE = 50


def cells(preset: Preset) -> list[Cell]:
    """What is predicted first, then what is trained.

    With a GPU the preset paper has the contests on many derivations once more, at ``LARGE`` times the size.
    """
    if preset == "smoke":
        runs = [Contest("order", rule, 2, 4, 2, 1) for rule in (REFERENCE, "maxpo", REPLAY)]
        return [Variance("order", "warm start", 2, 40), Pilot("order", 2, 2), *runs]
    every = preset == "paper"
    settings: tuple[Verifier, ...] = tuple(SETTINGS) if every else ("order",)
    places: list[tuple[Verifier, Checkpoint]] = [(v, "warm start") for v in settings]
    if every:
        places += [("order", "half way"), *((v, "trained") for v in settings)]
    found: list[Cell] = [Variance(v, at, *_MEASURED[v]) for v, at in places]
    found += [Pilot(v, SEEDS[v]) for v in settings]
    for verifier in settings:
        for rule in TRAINED if every else _IN_STANDARD:
            whole = _contest(verifier, rule)
            if verifier == "order" and rule in _IN_STANDARD:
                rest = replace(whole, first=_FIRST, seeds=whole.seeds - _FIRST)
                found += [replace(whole, seeds=_FIRST), rest][: 1 + every]
            else:
                found.append(whole)
    if every and _a_gpu_is_at_hand():
        found += [_contest("order", rule, size=LARGE, device="cuda") for rule in TRAINED]
    return found


def _contest(verifier: Verifier, rule: str, *, size: int = 1, device: str = "cpu") -> Contest:
    setting = SETTINGS[verifier]
    return Contest(
        verifier,
        rule,
        SEEDS[verifier],
        setting.steps,
        setting.evaluations,
        _TUNING[verifier],
        size=size,
        device=device,
    )


def _a_gpu_is_at_hand() -> bool:
    if find_spec("torch") is None:
        return False
    import torch  # noqa: PLC0415 - an extra

    return bool(torch.cuda.is_available())
