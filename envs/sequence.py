"""A network on a sequence task, under its public path; ``networks.sequence`` holds it."""

from .networks.sequence import SequencePolicy
from .networks.sequence_task import SequenceTask

__all__ = ["SequencePolicy", "SequenceTask"]
