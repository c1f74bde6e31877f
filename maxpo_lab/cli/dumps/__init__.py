"""What evaluation tools and trainers leave behind, read as it is: recognised by content, one format a file."""

from .reading import read_dump

__all__ = ["read_dump"]
