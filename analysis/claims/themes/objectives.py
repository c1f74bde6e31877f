"""What the studies of other objectives found: beyond-n and several-rewards."""

from __future__ import annotations

from functools import partial

from ..claim import Reading, each, finding

TITLE = "More than n, and more than one reward"

_beyond = partial(Reading, study="beyond-n")
_AT_16 = "part == 'batch' and n == 16"
_AT_8 = "part == 'batch' and n == 8"
_PROMPT = "part == 'prompt' and n == 16"

_BEYOND_N = (
    finding(
        "beyond-n",
        "chebyshev",
        "The Chebyshev rule has next to no bias up to 2n and pays in noise.",
        _beyond(
            says="{5e-7} of the batch gradient at K = 20, {2e-5} at 24, {6e-4} at 32",
            where=f"{_AT_16} and rule == 'chebyshev'",
            at=each("k", 20, 24, 32),
            of="bias",
        ),
        _beyond(
            says="and {1.4}, {2.5} and {81} times the noise of a group of K",
            where=f"{_AT_16} and rule == 'chebyshev'",
            at=each("k", 20, 24, 32),
            of="noise",
        ),
        _beyond(
            says="at K = 32 it is {1.4} at p = 0.01 and {44} at p = 0.1",
            where=f"{_PROMPT} and rule == 'chebyshev' and k == 32",
            at=each("success", 0.01, 0.1),
            of="noise",
        ),
        _beyond(
            says="n = 8 is kinder to noise ({9} at K = 2n) and harder on bias ({2.7}%)",
            where=f"{_AT_8} and rule == 'chebyshev' and k == 16",
            of=("noise", "bias"),
        ),
        _beyond(
            says="| K up to 1.25 n | `chebyshev` | below {0.1}% | 1.4 |",
            where="part == 'batch' and rule == 'chebyshev' and k <= 1.25 * n",
            of="bias",
            take="max",
            relation="<",
        ),
        _beyond(
            says="| below 0.1% | {1.4} |",
            where="part == 'batch' and rule == 'chebyshev' and k == 1.25 * n",
            of="noise",
            take="mean",
        ),
        _beyond(
            says="| below {0.4}% |",
            where="part == 'batch' and rule == 'chebyshev' and k <= 1.5 * n",
            of="bias",
            take="max",
            relation="<",
        ),
        _beyond(
            says="| below 0.4% | {2.4} |",
            where="part == 'batch' and rule == 'chebyshev' and k == 1.5 * n",
            of="noise",
            take="mean",
        ),
        _beyond(
            says="(p below 0.01: noise {1.4})",
            where=f"{_PROMPT} and rule == 'chebyshev' and k == 32 and success == 0.01",
            of="noise",
        ),
        _beyond(
            says="| below {3}% |",
            where="part == 'batch' and rule == 'chebyshev'",
            of="bias",
            take="max",
            relation="<",
        ),
        _beyond(
            says="| {9} (n = 8), {81} (n = 16) |",
            where="part == 'batch' and rule == 'chebyshev' and k == 2 * n",
            at=each("n", 8, 16),
            of="noise",
        ),
    ),
    finding(
        "beyond-n",
        "pooled",
        "Pooling with fair history is unbiased and less noisy than a group of K; stale history in the max is a bias.",
        _beyond(
            says="{0.57} at K = 20, {0.62} at 32, {0.83} at 64",
            where=f"{_AT_16} and rule == 'pooled, fair'",
            at=each("k", 20, 32, 64),
            of="noise",
        ),
        _beyond(
            says="rates of 0.7 p turn the batch by {0.19} rad",
            where=f"{_AT_16} and rule == 'pooled, x 0.7' and k == 32",
            of="angle",
        ),
        _beyond(
            says="overweigh p = 0.1 by a factor of {2.3} at K = 32",
            where=f"{_PROMPT} and rule == 'pooled, x 0.7' and k == 32 and success == 0.1",
            of="scale",
        ),
        _beyond(
            says="2 p turns it by {0.41} rad",
            where=f"{_AT_16} and rule == 'pooled, x 2' and k == 32",
            of="angle",
        ),
        _beyond(
            says="leaves p = 0.1 {5}% of its weight",
            where=f"{_PROMPT} and rule == 'pooled, x 2' and k == 32 and success == 0.1",
            of="scale",
        ),
        _beyond(
            says="f/f* at p = 0.02 is {1.37} and {0.34}",
            where=f"{_PROMPT} and k == 64 and abs(success - 0.02) < 0.001",
            at=each("rule", "pooled, x 0.7", "pooled, x 2"),
            of="scale",
        ),
        _beyond(
            says="that of the history: {0.37} at x 0.7",
            where="part == 'batch' and rule == 'pooled, x 0.7' and k == 1.5 * n",
            of="bias",
            take="max",
        ),
        _beyond(
            says="| {0.6} to {0.84} |",
            where="part == 'batch' and rule == 'pooled, fair' and k > 1.5 * n",
            of="noise",
            take=("min", "max"),
        ),
    ),
    finding(
        "beyond-n",
        "clipped",
        "Clipping K to n is quiet and turns the batch; plug-ins of the success rate are worse at every K.",
        _beyond(
            says="{0.15} rad off at K = 1.25 n, {0.27} at 1.5 n, {0.46} at 2 n, {0.86} at 4 n",
            where=f"{_AT_16} and rule == 'clipped to K = n'",
            at=each("k", 20, 24, 32, 64),
            of="angle",
        ),
        _beyond(
            says="({0.15} of pass@K's at p near 0, K = 2n)",
            where=f'{_PROMPT} and rule == "plug-in, group\'s rate" and k == 32 and success <= 0.01',
            of="scale",
            take="mean",
        ),
        _beyond(
            says="K = 2n), {0.57} rad off",
            where=f'{_AT_16} and rule == "plug-in, group\'s rate" and k == 32',
            of="angle",
        ),
        _beyond(
            says="prompts of p = 0.1 get {6.5} times their weight",
            where=f'{_PROMPT} and rule == "plug-in, others\' rate" and k == 32 and success == 0.1',
            of="scale",
        ),
        _beyond(
            says="their weight, {0.54} rad off",
            where=f'{_AT_16} and rule == "plug-in, others\' rate" and k == 32',
            of="angle",
        ),
        _beyond(
            says="| {0.5} to {3.4} |",
            where="part == 'batch' and rule.str.startswith('plug-in')",
            of="bias",
            take=("min", "max"),
        ),
    ),
)

