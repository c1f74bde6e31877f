"""``maxpo-lab`` on the command line: the catalogue, advantages and pass@k of a file, the audit."""

from .commands import app, main

__all__ = ["app", "main"]
