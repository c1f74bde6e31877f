"""Tabular processes: their table, their exact oracle, and ways to step and sample them."""
