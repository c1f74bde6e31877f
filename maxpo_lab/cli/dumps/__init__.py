"""What evaluation tools and trainers leave, read as it is and recognised by content; one format a file."""

from .reading import read_dump

__all__ = ["read_dump"]
