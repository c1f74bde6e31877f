"""maxpo-lab: the exact laboratory for max@K / pass@K policy-gradient estimators."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .estimators import (
    BatchEstimator,
    Claims,
    Estimator,
    Laws,
    MemoryEstimator,
    RankLinear,
    VectorBatchEstimator,
    VectorEstimator,
    get_estimator,
    list_estimators,
)
from .training import advantages

if TYPE_CHECKING:
    from .auditing import AuditReport as AuditReport
    from .auditing import ValueAuditReport as ValueAuditReport
    from .auditing import audit as audit
    from .auditing import audit_value as audit_value
    from .core.ragged import GroupIdError
    from .evaluation import PassAtK, ValueRule, get_value_rule, list_value_rules, pass_at_k, value_estimate
    from .loops import FixedPoint, LoopSpectrum, loop_spectrum
    from .losses import Loss, get_loss, list_losses
    from .memory.replay import Replay
    from .moments import (
        BatchMoments,
        Moments,
        StandardErrors,
        UpdateMoments,
        UpdateStep,
        ValueMoments,
        VarianceFloor,
        batch_moments,
        exact_moments,
        path_moments,
        side_by_side,
        update_moments,
        update_path,
        value_moments,
        variance_floor,
    )
    from .monte_carlo import Estimate as Estimate
    from .monte_carlo import SampledMoments as SampledMoments
    from .monte_carlo import SampledUpdates as SampledUpdates
    from .monte_carlo import Until as Until
    from .monte_carlo import UpdateEstimates as UpdateEstimates
    from .monte_carlo import monte_carlo_moments as monte_carlo_moments
    from .monte_carlo import monte_carlo_updates as monte_carlo_updates
    from .monte_carlo import on_numpy as on_numpy
    from .policies.levels import RewardLevels
    from .policies.objective import max_at_k, max_at_k_gradient
    from .policies.outcomes import Outcomes
    from .policies.vector_levels import VectorLevels
    from .rules.calling import per_group
    from .rules.kinds import (
        BatchRule,
        MemoryRule,
        RatioRule,
        VectorRule,
        batch_rule,
        memory_rule,
        ratio_rule,
        vector_rule,
    )
    from .spectrum import Spectrum, objective_spectrum, pass_at_k_spectrum

    __version__: str

__all__ = [
    "BatchEstimator",
    "BatchMoments",
    "BatchRule",
    "Claims",
    "Estimator",
    "FixedPoint",
    "GroupIdError",
    "Laws",
    "LoopSpectrum",
    "Loss",
    "MemoryEstimator",
    "MemoryRule",
    "Moments",
    "Outcomes",
    "PassAtK",
    "RankLinear",
    "RatioRule",
    "Replay",
    "RewardLevels",
    "Spectrum",
    "StandardErrors",
    "UpdateMoments",
    "UpdateStep",
    "ValueMoments",
    "ValueRule",
    "VarianceFloor",
    "VectorBatchEstimator",
    "VectorEstimator",
    "VectorLevels",
    "VectorRule",
    "advantages",
    "batch_moments",
    "batch_rule",
    "exact_moments",
    "get_estimator",
    "get_loss",
    "get_value_rule",
    "list_estimators",
    "list_losses",
    "list_value_rules",
    "loop_spectrum",
    "max_at_k",
    "max_at_k_gradient",
    "memory_rule",
    "objective_spectrum",
    "pass_at_k",
    "pass_at_k_spectrum",
    "path_moments",
    "per_group",
    "ratio_rule",
    "side_by_side",
    "update_moments",
    "update_path",
    "value_estimate",
    "value_moments",
    "variance_floor",
    "vector_rule",
]

#: Imported when first asked for, by module: what a training loop need not pay for.
_LATER = {
    name: module
    for module, names in {
        "evaluation": (
            *("PassAtK", "ValueRule", "get_value_rule", "list_value_rules"),
            *("pass_at_k", "value_estimate"),
        ),
        "losses": ("Loss", "get_loss", "list_losses"),
        "moments": (
            *("BatchMoments", "Moments", "ValueMoments", "VarianceFloor", "batch_moments", "exact_moments"),
            *("StandardErrors", "path_moments", "side_by_side", "value_moments", "variance_floor"),
            *("UpdateMoments", "UpdateStep", "update_moments", "update_path"),
        ),
        "core.ragged": ("GroupIdError",),
        "memory.replay": ("Replay",),
        "policies.levels": ("RewardLevels",),
        "policies.outcomes": ("Outcomes",),
        "policies.objective": ("max_at_k", "max_at_k_gradient"),
        "rules.calling": ("per_group",),
        "policies.vector_levels": ("VectorLevels",),
        "rules.kinds": (
            *("BatchRule", "MemoryRule", "RatioRule", "VectorRule"),
            *("batch_rule", "memory_rule", "ratio_rule", "vector_rule"),
        ),
        "loops": ("FixedPoint", "LoopSpectrum", "loop_spectrum"),
        "spectrum": ("Spectrum", "objective_spectrum", "pass_at_k_spectrum"),
        # These need torch: ``import *`` would ask, so not in ``__all__``.
        "auditing": ("AuditReport", "ValueAuditReport", "audit", "audit_value"),
        "monte_carlo": (
            *("Estimate", "SampledMoments", "SampledUpdates", "Until", "UpdateEstimates"),
            *("monte_carlo_moments", "monte_carlo_updates", "on_numpy"),
        ),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("maxpo-lab")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = getattr(import_module(f".{_LATER[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"maxpo_lab.{name} samples with torch: pip install 'maxpo-lab[torch]'") from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, "__version__"})
