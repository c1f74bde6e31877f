"""Devices as CuPy has them."""

from __future__ import annotations


class Card:
    """A device that equals those of its number and has no hash."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Card) and other.number == self.number

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<CUDA Device {self.number}>"
