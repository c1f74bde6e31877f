"""What the study of a language model found of where TRL's training ends, against what was predicted."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from ...studies.llm import outcomes
from ...studies.llm.design import GRPO, REFERENCE, REPLAY, UNBIASED
from ..claim import Reading, each, finding

TITLE = "Training of a small language model"

_at = partial(Reading, study="llm")
#: What is trained is drawn by TRL: to the bit on one machine and with one set of versions alone.
_trained = partial(_at, drawn=True)
_PLACES = {
    "many right derivations": "order",
    "one right completion": "chain",
    "only the answer counts": "answer",
}
_INTERVAL = ("estimate", "low", "high")


def _interval(numbers: str) -> str:
    """Estimates with their intervals, from threes of numbers."""
    said = numbers.split()
    return " | ".join(
        f"{{{a}}} [{{{b}}}, {{{c}}}]" for a, b, c in zip(said[::3], said[1::3], said[2::3], strict=True)
    )


def _ends(rule: str, size: str, numbers: str) -> tuple[Reading, Reading]:
    """A line of the table of ends on many derivations."""
    where = f"verifier == 'order' and rule == {rule!r}"
    return (
        _trained(
            says=f"| `{rule.partition(':')[0]}` | {{{size}}} |",
            through=outcomes.ends,
            where=where,
            of="learning_rate",
            take="mean",
        ),
        _trained(
            says=f"| {_interval(numbers)} |",
            through=outcomes.means,
            where=where,
            at=each("quantity", "pass_at_1", "pass_at_k", "rollouts", "diversity"),
            of=_INTERVAL,
        ),
    )


def _lead(
    says: str, rule: str, over: str, quantity: str, *verifiers: str, of: tuple[str, ...] = _INTERVAL
) -> Reading:
    """How far apart two rules end."""
    return _trained(
        says=says,
        through=outcomes.leads,
        where=f"rule == {rule!r} and over == {over!r} and quantity == {quantity!r}",
        at=each("verifier", *verifiers),
        of=of,
    )


def _against(place: str, rule: str, numbers: str) -> Reading:
    """A line of the table of leads: pass@1 and pass@4 with intervals, and what could have been seen of it."""
    said = numbers.split()
    return _trained(
        says=f"| {place} | `{rule.partition(':')[0]}` | {_interval(' '.join(said[:3]))} | "
        f"{_interval(' '.join(said[3:6]))} | {{{said[6]}}} |",
        through=_leads,
        where=f"verifier == {_PLACES[place]!r} and rule == {rule!r}",
        of=("pass1", "low1", "high1", "passk", "lowk", "highk", "seen"),
    )


def _leads(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for each setting and rule: its leads on the reference rule in pass@1 and pass@4."""
    found = outcomes.leads(rows)
    found = found[found.over == REFERENCE].set_index(["verifier", "rule"])
    one, k = (found[found.quantity == name] for name in ("pass_at_1", "pass_at_k"))
    columns = {"pass1": one.estimate, "low1": one.low, "high1": one.high}
    columns |= {"passk": k.estimate, "lowk": k.low, "highk": k.high, "seen": k.visible}
    return pd.DataFrame(columns).reset_index()


def _between(rows: pd.DataFrame) -> pd.DataFrame:
    """Leads of the rules without bias on each other, each pair once, in pass@1 and pass@4."""
    pairs = pd.DataFrame(
        [(one, other) for i, one in enumerate(UNBIASED) for other in UNBIASED[i + 1 :]],
        columns=["rule", "over"],
    )
    found = outcomes.leads(rows).merge(pairs)
    return found[found.quantity.isin(("pass_at_1", "pass_at_k"))]


def _tuning(rows: pd.DataFrame) -> pd.DataFrame:
    """The tuning runs, each once."""
    own = rows[(rows.kind == "tuning") & (rows["size"] == 1)]
    return own.drop_duplicates(["verifier", "rule", "learning_rate", "seed"])