_rewards = partial(Reading, study="several-rewards", of="value")
_ANGLE = "part == 'objective' and quantity == 'angle'"
_END = "part == 'path' and at == 300"

_SEVERAL_REWARDS = (
    finding(
        "several-rewards",
        "two-objectives",
        "Max@K of a sum and a sum of max@K are two objectives, and lead to different places.",
        _rewards(
            says="their gradients are {25} degrees apart at n = 8, K = 4, {67} at K = 8",
            where=f"{_ANGLE} and rule == 'summed:maxpo' and of == 'per-reward:max@k'",
            at=("n == 8 and k == 4", "k == 8"),
        ),
        _rewards(
            says="specialists of {.45} and {.48} and keeps {7}% of the generalist",
            where=f"{_END} and rule == 'per-reward:maxpo' and quantity == 'chance'",
            at=each("of", "specialist 1", "specialist 2", "generalist"),
        ),
        _rewards(
            says="sum of max@4 {1.877}, against {1.2}",
            where=f"{_END} and of == 'per-reward:max@k'",
            at=each("rule", "per-reward:maxpo", "summed:maxpo"),
        ),
        _rewards(
            says="is {7.1} degrees off its objective at n = 8 ({2.4} at n = 16)",
            where=f"{_ANGLE} and rule == 'multi-axis-maxk' and of == 'per-reward:max@k' and k == 4",
            at=each("n", 8, 16),
        ),
        _rewards(
            says="specialists all the same ({1.874})",
            where=f"{_END} and of == 'per-reward:max@k' and rule == 'multi-axis-maxk'",
        ),
    ),
    finding(
        "several-rewards",
        "gdpo",
        "GDPO climbs a sum of surrogates, one a reward, whatever it is worth; GRPO of the sum mixes rewards.",
        _rewards(
            says="a verdict worth {10} weighs as one worth 1",
            where="part == 'weight' and rule == 'per-reward:grpo' and quantity == 'weight' and at < 0.0011 and n == 8",
            of="of.astype('float') * (value < 1.43)",
            take="max",
        ),
        _rewards(
            says="{1.42} of that of a verdict of rate 1/2 at rate .001",
            where="part == 'weight' and rule == 'per-reward:grpo' and quantity == 'weight' and at < 0.0011 and n == 8",
            take="max",
        ),
        _rewards(
            says="Up to {6}% of its E[g] ({10}% where one is worth 10) lies outside",
            where="part == 'weight' and rule == 'summed:grpo' and quantity == 'outside'",
            at=each("of", "1", "10"),
            take="max",
        ),
        _rewards(
            says="A rare verdict worth 10 weighs {1.4}, not 10",
            where="part == 'weight' and rule == 'summed:grpo' and quantity == 'weight' and of == '10' and n == 8 and at < 0.0011",
        ),
        figure="weights",
    ),
    finding(
        "several-rewards",
        "whitening",
        "Whitening the batch adds a bias of its own.",
        _rewards(
            says="On one prompt of rates .2 and .2 the group part is straight and GDPO as in verl, TRL and ms-swift is {5.2} degrees off; {5.9} for two prompts (.05 and .8), {0.2} for three",
            where="part == 'batch' and rule == 'gdpo' and quantity == 'angle'",
            at=each("at", 1, 2, 3),
        ),
        _rewards(
            says="leave-one-out advantages: {5.5}, {7.8} and {1.1}",
            where="part == 'batch' and of == 'NeMo-RL' and quantity == 'angle'",
            at=each("at", 1, 2, 3),
        ),
    ),
    finding(
        "several-rewards",
        "opo",
        "OPO is biased in direction as soon as lengths differ.",
        _rewards(
            says="up to {9} degrees at n = 4, {4} at n = 8 and {1.5} at n = 16 for length ratios up to 16",
            where="part == 'length' and quantity == 'angle'",
            at=each("n", 4, 8, 16),
            take="max",
        ),
        figure="weights",
    ),
)

CLAIMS = (*_BEYOND_N, *_SEVERAL_REWARDS)
