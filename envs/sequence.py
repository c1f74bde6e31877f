"""``SequencePolicy`` under its public path; ``networks.sequence`` holds it."""

from .networks.sequence import SequencePolicy

__all__ = ["SequencePolicy"]