def _realised(rule: str, numbers: str) -> Reading:
    """A line of predicted against realised rollouts: the ratio, its interval, and what could have been seen."""
    said = numbers.split()
    return _lead(
        f"| `{rule}` | {{{said[0]}}} [{{{said[1]}}}, {{{said[2]}}}] | {{{said[3]}}} |",
        rule,
        REFERENCE,
        "rollouts",
        "order",
        of=(*_INTERVAL, "visible"),
    )


def _needed(rows: pd.DataFrame) -> pd.DataFrame:
    """Seeds of each rule that would see what is predicted half way on many derivations, by the pilot's spread."""
    power = rows[(rows.kind == "power") & (rows.verifier == "order") & (rows.quantity == "rollouts")]
    plan = outcomes.predictions(rows).query(f"verifier == 'order' and over == {REFERENCE!r}")
    if power.empty:
        return plan.assign(seeds=float("nan"))
    most = power.sort_values("seeds").iloc[-1]
    return plan.assign(seeds=most.seeds * (np.log(most.visible) / np.log(plan.predicted)) ** 2)


def _power(place: str, numbers: str) -> Reading:
    """A line of the table of what the seeds can see."""
    said = numbers.split()
    names = ("pass_at_k", "area", "rollouts")[: len(said)]
    return _trained(
        says=f"| {place} | {' | '.join(f'{{{number}}}' for number in said)} |",
        where=f"kind == 'power' and verifier == {_PLACES[place]!r} and seeds >= 5",
        at=each("quantity", *names),
        of="visible",
    )


