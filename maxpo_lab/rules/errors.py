"""What a rule can be refused for, each with an error of its own."""

from __future__ import annotations


class RuleError(Exception):
    """A rule cannot be measured: what every error here is."""


class BadShapeError(RuleError, ValueError):
    """A rule returned another shape than that of an advantage per rollout, or of a value per group."""


class NotRealError(RuleError, TypeError):
    """A rule returned something other than real numbers."""


class NotFiniteError(RuleError, ValueError):
    """A rule returned a NaN or an infinity for finite rewards."""


class RandomRuleError(RuleError, ValueError):
    """A rule gave two answers for the same rewards."""


class StatefulRuleError(RandomRuleError):
    """A rule gave two answers for the same rewards because it remembers the calls before."""


class CoupledRowsError(RuleError, ValueError):
    """The rows of a batch influence each other, so that a group has no advantages, or value, of its own."""


class VectorRuleError(RuleError, ValueError):
    """A rule takes several numbers of a rollout, where rollouts have one reward; or the other way round."""
