"""What the study of frameworks found: rules that packages ship, their scales, their edges and their losses."""

from __future__ import annotations

import json
import re
from functools import partial

import pandas as pd

from ..claim import Reading, Take, each, finding

TITLE = "What frameworks compute"

_frameworks = partial(Reading, study="frameworks")
_RUN = "origin == 'package' and n == 8"
_DEVIATION = f"{_RUN} and equals.str.match('(torchrl-)?grpo($|:)')"
_MEAN_LOSS = ("ms-swift", "oat", "Tunix", "stateset-agents", "ART", "forge-rl")
_TOKEN_LOSS = (
    "TRL",
    "verl",
    "OpenRLHF",
    "AReaL",
    "SkyRL",
    "Trinity-RFT",
    "RLinf",
    "torchrl",
    "retrain",
)
_EFFICIENCIES = ("efficiency_hard", "efficiency_medium", "efficiency_easy")


def _numbers(rows: pd.DataFrame) -> pd.DataFrame:
    """What the packages' own code gives: a row for each ``number`` of each ``group``, and its ``place``."""
    lines = []
    for row in rows[rows.numbers.notna()].itertuples():
        for group, text in json.loads(str(row.numbers)).items():
            for place, number in enumerate(_spelled_out(text)):
                lines.append((row.framework, row.rule, row.equals, group, place, number))
    return pd.DataFrame(lines, columns=["framework", "rule", "equals", "group", "place", "number"])


def _spelled_out(text: str) -> list[float]:
    """``"1.5, -0.5 (x3)"`` as four numbers; none of a text that is no list of them."""
    found: list[float] = []
    for value, times in re.findall(r"(nan|-?\d[\d.]*(?:e-?\d+)?)(?: \(x(\d+)\))?", text):
        found += [float(value)] * int(times or 1)
    return found


def _lost(rows: pd.DataFrame) -> pd.DataFrame:
    """Rules that were run, and whether every rollout of a group with a ``missing`` reward gets NaN."""
    run = rows[rows.numbers.notna()]
    missing = run.numbers.map(lambda text: json.loads(text)["missing"])
    return run.assign(missing=missing == "nan (x4)")


def _lengths(rows: pd.DataFrame) -> pd.DataFrame:
    """The ``sum`` of the advantages of the group on which a rule differs where lengths do."""
    differs = rows.differs.fillna("").astype(str)
    told = rows.assign(differs=differs)[differs.str.contains("where lengths differ")]
    got = told.differs.str.extract(r"tokens get \[([^\]]*)\]", expand=False)
    return told.assign(sum=got.map(lambda text: sum(map(float, text.split(",")))))


def _flat(says: str, where: str) -> Reading:
    """What each of eight rewards of 0.7 gets."""
    return _frameworks(says=says, where=f"group == 'eight 0.7' and {where}", of="number", through=_numbers)


def _at(
    says: str, where: str, *of: str, take: Take | tuple[Take, ...] = "one", drawn: bool = False
) -> Reading:
    """What the audit says at n = 8."""
    return _frameworks(says=says, where=f"n == 8 and {where}", of=of, take=take, drawn=drawn)


_TRL_BATCH = "equals.str.startswith('trl-batch')"
_PLAIN = (
    "equals in ('prpo', 'verl-reinforce-plus-plus', 'openrlhf-reinforce', 'areal-norm', "
    "'whitened:scale=std0,mean=1,floor=1e-8:reinforce')"
)
_WITH_BASELINE = (
    "equals in ('verl-reinforce-plus-plus-baseline', 'openrlhf-reinforce-baseline', "
    "'ms-swift-reinforce-plus-plus', 'areal-norm:mean=group', 'rllm-reinforce-plus-plus-baseline')"
)
_GDPO = "equals.str.startswith('gdpo-single-reward')"

