"""``maxpo-lab pass-at-k``: the command, and its table, JSON and figure."""

from .command import pass_at_k_of_file

__all__ = ["pass_at_k_of_file"]
