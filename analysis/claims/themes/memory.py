"""What the study of history found: what earlier rewards of a prompt are worth in the baseline."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ..claim import Reading, each, finding, near

TITLE = "Earlier rewards of a prompt"

_history = partial(Reading, study="history", of="efficiency")
_memory = partial(Reading, study="history", of="efficiency", drawn=True)
_MANY = "part == 'curve' and space == '100 of 1,000'"
_ONE = "part == 'curve' and space == '1 of 10' and n == 16 and k == 4"
_RANGE = f"{_MANY} and 0.001 <= success <= 0.9"
_REPLAY = f"{_RANGE} and rule == 'replay'"
_FAIR = f"{_REPLAY} and history == 'fair'"
_BATCH = "part == 'batch' and n == 8 and k == 4 and m == 32 and prompts == 32"
_PATH = "part == 'path' and n == 8 and k == 4"
_MEMORY = "part == 'memory' and space == '100 of 1,000'"


def _against_none(rows: pd.DataFrame) -> pd.DataFrame:
    """Each batch: a learned lambda over the rule without history, and over the fixed lambda."""
    batch = rows[rows.part == "batch"]
    keys = ["n", "k", "m", "history", "prompts"]
    wide = batch.pivot_table(index=keys, columns="rule", values="efficiency")
    wide = wide.reindex(columns=["maxpo", "pkpo-loo1", "replay", "moving average", "leave-one-out"])
    none = wide["maxpo"].fillna(wide["pkpo-loo1"])
    return pd.DataFrame(
        {
            "above": wide["moving average"] / none - 1,
            "short": 1 - wide["moving average"] / wide["replay"],
            "alone": 1 - wide["leave-one-out"] / wide["replay"],
            "below": 1 - wide["leave-one-out"] / none,
        }
    ).reset_index()


_lambda = partial(Reading, study="history", through=_against_none)

CLAIMS = (
    finding(
        "history",
        "fair",
        "Fair history nearly closes the gap to the floor, at every K, K = n included.",
        _history(
            says="n = 8, K = 4: MaxPO {0.614}",
            where=f"{_RANGE} and n == 8 and k == 4 and rule == 'maxpo'",
            take="min",
        ),
        _history(
            says="replay {0.893} (m = n), {0.971} (4n), {0.992} (16n)",
            where=f"{_FAIR} and n == 8 and k == 4",
            at=each("m", 8, 32, 128),
            take="min",
        ),
        _history(
            says="n = 16, K = 8: {0.661}, then",
            where=f"{_RANGE} and n == 16 and k == 8 and rule == 'maxpo'",
            take="min",
        ),
        _history(
            says="then {0.929}, {0.985}, {0.996}",
            where=f"{_FAIR} and n == 16 and k == 8",
            at=each("m", 16, 64, 256),
            take="min",
        ),
        _history(
            says="`pkpo-loo1` {0.114}, then",
            where=f"{_RANGE} and n == 16 and k == 16 and rule == 'pkpo-loo1'",
            take="min",
        ),
        _history(
            says="then {0.941}, {0.983}, {0.994}",
            where=f"{_FAIR} and n == 16 and k == 16",
            at=each("m", 16, 64, 256),
            take="min",
        ),
    ),
    finding(
        "history",
        "centered",
        "centered-replay is centered at K = n too, and unbiased only on average over fair histories.",
        _history(
            says="(efficiency {1.06} at p = 0.9, n = 16, K = 4, m = 16; {6.7} at K = 16)",
            where=f"{_MANY} and rule == 'centered-replay' and history == 'fair' and n == 16 and m == 16 and success == 0.9",
            at=each("k", 4, 16),
        ),
        _history(
            says="its scale at p = 0.5 is {1.06} (K = 4) and {1.30} (K = 16)",
            where=f"{_MANY} and rule == 'centered-replay' and history == 'x 0.7' and n == 16 and success == 0.5",
            at=each("k", 4, 16),
            of="scale",
        ),
    ),
    finding(
        "history",
        "stale",
        "A fixed lambda is as good as the history; a learned one takes what is there.",
        _history(
            says="falls from {0.986} to {0.62} (x 0.7), {0.60} (x 2) and {0.001} (1 - p)",
            where=f"{_REPLAY} and n == 16 and k == 4 and m == 64",
            at=each("history", "fair", "x 0.7", "x 2", "1 - p"),
            take="min",
        ),
        _history(
            says="K = 4, m = 32, MaxPO {0.847}", where=f"{_BATCH} and rule == 'maxpo' and history == 'fair'"
        ),
        _history(
            says="moving average {0.973} (fair), {0.964}, {0.936}, {0.853} (1 - p)",
            where=f"{_BATCH} and rule == 'moving average'",
            at=each("history", "fair", "x 0.7", "x 2", "1 - p"),
            error="error",
        ),
        _history(
            says="the fixed one has {0.974}, {0.964}, {0.855}, {0.044}",
            where=f"{_BATCH} and rule == 'replay'",
            at=each("history", "fair", "x 0.7", "x 2", "1 - p"),
        ),
        _lambda(says="In all {80} cells", of="above", take="rows"),
        _lambda(
            says="at least {0.17}% above the rule without history",
            of="above",
            take="min",
        ),
        _lambda(
            says="within {0.14}% of the fixed lambda where history is fair",
            where="history == 'fair'",
            of="short",
            take="max",
        ),
        _lambda(
            says="At 32 it is within {1.2}% of the fixed lambda for K < n",
            where="history == 'fair' and prompts == 32 and k < n",
            of="alone",
            take="max",
        ),
        _lambda(
            says="at 8 it loses up to {4.0}%",
            where="history == 'fair' and prompts == 8 and k < n",
            of="alone",
            take="max",
        ),
        _history(
            says="m = 32: {0.934}; standard error {0.0012}",
            where="part == 'batch' and n == 8 and k == 4 and m == 32 and prompts == 8 and rule == 'leave-one-out' and history == 'fair'",
            of=("efficiency", "error"),
            error="error",
        ),
        _lambda(
            says="against a history of 1 - p it is up to {0.7}% below MaxPO",
            where="history == '1 - p' and prompts == 8 and k < n",
            of="below",
            take="max",
        ),
        _lambda(
            says="At K = n = 8 and 8 prompts it is up to {4.2}% below `pkpo-loo1`",
            where="n == 8 and k == 8 and prompts == 8",
            of="below",
            take="max",
        ),
        figure="stale",
    ),
    finding(
        "history",
        "one-right",
        "Where one answer is right plug-in-floor is the rule.",
        _history(
            says="replay has {0.20} at p = 0.5",
            where=f"{_ONE} and success == 0.5 and rule == 'replay' and history == 'fair' and m == 16",
        ),
        _history(
            says="`plug-in-floor` has {0.972}, {0.985}, {0.988} for m = n, 4n, 16n",
            where=f"{_ONE} and success == 0.5 and rule == 'plug-in-floor' and history == 'fair'",
            at=each("m", 16, 64, 256),
        ),
        _history(says="16n, `pkpo-loo1` {0.607}", where=f"{_ONE} and success == 0.5 and rule == 'pkpo-loo1'"),
        _history(
            says="needs a long and fair history: {0.33}, {0.73}, {0.92}",
            where=f"{_ONE} and success == 0.9 and rule == 'plug-in-floor' and history == 'fair'",
            at=each("m", 16, 64, 256),
        ),
        _history(
            says="and {0.03} with rates of 0.7 p",
            where=f"{_ONE} and success == 0.9 and rule == 'plug-in-floor' and history == 'x 0.7' and m == 256",
        ),
        _history(
            says="where `pkpo-loo1` has {0.38}", where=f"{_ONE} and success == 0.9 and rule == 'pkpo-loo1'"
        ),
        figure="one",
    ),
    finding(
        "history",
        "path",
        "On a path of training replay helps as long as answers stay alike.",
        _history(
            says="mean efficiency {0.94} over 32 visits",
            where=f"{_PATH} and space == '100 of 1,000, alike' and visits == 32 and rule == 'replay' and history == 'last 4 visits'",
            take="mean",
        ),
        _history(
            says="(last 4 of them; MaxPO {0.79})",
            where=f"{_PATH} and space == '100 of 1,000, alike' and visits == 32 and rule == 'maxpo'",
            take="mean",
        ),
        _history(
            says="{0.97} over 128, but {0.72}, less than MaxPO",
            where=f"{_PATH} and space == '100 of 1,000, alike' and rule == 'replay' and history == 'last 4 visits'",
            at=each("visits", 128, 8),
            take="mean",
        ),
        _history(
            says="`pkpo-loo1` {0.88} and `plug-in-floor` {0.86} beat replay, {0.72}, and MaxPO, {0.62}",
            where=f"{_PATH} and space == 'bandit, many correct' and visits == 32 and history in ('none', 'last 4 visits')",
            at=each("rule", "pkpo-loo1", "plug-in-floor", "replay", "maxpo"),
            take="mean",
        ),
        _history(
            says="on the lock `pkpo-loo1` {0.88} beats all",
            where=f"{_PATH} and space == 'lock' and visits == 32 and rule == 'pkpo-loo1'",
            take="mean",
        ),
        figure="path",
    ),
    finding(
        "history",
        "rules-of-others",
        "Of the rules of others that remember, RAE and unwhitened SPO alone are unbiased.",
        _memory(
            says="to {3e-14} after any of the histories",
            where="part == 'memory' and rule in ('rae', 'spo:whiten=0')",
            of="bias",
            take="max",
            relation="<=",
        ),
        _memory(
            says="has {0.92} of its floor on average",
            where=f"{_MEMORY} and rule == 'spo:whiten=0' and history == 'fair' and prompts == 8",
            take="mean",
        ),
        _memory(
            says="where RLOO has {0.875} of that of 8",
            where=f"{_MEMORY} and rule == 'rloo' and history == 'fair'",
            take="mean",
        ),
        _memory(
            says="after 1 - p it has {0.01} at p = 0.01",
            where=f"{_MEMORY} and rule == 'spo:whiten=0' and history == '1 - p' and prompts == 8",
            at=near("success", 0.01),
        ),
        _memory(
            says="visits: {0.37} at p = 0.9",
            where=f"{_MEMORY} and rule == 'rae' and history == 'fair' and n == 8",
            at=near("success", 0.9),
        ),
        _memory(
            says="by {0.12} rad at 8 prompts and {0.03} at 32 (fair)",
            where=f"{_MEMORY} and rule == 'spo' and history == 'fair'",
            at=each("prompts", 8, 32),
            of="angle",
        ),
        _memory(
            says="multiplies it by {1.8} to {3.0}, and",
            where=f"{_MEMORY} and rule == 'spo' and history == 'fair' and prompts == 8",
            of="scale",
            take=("min", "max"),
        ),
        _memory(
            says="with weights from {5.0} (p = 0.01) to {2.0} (p = 0.5)",
            where=f"{_MEMORY} and rule == 'dbb' and history == 'fair'",
            of="scale",
            take=("max", "min"),
        ),
        _memory(
            says="GRPO's being {2.4} to {1.7}",
            where=f"{_MEMORY} and rule == 'grpo' and history == 'fair'",
            of="scale",
            take=("max", "min"),
        ),
        _memory(
            says="its noise is up to {58} times the floor's",
            where="part == 'memory' and rule == 'dbb' and history == '1 - p'",
            of="1 / efficiency",
            take="max",
        ),
        _memory(
            says="a weight of {0.84} at p = 0.01 and {0.07} at 0.9",
            where=f"{_MEMORY} and rule == 'curverl' and history == 'fair'",
            of="scale",
            take=("max", "min"),
        ),
        _memory(
            says="{4.1} at p = 0.01, {2.7} at 0.5, {5.5} at 0.9",
            where=f"{_MEMORY} and rule == 'ha-dw' and history == 'fair'",
            at=near("success", 0.01, 0.5, 0.9, within=0.1),
            of="scale",
        ),
        _memory(
            says="on average {0.58} of the floor at 8 prompts, {0.81} at 32, against 0.92",
            where=f"{_MEMORY} and rule == 'spo' and history == 'fair'",
            at=each("prompts", 8, 32),
            take="mean",
        ),
        _memory(
            says="a history of 1 - p it is {0.47} rad off",
            where=f"{_MEMORY} and rule == 'spo' and history == '1 - p' and prompts == 2",
            of="angle",
        ),
        _memory(
            says="{0.96} of the floor on every prompt after a fair history",
            where=f"{_MEMORY} and rule == 'dbb' and history == 'fair'",
            take="min",
        ),
        _memory(
            says="{0.20} rad off, GRPO's being",
            where=f"{_MEMORY} and rule == 'dbb' and history == 'fair'",
            of="angle",
        ),
        _memory(
            says="and {0.09}. After 1 - p",
            where=f"{_MEMORY} and rule == 'grpo' and history == 'fair'",
            of="angle",
        ),
        _memory(
            says="turns most**, {0.55} rad",
            where=f"{_MEMORY} and rule == 'curverl' and history == 'fair'",
            of="angle",
        ),
        _memory(
            says="5.5 at 0.9, {0.23} rad",
            where=f"{_MEMORY} and rule == 'ha-dw' and history == 'fair'",
            of="angle",
        ),
        _memory(
            says="keeps the direction ({0.02} rad)",
            where=f"{_MEMORY} and rule == 'ebpo' and history == 'fair'",
            of="angle",
        ),
        _memory(
            says="at {2.8} to {3.0} times the scale",
            where=f"{_MEMORY} and rule == 'ebpo' and history == 'fair'",
            of="scale",
            take=("min", "max"),
        ),
        _memory(
            says="noisier than RLOO on hard prompts, {0.73}",
            where=f"{_MEMORY} and rule == 'ebpo' and history == 'fair'",
            take="min",
        ),
        figure="memory",
    ),
)
