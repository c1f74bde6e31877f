"""Rules that shape rewards or advantages: by a risk measure, sign, difficulty, selection or place."""

from . import difficulty, kalman, quantiles, risk, selection, signs

#: The families, in the order of the catalogue.
FAMILIES = (risk, quantiles, signs, difficulty, selection, kalman)
