"""Errors of estimates of J_K: ``of_groups`` of a rule of one group, ``of_reports`` of what tools print."""

from .of_groups import ValueMoments, value_moments
from .of_reports import ReportedMoments, reported_moments

__all__ = ["ReportedMoments", "ValueMoments", "reported_moments", "value_moments"]
