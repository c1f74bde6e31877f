"""The claims that are judged, by name, in the order of the table."""

from __future__ import annotations

from collections.abc import Mapping

from . import batches, operations, rules, updates, variances
from .claim import Claim

CLAIMS: Mapping[str, Claim] = {
    claim.name: claim
    for claim in (*updates.CLAIMS, *rules.CLAIMS, *operations.CLAIMS, *variances.CLAIMS, *batches.CLAIMS)
}
