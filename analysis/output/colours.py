"""The colour of a rule, the same in all figures: a hue for each family, a shade for each of its rules."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import to_hex, to_rgb

from maxpo_lab import get_estimator
from maxpo_lab.core import weighted_sums
from maxpo_lab.estimators import families, of_vectors

#: All families of the catalogue, in its order.
FAMILIES = (*families.FAMILIES, *of_vectors.FAMILIES)
#: The rules that figures draw, told apart by every reader within a figure: Okabe and Ito's palette for those
#: most often drawn together, Tol's muted one for the rest. A rule that is not here has a shade of its family.
DRAWN: Mapping[str, str] = {
    "reinforce": "#7f7f7f",
    "rloo": "#56b4e9",
    "batch-mean": "#8c6d31",
    "grpo": "#e69f00",
    "nemo-grpo": "#b8860b",
    "maxrl": "#117733",
    "maxrl-pkpo": "#88ccee",
    "rloo-reweighted": "#882255",
    "pkpo-s": "#cc79a7",
    "pkpo-loo": "#009e73",
    "pkpo-loo1": "#d55e00",
    "maxpo": "#0072b2",
    "predictive": "#7b3294",
    "verl-grpo-passk": "#cc6677",
    "leader": "#661100",
    "pkpo-mean-centered": "#555555",
    "passk-training": "#000000",
    "chebyshev": "#b15928",
    "multi-axis-maxk": "#aa4499",
}
#: Hues of families none of whose rules is drawn, in the order of the catalogue and then again: the rest of
#: Tol's muted palette, then of his other ones and three more.
_HUES = (
    *("#44aa99", "#332288", "#999933", "#aa4499", "#ddcc77"),
    *("#6699cc", "#994455", "#225522", "#997700", "#bb5566"),
    *("#004488", "#cc3311", "#009988", "#7a5195", "#5d6d7e", "#556b2f"),
)
#: How much of its hue a shade has, of that before it; the rest is white.
_PALER = 0.85
#: How light a hue is when it comes round again, for a further family.
_DARKER = 0.6


def colour_of(rule: str) -> str:
    """The colour of a rule of the catalogue, by name; its own parameters change nothing.

    A mixture's is its terms' mixed. Any other's is the one in ``DRAWN``, else a shade of the hue of the
    rule's family, which is that of its first rule that is drawn; the later the rule stands in its family, the
    paler the shade, and so lighter to every eye.
    """
    name = get_estimator(rule).name
    if terms := weighted_sums.read(name):
        shares = np.array([abs(float(weight)) for weight, _ in terms])
        parts = np.array([to_rgb(colour_of(each)) for _, each in terms])
        return to_hex(tuple(shares @ parts / shares.sum()))
    if at := weighted_sums.own_k(name):
        return colour_of(at[0])
    base = name.partition(":")[0]
    if base in DRAWN:
        return DRAWN[base]
    families = [[each.name for each in family.RULES] for family in FAMILIES]
    own = next(names for names in families if base in {each.partition(":")[0] for each in names})
    spare = [names for names in families if not DRAWN.keys() & names]
    drawn = [DRAWN[each] for each in own if each in DRAWN]
    lap, place = (0, 0) if drawn else divmod(spare.index(own), len(_HUES))
    hue = drawn[0] if drawn else _HUES[place]
    rank = next((own.index(each) for each in (name, base) if each in own), len(own))
    share = _PALER ** (rank + 1)
    red, green, blue = (share * _DARKER**lap * part + 1 - share for part in to_rgb(hue))
    return to_hex((red, green, blue))
