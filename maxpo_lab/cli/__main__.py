"""``python -m maxpo_lab.cli``: the command ``maxpo-lab``."""

from .commands import main

main()
