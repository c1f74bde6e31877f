"""What a rule can be refused for, each with an error of its own."""

from __future__ import annotations


class BadShapeError(ValueError):
    """A rule returned another number of advantages than there are rollouts."""


class NotRealError(TypeError):
    """A rule returned something other than real numbers."""


class NotFiniteError(ValueError):
    """A rule returned a NaN or an infinity for finite rewards."""


class RandomRuleError(ValueError):
    """A rule gave two answers for the same rewards."""


class StatefulRuleError(RandomRuleError):
    """A rule gave two answers for the same rewards because it remembers the calls before."""


class CoupledRowsError(ValueError):
    """The rows of a batch influence each other, so that a group has no advantages of its own."""
