"""What the study of loops found: what clipping, lag, lengths, filters, duplicates and verifiers leave of a rule."""

from __future__ import annotations

from functools import partial

from ..claim import Reading, each, finding
from ..runs import AREA, against

TITLE = "What a loop makes of a rule"

_loops = partial(Reading, study="loops", of="angle")
_LAG = "part == 'lag' and success == 0.2"
_PPO = f"{_LAG} and loss == 'ppo'"
_LENGTH = "part == 'length' and success == 0.2"
_DEFAULT = "part == 'default' and rule == 'maxpo'"
_OFF = "part == 'off-policy' and rule == 'off-policy max@k'"
_OFF_MAXPO = "part == 'off-policy' and rule == 'maxpo'"
_BITES = "x == 0.0126"


def _trained(loop: str, numbers: str) -> Reading:
    """A line of the table of loops: area less MaxPO's on-policy, and the smallest that would have been seen."""
    given = numbers.split()
    cells = [
        f"{{{a}}} [{{{b}}}, {{{c}}}] ({{{d}}})"
        for a, b, c, d in zip(given[::4], given[1::4], given[2::4], given[3::4], strict=True)
    ]
    return Reading(
        study="learning",
        drawn=True,
        says=f"| {loop} | {' | '.join(cells)} |",
        through=against("loops"),
        where=f"loop == {loop!r}",
        at=tuple(
            f"specimen == {specimen!r} and rule == {rule!r}"
            for specimen in ("chain", "maze, graded")
            for rule in ("maxpo", "grpo")
        ),
        of=AREA,
    )