CLAIMS = (
    finding(
        "frameworks",
        "recognised",
        "Every rule that was run is one of the catalogue.",
        _frameworks(
            says="the audit recognises {80} of",
            where=f"{_RUN} and nearest.str.startswith('= ')",
            of="n",
            take="rows",
        ),
        _frameworks(says="of the {82} by itself", where=_RUN, of="n", take="rows"),
    ),
    finding(
        "frameworks",
        "deviations",
        "Division by the group's deviation turns the gradient on graded rewards, and weighs by difficulty on 0/1.",
        _frameworks(
            says="framework by {0.24} rad where success is rare",
            where=_DEVIATION,
            of="direction_error",
            take="mean",
        ),
        _at("`grpo_passk` by {0.06}", "equals == 'verl-grpo-passk'", "direction_error", take="max"),
        Reading(
            says="solved at p = 0.01 by {2.44}, one at 0.5 by {1.74}",
            study="unbiasedness",
            where="specimen == 'bandit, many correct' and estimator == 'grpo' and n == 8 and k == 1",
            at=each("success", 0.01, 0.5),
            of="scale",
        ),
        _at("(1 - K/n)/n = {0.0625} for rLLM's", "equals == 'pkpo-mean-centered' and k == 4", "scale"),
    ),
    finding(
        "frameworks",
        "equal-rewards",
        "A group of equal rewards is not flat in float32 where an epsilon divides what the mean rounded.",
        _flat("Eight rewards of 0.7 get {0.92} each in OpenRLHF", "equals == 'grpo:eps=1e-9'"),
        _flat("{0.81} in oat and forge-rl", "equals == 'grpo:eps=1e-8'"),
        _flat(
            "{-0.81} in ms-swift's `gdpo`", "framework == 'ms-swift' and rule == 'grpo, scale_rewards=gdpo'"
        ),
        _flat("{0.86} in stateset-agents' `batch_norm`", "rule == 'batch_norm'"),
        _flat(
            "{0.056} in verl, SkyRL, Trinity-RFT and RLinf",
            "equals == 'grpo' and framework in ('verl', 'SkyRL', 'Trinity-RFT', 'RLinf')",
        ),
        _flat("{0.060} in torchrl", "framework == 'torchrl'"),
        _frameworks(
            says="{0.0006} in TRL and ms-swift",
            where="group == 'eight 0.7' and equals == 'grpo:eps=1e-4'",
            of="number",
            take="max",
            through=_numbers,
        ),
        _at(
            "eight of 0.8 reach its clip, {10} each (|sum A| = {80})",
            "equals == 'grpo:eps=1e-9'",
            "worst_sum / n",
            "worst_sum",
        ),
        figure="edges",
    ),
    finding(
        "frameworks",
        "missing-and-clips",
        "A missing reward makes NaN of most groups, and clips end what is linear.",
        _frameworks(
            says="of the whole group in {59} of the",
            where="missing",
            of="n",
            take="rows",
            through=_lost,
        ),
        _frameworks(says="of the {82} rules. TRL", where=_RUN, of="n", take="rows"),
        _frameworks(
            says="clips advantages at {10} (of rewards 100, 0, 0, 0 `rloo` makes {10}, {-10}, {-10}, {-10})",
            where="framework == 'OpenRLHF' and rule == 'rloo' and group == '100,0,0,0'",
            at=("place == 0", *each("place", 0, 1, 2, 3)),
            of="number",
            through=_numbers,
        ),
        _frameworks(
            says="AReaL rewards at {20}",
            where="framework == 'AReaL' and rule == 'reward_norm=None' and group == '100,0,0,0'",
            of="number",
            take="max",
            through=_numbers,
        ),
        _at(
            "keep their law up to a factor of {10} and no further",
            "(framework == 'OpenRLHF' and rule in ('rloo', 'dr_grpo') or framework == 'AReaL') "
            "and law_up_to == law_up_to",
            "law_up_to",
        ),
        figure="edges",
    ),
    finding(
        "frameworks",
        "batches",
        "Rules of a batch are biased through the batch, mostly at order 1/P.",
        _at(
            "stateset-agents) {0.056} to {0.065}, {0.013} to {0.016}",
            "equals.str.startswith('trl-batch')",
            "through_8",
            "through_32",
            take=("min", "max"),
        ),
        _at("0.016, {1.9}; verl's", "equals.str.startswith('trl-batch')", "at_large_p", take="mean"),
        _at(
            "verl's `gpg` {0.35}, {0.077}, {2.85}",
            "equals == 'verl-gpg'",
            "through_8",
            "through_32",
            "at_large_p",
        ),
        _at(
            "AReaL, rLLM) {0.044} to {0.063}, {0.010} to {0.015}",
            _WITH_BASELINE,
            "through_8",
            "through_32",
            take=("min", "max"),
        ),
        _at("0.015, {2.6}; without", _WITH_BASELINE, "at_large_p", take="mean"),
        _at("AReaL, rLLM) {0.06}, 0.014", _PLAIN, "through_8", take="mean"),
        _at("{0.014} to {0.015}, 2.17", _PLAIN, "through_32", take=("min", "max")),
        _at("{2.17}; OpenRLHF's `flash_reinforce`", _PLAIN, "at_large_p", take="mean"),
        _at(
            "ART as packed {0.03} or, without the std, {0.07}",
            "framework == 'ART' and rule.str.startswith('packed')",
            "through_8",
            take=("min", "max"),
            drawn=True,
        ),
        _at(
            "0.07, and {2.4} or {2.5}. `gpg`",
            "framework == 'ART' and rule.str.startswith('packed')",
            "at_large_p",
            take=("min", "max"),
            drawn=True,
        ),
        _at("turns the gradient by {0.10} rad at P = 8", "equals == 'verl-gpg'", "angle_8"),
        _at("ms-swift) by {0.04} at any P", _GDPO, "angle_8", take="mean"),
        _at("weighs prompts by difficulty ({2.4} to 3.2)", _GDPO, "weight_least", take="min", drawn=True),
        _at("difficulty (2.4 to {3.2})", _GDPO, "weight_most", take="max", drawn=True),
        _at(
            "MaxPO whitened over the batch: {0.067}, {0.009}, {1.45}",
            "equals == 'whitened:maxpo'",
            "through_8",
            "through_32",
            "at_large_p",
        ),
        _at("JSPO++ is not ({0.011})", "equals == 'jspo-plus-plus'", "through_8"),
        figure="batches",
    ),
    finding(
        "frameworks",
        "losses",
        "The default loss matters more than the rule where lengths differ.",
        _at(
            "the expected update by {0.32} rad where short",
            f"framework in {_MEAN_LOSS}",
            "loss_angle",
        ),
        _at(
            "by {0.003} to {0.007}, and by",
            f"origin == 'package' and framework in {_TOKEN_LOSS}",
            "loss_angle",
            take=("min", "max"),
        ),
        _at(
            "by {0.05} where rollouts lie 0.01 nats behind",
            f"origin == 'package' and framework in {_TOKEN_LOSS}",
            "loss_angle_lagged",
            take="mean",
        ),
        figure="batches",
    ),
    finding(
        "frameworks",
        "noise",
        "Rules that are not centered pay for it, those that leave two out where success is frequent.",
        _at(
            "and {0.30} of the floor at p = 0.7",
            "framework == 'AReaL' and equals == 'reinforce'",
            "efficiency_easy",
        ),
        _at("(|sum A| up to {7.6} and", "equals == 'nemo-grpo'", "worst_sum"),
        _at("7.6 and {8})", "equals == 'maxrl-keep-failures'", "worst_sum"),
        _frameworks(
            says="{0.57} and {0.59} of the floor at p = 0.02",
            where="n == 8",
            at=each("equals", "nemo-grpo", "maxrl-keep-failures"),
            of="efficiency_hard",
        ),
        _at(
            "centered rules for the mean reward have {0.85} to {0.88}",
            "target == 'mean' and centered == 'yes'",
            "efficiency_hard",
            take=("min", "max"),
        ),
        _at("Trinity-RFT's `asymre` ({0.55})", "equals == 'asymre'", "efficiency_hard"),
        _at(
            "MaxPO has {0.87}, {0.83} and {0.71} of the floor at p = 0.02, 0.2 and 0.7",
            "equals == 'maxpo'",
            *_EFFICIENCIES,
        ),
        _at("recommended rule {0.98}, {0.80} and {0.31}", "equals == 'pkpo-loo1'", *_EFFICIENCIES),
        figure="as_coded",
    ),
    finding(
        "frameworks",
        "defects",
        "A defect is caught on sight, and what depends on lengths is told from what does not.",
        _at(
            "every other {100,000}, and on graded rewards the direction is off by more than a right angle "
            "({2.17} rad)",
            "equals == 'easyr1-issue-585'",
            "flat_largest",
            "direction_error",
        ),
        _frameworks(
            says="the advantages sum to {0.09}",
            where="framework == 'verl' and rule == 'opo'",
            of="sum",
            through=_lengths,
        ),
        figure="as_coded",
    ),
)
