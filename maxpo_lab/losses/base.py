r"""What a loss is: linear weights on the scores of tokens, made of a ratio, a correction, a penalty and a mean.

With advantages A (..., n), tokens (..., n, T) and N rollouts in the batch, the step is

.. math:: g = \frac1N \sum_i \sum_t w_{it} \nabla \log \pi(o_{it}), \qquad
          w_{it} = f_i \big(A_i\, c^{\pm}_{it}\, \kappa_{it} - \beta k'_{it}\big),

f the factors of the aggregation, c the coefficients of the ratio by the sign of A, kappa the correction for the
behaviour policy, k' the slope of the penalty. It is the lab's convention for g: weights of 1 on advantages are
``g = (1/n) sum_i A_i s_i``, and the gradient of the loss that a framework computes is ``-w/N`` on the
log-probabilities of the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..core.arrays import Array, Namespace
from .aggregation import Aggregation
from .corrections import Correction
from .kl import Penalty
from .ratios import Pair, Plain, Ratio, lengths_of
from .tokens import Tokens, as_tokens


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Weights of tokens, and the number a framework reports, from advantages and log-ratios.

    Attributes
    ----------
    name, title
        The registry's name, and a short human one.
    equation
        The weight of a token as one line of text.
    citation
        Paper and equation, or package, version and function.
    ratio, correction, aggregation, penalty
        What it is made of; a correction or a penalty may be absent.
    """

    name: str
    title: str
    equation: str
    citation: str
    ratio: Ratio = field(default_factory=Plain)
    aggregation: Aggregation = field(default_factory=Aggregation)
    correction: Correction | None = None
    penalty: Penalty | None = None

    @property
    def needs(self) -> frozenset[str]:
        """Which log-ratios it looks at; ``"log_ratios"`` alone may be left out, on-policy."""
        old = self.penalty is not None and (self.penalty.weighted or self.penalty.against == "old")
        asked = {
            "log_ratios": self.ratio.looks_at_ratios or old,
            "behaviour_log_ratios": self.correction is not None,
            "reference_log_ratios": self.penalty is not None and self.penalty.against == "reference",
        }
        return frozenset(name for name, looked_at in asked.items() if looked_at)

    def weights(
        self,
        advantages: Any,
        *,
        mask: Any = None,
        log_ratios: Any = None,
        behaviour_log_ratios: Any = None,
        reference_log_ratios: Any = None,
    ) -> Array:
        """Weights ``w`` of the scores of tokens, (..., n, T), 0 off the mask.

        Parameters
        ----------
        advantages
            (..., n), or (..., n, T) for one a token; the axes before n are the groups of one batch.
        mask
            (..., n, T), True or 1 where a token counts. None: all do, one a rollout where nothing says how
            many.
        log_ratios
            ``log pi - log pi_old`` of the drawn tokens, (..., n, T); None: 0, on-policy.
        behaviour_log_ratios
            ``log pi_old - log pi_behaviour``, where the loss corrects for the policy that drew the tokens.
        reference_log_ratios
            ``log pi - log pi_ref``, where the loss has a KL penalty.

        Returns
        -------
        array (..., n, T)
            Of the library, dtype and device of the arrays given.

        Raises
        ------
        TypeError
            Anything but real numbers; a log-ratio that the loss does not look at, or lacks.
        ValueError
            Shapes that do not belong together; a policy that gives a counted token probability 0; no token in
            the batch, or in a rollout by whose length the loss divides.

        Notes
        -----
        Cost O(tokens). Constants: no gradient flows through them, so
        ``-(w * log_probs).sum() / N`` is a loss whose gradient is -g.
        """
        tokens = self._tokens(
            advantages, mask, log_ratios, behaviour_log_ratios, reference_log_ratios, log_probs=None
        )
        xp = tokens.xp
        factors = self._factors(tokens)
        weights = tokens.values * by_sign(xp, tokens.values, self.coefficients(xp, tokens.logs, tokens.mask))
        if self.penalty is not None:
            weights = weights - self.penalty.slopes(xp, *self._against(tokens))
        return xp.where(tokens.mask, weights * factors[..., None], 0.0)

    def value(
        self,
        advantages: Any,
        *,
        mask: Any = None,
        log_ratios: Any = None,
        behaviour_log_ratios: Any = None,
        reference_log_ratios: Any = None,
        log_probs: Any = None,
    ) -> Array:
        """The loss as a number to minimise, as frameworks compute it: a scalar array.

        ``log_probs`` (..., n, T) of the current policy are what a score loss (``ratio.scores``) is a multiple
        of, and no other loss takes them. The other arguments and errors are those of ``weights``.
        """
        if self.ratio.scores != (log_probs is not None):
            raise TypeError(
                f"{self.name}: its value is a multiple of log pi; pass log_probs"
                if self.ratio.scores
                else f"log_probs: {self.name} does not look at them; leave them out"
            )
        tokens = self._tokens(
            advantages, mask, log_ratios, behaviour_log_ratios, reference_log_ratios, log_probs
        )
        xp, logs = tokens.xp, tokens.logs
        if self.ratio.scores:
            of_ratio = by_sign(xp, tokens.values, self.coefficients(xp, logs, tokens.mask))
            each = -tokens.values * of_ratio * logs["log_probs"]
        else:
            pair = self.ratio.surrogates(xp, logs["log_ratios"], tokens.mask)
            each = -tokens.values * by_sign(xp, tokens.values, self._corrected(xp, pair, logs, tokens.mask))
        factors = self._factors(tokens)
        if self.ratio.level == "sequence" and not self.ratio.scores:
            rows = each[..., 0]  # one loss a rollout, not one a token
        else:
            rows = xp.sum(xp.where(tokens.mask, each, 0.0), axis=-1)
        if self.penalty is not None:
            penalty = self.penalty.values(xp, *self._against(tokens))
            rows = rows + xp.sum(xp.where(tokens.mask, penalty, 0.0), axis=-1)
        return xp.mean(rows * factors)

    def coefficients(self, xp: Namespace, logs: dict[str, Array], mask: Array) -> Pair:
        """``c+ kappa`` and ``c- kappa``: what multiplies a positive and a negative advantage.

        ``logs`` are log-ratios by name as ``needs`` lists them, (..., T), 0 off the mask (..., T), of any axes
        before: outcomes of a policy, say. The coefficients are (..., T), or (..., 1) for whole rollouts; the
        factors of ``aggregation`` come on top.
        """
        x = logs.get("log_ratios")
        if x is None:
            x = xp.zeros_like(next(iter(logs.values())) if logs else xp.astype(mask, xp.float64))
        return self._corrected(xp, self.ratio.coefficients(xp, x, mask), logs, mask)

    def _corrected(self, xp: Namespace, pair: Pair, logs: dict[str, Array], mask: Array) -> Pair:
        if self.correction is None:
            return pair
        factor = self.correction.factors(xp, logs["behaviour_log_ratios"], mask)
        return pair[0] * factor, pair[1] * factor

    def _factors(self, tokens: Tokens) -> Array:
        lengths = lengths_of(tokens.xp, tokens.mask, tokens.values.dtype)
        return self.aggregation.factors(tokens.xp, lengths, width=tokens.mask.shape[-1])

    def _against(self, tokens: Tokens) -> tuple[Array, Array, Array, Any]:
        assert self.penalty is not None
        name = "log_ratios" if self.penalty.against == "old" else "reference_log_ratios"
        return tokens.logs[name], tokens.logs["log_ratios"], tokens.mask, self.ratio.level

    def _tokens(
        self, advantages: Any, mask: Any, old: Any, behaviour: Any, reference: Any, log_probs: Any
    ) -> Tokens:
        logs = {
            "log_ratios": old,
            "behaviour_log_ratios": behaviour,
            "reference_log_ratios": reference,
        }
        for name, given in logs.items():
            if given is not None and name not in self.needs:
                raise TypeError(f"{name}: {self.name} does not look at them; leave them out")
            if given is None and name in self.needs and name != "log_ratios":
                raise TypeError(f"{name}: {self.name} needs them; pass an array (..., n, T)")
        tokens = as_tokens(advantages, mask, log_probs=log_probs, **logs)
        if "log_ratios" not in tokens.logs:
            tokens.logs["log_ratios"] = tokens.xp.zeros_like(
                tokens.xp.astype(tokens.mask, tokens.values.dtype)
            )
        return tokens


def by_sign(xp: Namespace, advantages: Array, pair: Pair) -> Array:
    """What multiplies an advantage, by its sign."""
    positive, negative = pair
    return positive if positive is negative else xp.where(advantages > 0, positive, negative)
