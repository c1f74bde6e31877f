"""Rules of rollouts that carry several numbers: several rewards, or a reward and a length."""

from . import gdpo, length_weighted, multi_axis, several_rewards

#: The families, in the order of the catalogue, after those of one reward.
FAMILIES = (several_rewards, multi_axis, length_weighted, gdpo)
