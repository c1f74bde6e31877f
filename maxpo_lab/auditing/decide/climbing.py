"""What a guarded rule climbs, as its pairs and its spectrum say."""

from __future__ import annotations

from ...estimators import Estimator
from ...spectrum import Spectrum, pass_at_k_spectrum
from ..guard import Guard
from ..worker import RaisedError
from . import claims as claims_of
from .claims import Setting
from .objective import Ascent, ascent


def climbs(guard: Guard, setting: Setting) -> Ascent:
    """The objective, decided on pairs; without one where there are too many groups to decide."""
    spectrum: Spectrum | None = None
    if setting.equivariant:
        rule = guard.rule if isinstance(guard.rule, Estimator) else guard
        try:
            spectrum = pass_at_k_spectrum(rule, n=setting.n, k=setting.k)
        except (RaisedError, ValueError):  # a rule that is not made for 0/1 rewards
            spectrum = None
    try:
        pairs = claims_of.pairs_of(guard, setting)
    except claims_of.TooManyError as error:
        return Ascent(None, None, None, None, None, f"not decided: {error}")
    return ascent(pairs, spectrum, k=setting.k, target=setting.objective, rewards=setting.rewards)