CLAIMS = (
    finding(
        "llm",
        "power",
        "What is predicted of the rules lies inside what the seeds can see.",
        _power("many right derivations", "0.055 0.017 1.09"),
        _power("one right completion", "0.084 0.039"),
        _power("only the answer counts", "0.064 0.036"),
        _trained(
            says="the 7% of `replay` takes about {35} seeds of each rule",
            through=_needed,
            where="checkpoint == 'half way' and rule == 'replay'",
            of="seeds",
        ),
        _trained(
            says="the 2% of MaxPO about {440}",
            through=_needed,
            where="checkpoint == 'half way' and rule == 'maxpo'",
            of="seeds",
        ),
    ),
    finding(
        "llm",
        "realised",
        "MaxPO, predictive and replay need the rollouts that were predicted, which are not told apart from pkpo-loo1's.",
        *_ends(GRPO, "0.001", "0.446 0.424 0.467 0.785 0.746 0.823 2977 2816 3138 5.8 5.3 6.3"),
        *_ends(REFERENCE, "0.001", "0.377 0.354 0.401 0.817 0.792 0.842 3262 3047 3477 7.3 6.7 7.9"),
        *_ends("predictive", "0.001", "0.380 0.364 0.397 0.826 0.810 0.842 3253 3028 3478 7.1 6.6 7.6"),
        *_ends("maxpo", "0.001", "0.374 0.353 0.396 0.818 0.793 0.843 3141 2915 3367 7.2 6.6 7.8"),
        *_ends(REPLAY, "0.001", "0.388 0.368 0.408 0.829 0.809 0.848 3129 2924 3334 7.0 6.5 7.5"),
        _realised("predictive", "1.00 0.94 1.05 1.08"),
        _realised("maxpo", "0.96 0.90 1.02 1.09"),
        _realised(REPLAY, "0.96 0.91 1.01 1.08"),
        _trained(
            says="are {0.596} at 5e-3 and {0.626} at 1e-3 for `replay`",
            through=_tuning,
            where="verifier == 'order' and rule == 'replay'",
            at=each("learning_rate", 0.005, 0.001),
            of="area",
            take="mean",
        ),
        _trained(
            says="{0.601} and {0.611} for `pkpo-loo1`",
            through=_tuning,
            where=f"verifier == 'order' and rule == {REFERENCE!r}",
            at=each("learning_rate", 0.005, 0.001),
            of="area",
            take="mean",
        ),
        _trained(
            says="Of the {36} intervals between the four rules",
            through=_between,
            of="low",
            take="rows",
        ),
        _trained(
            says="in all settings, {0} exclude 0",
            through=_between,
            where="low * high > 0",
            of="low",
            take="rows",
        ),
    ),
    finding(
        "llm",
        "diversity",
        "The diversity of right completions does not stay: a fifth of it is left at the end.",
        _at(
            says="At the start there are {29.5} right completions in effect",
            through=outcomes.curves,
            where="verifier == 'order' and step == 0",
            of="diversity",
            take="mean",
        ),
        _trained(
            says="at the end of training {5.8} to {7.3}, by rule, a share of {0.20} to {0.25}",
            through=outcomes.diversities,
            where="verifier == 'order' and step == 96",
            of=("diversity", "share"),
            take=("min", "max"),
        ),
    ),
    finding(
        "llm",
        "mean-reward",
        "GRPO, a rule for the mean reward, gains pass@1, no pass@4, and keeps fewer right completions.",
        _lead("{1.5} [{0.9}, {2.2}] fewer in effect than", REFERENCE, GRPO, "diversity", "order"),
        _lead("pass@1 ({0.069} [{0.040}, {0.097}])", GRPO, REFERENCE, "pass_at_1", "order"),
        _lead("not more pass@4 ({-0.033} [{-0.075}, {0.010}])", GRPO, REFERENCE, "pass_at_k", "order"),
    ),
    finding(
        "llm",
        "ends",
        "In the other settings no rule without bias is told apart from pkpo-loo1.",
        _against("many right derivations", GRPO, "0.069 0.040 0.097 -0.033 -0.075 0.010 0.061"),
        _against("many right derivations", "predictive", "0.003 -0.024 0.030 0.009 -0.021 0.038 0.042"),
        _against("many right derivations", "maxpo", "-0.003 -0.029 0.022 0.000 -0.032 0.033 0.046"),
        _against("many right derivations", REPLAY, "0.010 -0.018 0.039 0.011 -0.019 0.041 0.043"),
        _against("one right completion", GRPO, "0.001 -0.005 0.007 0.004 -0.012 0.020 0.022"),
        _against("one right completion", "predictive", "-0.001 -0.007 0.004 -0.001 -0.017 0.015 0.021"),
        _against("one right completion", "maxpo", "0.000 -0.004 0.004 0.003 -0.010 0.015 0.016"),
        _against("one right completion", REPLAY, "0.004 -0.007 0.016 -0.004 -0.028 0.020 0.033"),
        _against("only the answer counts", GRPO, "0.025 0.009 0.042 0.011 -0.009 0.031 0.027"),
        _against("only the answer counts", "predictive", "-0.001 -0.008 0.006 -0.000 -0.008 0.007 0.010"),
        _against("only the answer counts", "maxpo", "-0.001 -0.008 0.006 -0.000 -0.009 0.008 0.011"),
        _against("only the answer counts", REPLAY, "0.000 -0.005 0.006 0.002 -0.004 0.007 0.008"),
        _at(
            says="where it starts at {0.21} and {0.73}",
            through=outcomes.curves,
            where="step == 0",
            at=each("verifier", "chain", "answer"),
            of="pass_at_k",
            take="mean",
        ),
        _trained(
            says="is {0.06} to {0.14} under `chain` and",
            through=_tuning,
            where="verifier == 'chain' and learning_rate == 0.001",
            of="area",
            take=("min", "max"),
        ),
        _trained(
            says="{0.41} to {0.55} under `answer`, by rule",
            through=_tuning,
            where="verifier == 'answer' and learning_rate == 0.001",
            of="area",
            take=("min", "max"),
        ),
    ),
)
