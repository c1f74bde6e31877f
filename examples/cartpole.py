"""Which rule estimates the gradient of the best of K episodes, on an environment that has no exact oracle?

CartPole-v1, at most 50 steps, a random policy of two layers: the reward of a rollout is the return of its
episode, 8 to 50. Every rule meets the same sampled groups, and every figure comes with its standard error.
The last four rules are unbiased for max@4: their variances can be compared. The first two estimate other
gradients. Run it from the checkout, in about ten seconds on one core:

    python -m examples.cartpole
"""

from __future__ import annotations

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import maxpo_lab as ml
from envs.networks import initialise
from envs.rollouts import RolloutSampler
from maxpo_lab.monte_carlo import Estimate

RULES = ("rloo", "grpo", "pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo")
N, K, GROUPS, SEED = 16, 4, 2000, 0


def sampler() -> RolloutSampler:
    """Episodes of a policy with 114 random parameters: four numbers seen, two pushes to choose from."""
    policy = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    initialise(policy, torch.Generator().manual_seed(SEED))
    return RolloutSampler("CartPole-v1", policy, horizon=50)


def shown(figure: Estimate) -> str:
    """A figure and its standard error, to two digits of the latter."""
    return f"{figure.value:.4g} ± {figure.standard_error:.2g}"


def main() -> None:
    """Measure the rules and print what is found."""
    moments = ml.monte_carlo_moments(RULES, sampler(), n=N, k=K, groups=GROUPS, seed=SEED)
    table = Table(title=f"CartPole-v1, n = {N}, K = {K}, {GROUPS} groups", box=None, title_justify="left")
    table.add_column("rule")
    for title in ("tr Cov", "signal to noise", "rms |sum A|"):
        table.add_column(title, justify="right", no_wrap=True)
    for name in RULES:
        rule = moments[name]
        table.add_row(
            name,
            shown(rule.trace_covariance),
            shown(rule.snr),
            f"{rule.advantage_sum_rms.value:.2g}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
