"""Worlds of one decision."""
