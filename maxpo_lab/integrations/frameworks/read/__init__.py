"""Frameworks whose code was read: not on PyPI, or in need of a card to be imported."""
