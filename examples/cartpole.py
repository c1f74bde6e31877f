"""Which rule estimates the gradient of the best of K episodes, on an environment that has no exact oracle?

CartPole-v1, at most 50 steps, a random policy of two layers: the reward of a rollout is the return of its
episode, 8 to 50. Every rule of the catalogue that takes such rewards meets the same 2,000 sampled groups, and
every quantity comes with its standard error. Variances compare between rules that are unbiased for one
objective; the signal-to-noise ratio does not care about scale. Run it from the checkout:

    python -m examples.cartpole
"""

from __future__ import annotations

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import maxpo_lab as ml
from envs.networks.architectures import initialise
from envs.networks.rollouts import RolloutSampler
from maxpo_lab.monte_carlo import Estimate

N, K, GROUPS, SEED = 16, 4, 2000, 0
RULES = tuple(
    name
    for name in ml.list_estimators()
    if ml.get_estimator(name).domain == "real" and ml.get_estimator(name).why_not(N, K) is None
)


def sampler() -> RolloutSampler:
    """Episodes of a policy with 114 random parameters: four numbers seen, two pushes to choose from."""
    policy = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    initialise(policy, torch.Generator().manual_seed(SEED))
    return RolloutSampler("CartPole-v1", policy, horizon=50)


def shown(quantity: Estimate) -> str:
    """A quantity and its standard error, to two digits of the latter."""
    return f"{quantity.value:.4g} ± {quantity.standard_error:.2g}"


def main() -> None:
    """Measure the rules and print what is found."""
    episodes = sampler()
    rewards, _ = episodes(GROUPS, N, generator=torch.Generator().manual_seed(SEED))
    best = ml.value_estimate(rewards, K)
    error = float(best.std()) / GROUPS**0.5
    moments = ml.monte_carlo_moments(RULES, episodes, n=N, k=K, groups=GROUPS, seed=SEED)
    setting = f"CartPole-v1, n = {N}, K = {K}, {GROUPS} groups"
    table = Table(
        title=f"{setting}: max@{K} = {float(best.mean()):.2f} ± {error:.2g}", box=None, title_justify="left"
    )
    table.add_column("rule", no_wrap=True)
    table.add_column("unbiased for")
    for heading in ("tr Cov", "signal to noise", "rms |sum A|"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in RULES:
        rule, found = ml.get_estimator(name), moments[name]
        table.add_row(
            name,
            rule.objective.removeprefix("l-statistic:") if rule.claims.unbiased else "-",
            shown(found.trace_covariance),
            shown(found.snr),
            f"{found.advantage_sum_rms.value:.2g}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
