"""What a reference to a paper is made from."""

from __future__ import annotations

from typing import NamedTuple


class Paper(NamedTuple):
    """One arXiv paper."""

    authors: str
    title: str

    @property
    def surname(self) -> str:
        """The first author's surname, for a citation key."""
        return self.authors.split(" and ")[0].split(",")[0]
