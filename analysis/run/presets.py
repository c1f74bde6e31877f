"""The presets: how much a study computes."""

from __future__ import annotations

from typing import Literal

#: The fewest cells; what ``make reproduce`` runs; what the repository's results are of.
Preset = Literal["smoke", "standard", "paper"]