CLAIMS = (
    finding(
        "loops",
        "lag",
        "Lag costs nothing until the clip bites, and then nearly everything.",
        _loops(
            says="PPO's clip of 0.2 leaves every rule within {0.041} rad of the gradient",
            where=f"{_PPO} and x < 0.007",
            take="max",
        ),
        _loops(
            says="maxpo and every other centered rule are {0.84} rad off at {0.44} of the length",
            where=f"{_PPO} and {_BITES} and rule in ('maxpo', 'centered-replay')",
            of=("angle", "scale"),
        ),
        _loops(
            says="which only pays successes, {1.15} rad at {0.28}",
            where=f"{_PPO} and {_BITES} and rule == 'pkpo-loo1'",
            of=("angle", "scale"),
        ),
        _loops(says="points backwards ({2.17} rad)", where=f"{_PPO} and {_BITES} and rule == 'pkpo-s'"),
        _loops(
            says="CISPO loses nobody: {0.15} rad at KL 0.1",
            where=f"{_LAG} and loss == 'cispo:over=sequence-sum' and x == 0.1 and rule == 'maxpo'",
        ),
        _loops(
            says="to ignore the lag altogether costs {0.30}",
            where=f"{_LAG} and loss == 'identity' and x == 0.1 and rule == 'maxpo'",
        ),
        _loops(
            says="clipped at KL 1e-4 already ({2.0} rad)",
            where=f"{_LAG} and loss == 'gspo' and x == 0.0001 and rule == 'maxpo'",
        ),
    ),
    finding(
        "loops",
        "lengths",
        "A mean over the tokens of each rollout turns the update, a mean over a batch's hardly.",
        _loops(
            says="turns maxpo by {0.22} to {0.34} rad**, whichever",
            where=f"{_LENGTH} and rule == 'maxpo' and loss == 'sequence-mean'",
            take=("min", "max"),
        ),
        _loops(
            says="takes {42}% of its length",
            where=f"{_DEFAULT} and loss == 'trl:grpo' and x == 0",
            of="1 - scale",
        ),
        _loops(
            says="one mean over the group {0.03} to {0.04}",
            where=f"{_LENGTH} and rule == 'maxpo' and loss == 'group-token-mean'",
            take=("min", "max"),
        ),
        _loops(
            says="over a batch of 8 prompts {0.004} to {0.005}",
            where=f"{_LENGTH} and rule == 'maxpo' and loss == 'token-mean'",
            take=("min", "max"),
        ),
        _loops(says="`pkpo-s` is up to {2.4} rad off", where=f"{_LENGTH} and rule == 'pkpo-s'", take="max"),
    ),
    finding(
        "loops",
        "filters",
        "Dropping dead groups leaves rules that are 0 there alone; redrawing turns a batch.",
        _loops(
            says="`replay` loses up to {5}% of a prompt's weight",
            where="part == 'weight' and setting == 'drop dead groups' and rule == 'replay'",
            of="1 - scale",
            take="max",
        ),
        _loops(
            says="weight ({0.012} rad of a batch)",
            where="part == 'batch' and setting == 'drop dead groups' and rule == 'replay'",
        ),
        _loops(
            says="turns round from p = {0.66} on",
            where="part == 'weight' and setting == 'drop dead groups' and rule == 'pkpo-s' and scale < 0",
            of="success",
            take="min",
        ),
        _loops(
            says="turns a batch by {0.85} rad for pass@4 and {0.60} for RLOO",
            where="part == 'batch' and setting == 'redraw dead groups'",
            at=each("rule", "maxpo", "rloo"),
        ),
        _loops(
            says="weights {125} times what they were at p = 0.001",
            where="part == 'weight' and setting == 'redraw dead groups' and rule == 'maxpo'",
            of="scale",
            take="max",
        ),
        figure="weights",
    ),
    finding(
        "loops",
        "duplicates-and-verifiers",
        "Duplicates weigh solved prompts up; false positives cost length and no direction.",
        _loops(
            says="turns maxpo's batch by {0.04} rad, three in ten by {0.15}",
            where="part == 'batch' and rule == 'maxpo'",
            at=each("setting", "10% duplicates", "30% duplicates"),
        ),
        _loops(
            says="{4}% at 1%, {19}% at 5% (K = 4)",
            where="part == 'batch' and rule == 'maxpo'",
            at=each("setting", "1% false positives", "5% false positives"),
            of="1 - scale",
        ),
        _loops(
            says="10% of false negatives weigh solved prompts up, {0.065} rad",
            where="part == 'batch' and rule == 'maxpo' and setting == '10% false negatives'",
        ),
        figure="weights",
    ),
    finding(
        "loops",
        "defaults",
        "The defaults of TRL and verl differ in direction and by orders of magnitude in length.",
        _loops(
            says="direction kept ({0.005} rad fresh, {0.05} at KL 0.01)",
            where=f"{_DEFAULT} and loss == 'trl:dapo'",
            at=each("x", 0.0, 0.01),
        ),
        _loops(
            says="{0.3} rad off on fresh rollouts already",
            where=(
                f"{_DEFAULT} and x == 0 and loss in "
                "('trl:grpo', 'verl:seq-mean-token-mean', 'trl:sapo', 'verl:sapo', 'verl:geo_mean')"
            ),
        ),
        _loops(
            says="steps from {0.002} to {64} times the gradient",
            where=(
                f"{_DEFAULT} and x == 0 and loss in "
                "('trl:dr_grpo', 'trl:luspo', 'verl:seq-mean-token-sum', 'verl:token-sum')"
            ),
            of="scale",
            take=("min", "max"),
        ),
        _loops(
            says="clips whole rollouts: {0.85} rad, `pkpo-loo1` {1.45}",
            where="part == 'default' and loss == 'trl:rloo' and x > 0",
            at=each("rule", "maxpo", "pkpo-loo1"),
        ),
    ),
    finding(
        "loops",
        "off-policy",
        "Off-policy max@K is unbiased at the new policy at every lag, and dear where it is large.",
        _loops(
            says="unbiased at the new policy at every lag, to rounding ({4e-16})",
            where=f"{_OFF} and loss == 'off-policy'",
            take="max",
            relation="<=",
        ),
        _loops(
            says="its noise is {1.66} fresh, {2.0} at KL 0.013, {3.4} at 0.05, {8.6} at 0.1",
            where=f"{_OFF} and loss == 'off-policy' and success == 0.2",
            at=each("x", 0.0001, 0.0126, 0.0501, 0.1),
            of="noise",
        ),
        _loops(
            says="(p = 0.2; {4.6}, {5.1}, {6.6}, {9.6} at p = 0.05)",
            where=f"{_OFF} and loss == 'off-policy' and success == 0.05",
            at=each("x", 0.0001, 0.0126, 0.0501, 0.1),
            of="noise",
        ),
        _loops(
            says="only climbs {1.26}, {1.66} and {2.2} times too far",
            where=f"{_OFF_MAXPO} and loss == 'off-policy' and success == 0.2",
            at=each("x", 0.0126, 0.0501, 0.1),
            of="scale",
        ),
        _loops(
            says="at noise {1.8} to {2.2}",
            where=f"{_OFF_MAXPO} and loss == 'off-policy' and success == 0.2 and x > 0.0125",
            of="noise",
            take=("min", "max"),
        ),
        _loops(
            says="{0.36} rad at KL 0.025, where maxpo is {0.22} off",
            where="part == 'off-policy' and loss == 'ppo' and success == 0.2 and x == 0.0251",
            at=each("rule", "off-policy max@k", "maxpo"),
        ),
        figure="off_policy",
    ),
    finding(
        "learning",
        "loops",
        "By rollouts, loops of trainers change nothing on the chain; on the maze a lag and whitening cost MaxPO area.",
        _trained(
            "clip, 4 epochs",
            "0.001 -0.017 0.019 0.026 -0.013 -0.036 0.010 0.033 "
            "-0.042 -0.103 0.019 0.087 -0.328 -0.388 -0.268 0.086",
        ),
        _trained(
            "clip, lag 4",
            "0.007 -0.013 0.028 0.029 -0.039 -0.064 -0.013 0.036 "
            "-0.253 -0.319 -0.186 0.095 -0.434 -0.493 -0.375 0.084",
        ),
        _trained(
            "redraw",
            "0.007 -0.025 0.040 0.046 -0.004 -0.037 0.029 0.048 "
            "-0.014 -0.086 0.058 0.103 -0.411 -0.483 -0.338 0.103",
        ),
        _trained(
            "whitened",
            "0.005 -0.013 0.023 0.025 -0.007 -0.033 0.019 0.037 "
            "-0.194 -0.251 -0.137 0.081 -0.333 -0.391 -0.275 0.083",
        ),
        _trained(
            "DAPO",
            "0.000 -0.031 0.032 0.045 -0.014 -0.051 0.024 0.054 "
            "-0.027 -0.092 0.037 0.092 -0.294 -0.356 -0.232 0.088",
        ),
        Reading(
            study="learning",
            drawn=True,
            says="GRPO on-policy less MaxPO is {-0.018} [{-0.044}, {0.007}] on the chain, where {0.036} would have been seen",
            through=against("loops", "grpo"),
            where="loop == 'on-policy' and rule == 'grpo' and specimen == 'chain'",
            of=AREA,
        ),
        Reading(
            study="learning",
            drawn=True,
            says="and {-0.344} [{-0.405}, {-0.283}] on the maze",
            through=against("loops", "grpo"),
            where="loop == 'on-policy' and rule == 'grpo' and specimen == 'maze, graded'",
            of=AREA[:3],
        ),
        Reading(
            study="learning",
            drawn=True,
            says="no loop of MaxPO is apart from on-policy, and {0.046} would have been seen of each",
            through=against("loops", "maxpo"),
            where="specimen == 'chain'",
            of="area_smallest",
            take="max",
        ),
        Reading(
            study="learning",
            drawn=True,
            says="are not apart, where {0.103} would have been seen",
            through=against("loops", "maxpo"),
            where="specimen == 'maze, graded' and loop in ('clip, 4 epochs', 'redraw', 'DAPO')",
            of="area_smallest",
            take="max",
        ),
        figure="loops",
    ),
)
