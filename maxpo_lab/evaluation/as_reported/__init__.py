"""What evaluation tools report as pass@k, best@k and the like: their numbers as rules that can be judged.

``counting``, ``redraws`` and ``others`` are value rules of one prompt, ``sizes`` says which prompts a number
is over, ``tools`` puts both together, tool by tool. ``moments.reported_moments`` judges them.
"""

from .base import Report
from .registry import get_report, list_reports

__all__ = ["Report", "get_report", "list_reports"]
