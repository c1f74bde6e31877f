"""Policy optimisation in which every policy is evaluated exactly: rules x step sizes x seeds, one program.

``train(world_of(specimen, start), arms, ...)`` gives a ``Trace``. A ``World`` is a specimen in torch with a
stack of policies as its parameters; an ``Arm`` is a rule with a step size and a schedule of K.
"""

from .arms import EXACT, Arm
from .optimisers import SGD, Adam, Optimiser
from .protocol import World, objective
from .signals import Signal, signal
from .trainer import Trace, train
from .worlds import world_of

__all__ = [
    "EXACT",
    "SGD",
    "Adam",
    "Arm",
    "Optimiser",
    "Signal",
    "Trace",
    "World",
    "objective",
    "signal",
    "train",
    "world_of",
]
